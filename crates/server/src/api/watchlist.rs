//! `/api/v1/watchlist`: a user's watchlist. Adding a symbol records `watchlist` interest, removing it ends that.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use market::{Ticker, Timeframe};
use serde::{Deserialize, Serialize};
use store::{
    overview::{self, Watched},
    tracking::{self, Source, Synced},
};
use utoipa::ToSchema;

use crate::{
    app::App,
    auth::User,
    body::JsonBody,
    error::ApiError,
    interest::{self, DEFAULT_TIMEFRAMES, SymbolInterest},
};

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Watchlist)]
pub(crate) struct WatchlistResponse {
    items: Vec<Watched>,
}

/// The user's watchlist.
#[utoipa::path(
    get, path = "/api/v1/watchlist", tag = "api",
    responses((status = 200, body = WatchlistResponse), (status = 401)),
    security(("bearer" = []), ("session" = []))
)]
pub(crate) async fn list(State(app): State<App>, User(user): User) -> Result<Json<WatchlistResponse>, ApiError> {
    Ok(Json(WatchlistResponse { items: overview::watchlist(&app.database, user).await? }))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Addition)]
pub(crate) struct AddRequest {
    #[schema(value_type = Vec<String>)]
    symbols: Vec<Ticker>,
    /// Default: m15, h1 and h4
    #[schema(value_type = Option<Vec<String>>)]
    timeframes: Option<Vec<Timeframe>>,
}

/// Adds symbols to the user's watchlist.
#[utoipa::path(
    post, path = "/api/v1/watchlist", tag = "api", request_body = AddRequest,
    responses((status = 200, body = Synced), (status = 400), (status = 401)),
    security(("bearer" = []), ("session" = []))
)]
pub(crate) async fn add(
    State(app): State<App>,
    User(user): User,
    JsonBody(request): JsonBody<AddRequest>,
) -> Result<Json<Synced>, ApiError> {
    let timeframes = request.timeframes.unwrap_or_else(|| DEFAULT_TIMEFRAMES.to_vec());
    if request.symbols.is_empty() || timeframes.is_empty() {
        return Err(ApiError::bad_request("No symbols provided"));
    }
    let wanted = SymbolInterest { tickers: request.symbols, source: Source::Watchlist, timeframes };
    let synced = interest::record(&app.database, user, &wanted).await?;
    app.signals.wake_here();
    Ok(Json(synced))
}

/// Removes a symbol from the user's watchlist.
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
    let removed =
        tracking::untrack(&app.database, user, std::slice::from_ref(&ticker), Some(Source::Watchlist)).await?;
    match removed {
        0 => Err(ApiError::not_found(format!("{ticker} isn't on your watchlist"))),
        _ => Ok(StatusCode::NO_CONTENT),
    }
}
