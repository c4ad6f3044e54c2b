//! `/api/v1/watchlist`: what a user watches. Adding is `watchlist` interest, removing takes it back.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use market::{Ticker, Timeframe};
use serde::{Deserialize, Serialize};
use store::{
    show::{self, Watched},
    tracking::{self, Source, Synced},
};
use utoipa::ToSchema;

use crate::{
    app::App,
    auth::User,
    body::Body,
    error::ApiError,
    interest::{self, USUAL_TIMEFRAMES, Wanted},
};

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Watchlist {
    items: Vec<Watched>,
}

/// The user's watchlist.
#[utoipa::path(
    get, path = "/api/v1/watchlist", tag = "api",
    responses((status = 200, body = Watchlist), (status = 401)),
    security(("bearer" = []), ("session" = []))
)]
pub(crate) async fn list(State(app): State<App>, User(user): User) -> Result<Json<Watchlist>, ApiError> {
    Ok(Json(Watchlist { items: show::watchlist(&app.database, user).await? }))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Addition {
    #[schema(value_type = Vec<String>)]
    symbols: Vec<Ticker>,
    /// m15, h1 and h4 where left out
    #[schema(value_type = Option<Vec<String>>)]
    timeframes: Option<Vec<Timeframe>>,
}

/// Puts symbols on the user's watchlist; what is there already stays.
#[utoipa::path(
    post, path = "/api/v1/watchlist", tag = "api", request_body = Addition,
    responses((status = 200, body = Synced), (status = 400), (status = 401)),
    security(("bearer" = []), ("session" = []))
)]
pub(crate) async fn add(
    State(app): State<App>,
    User(user): User,
    Body(addition): Body<Addition>,
) -> Result<Json<Synced>, ApiError> {
    let timeframes = addition.timeframes.unwrap_or_else(|| USUAL_TIMEFRAMES.to_vec());
    if addition.symbols.is_empty() || timeframes.is_empty() {
        return Err(ApiError::bad_request("No symbols provided"));
    }
    let wanted = Wanted { tickers: addition.symbols, source: Source::Watchlist, timeframes };
    let synced = interest::take(&app.database, user, &wanted).await?;
    app.signals.wake_here();
    Ok(Json(synced))
}

/// Takes a symbol off the user's watchlist.
#[utoipa::path(
    delete, path = "/api/v1/watchlist/{symbol}", tag = "api", params(("symbol" = String, Path)),
    responses((status = 204), (status = 400), (status = 401), (status = 404)),
    security(("bearer" = []), ("session" = []))
)]
pub(crate) async fn remove(
    State(app): State<App>,
    User(user): User,
    Path(symbol): Path<String>,
) -> Result<StatusCode, ApiError> {
    let ticker: Ticker = symbol.parse().map_err(ApiError::invalid)?;
    let gone = tracking::untrack(&app.database, user, std::slice::from_ref(&ticker), Some(Source::Watchlist)).await?;
    match gone {
        0 => Err(ApiError::not_found(format!("{ticker} is not on your watchlist"))),
        _ => Ok(StatusCode::NO_CONTENT),
    }
}
