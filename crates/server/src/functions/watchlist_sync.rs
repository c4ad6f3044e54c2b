//! `POST /functions/v1/watchlist-sync {"action": "add|remove|list", "symbol": "TSLA"}`: the user's first list.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use market::Ticker;
use serde::{Deserialize, Serialize};
use store::{show, watchlists};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{app::App, auth::TokenUser, body::Body, error::ApiError, interest::USUAL_TIMEFRAMES};

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = WatchlistSync)]
pub(crate) struct Asked {
    /// add, remove or list
    #[serde(default)]
    action: String,
    /// For add and remove
    #[serde(default)]
    symbol: String,
}

/// What add and remove answer; `jobStatus` of add alone.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = WatchlistChanged)]
pub(crate) struct Changed {
    success: bool,
    message: String,
    #[schema(value_type = String)]
    symbol: Ticker,
    watchlist_id: Uuid,
    #[schema(value_type = Vec<Object>)]
    job_status: Vec<serde_json::Value>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = WatchlistListed)]
pub(crate) struct Listed {
    success: bool,
    watchlist_id: Uuid,
    items: Vec<Item>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = WatchlistItem)]
pub(crate) struct Item {
    #[schema(value_type = String)]
    symbol: Ticker,
    #[schema(value_type = String, format = DateTime)]
    added_at: Timestamp,
}

/// Adds to the user's watchlist, removes from it or lists it. Adding again is no error.
#[utoipa::path(
    post, path = "/functions/v1/watchlist-sync", tag = "functions", request_body = Asked,
    responses(
        (status = 200, description = "add, remove: what changed; list: the items", body = Changed),
        (status = 400), (status = 401), (status = 404, description = "remove: it is not on the list"),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn watchlist_sync(
    State(app): State<App>,
    TokenUser(user): TokenUser,
    Body(asked): Body<Asked>,
) -> Result<Response, ApiError> {
    let ticker = || -> Result<Ticker, ApiError> {
        match asked.symbol.trim() {
            "" => Err(ApiError::bad_request("No symbol provided")),
            text => text.parse().map_err(|error| ApiError::bad_request(format!("Invalid symbol: {error}"))),
        }
    };
    match asked.action.as_str() {
        "add" => Ok(Json(add(&app, user, ticker()?).await?).into_response()),
        "remove" => Ok(Json(remove(&app, user, ticker()?).await?).into_response()),
        "list" => Ok(Json(list(&app, user).await?).into_response()),
        _ => Err(ApiError::bad_request("Invalid action. Must be: add, remove, or list")),
    }
}

async fn add(app: &App, user: Uuid, symbol: Ticker) -> Result<Changed, ApiError> {
    let _waits = app.foreground.enter();
    let is_there = show::watchlist(&app.database, user).await?.iter().any(|watched| watched.symbol == symbol);
    if !is_there {
        watchlists::add(&app.database, user, None, std::slice::from_ref(&symbol), &USUAL_TIMEFRAMES).await?;
        app.signals.wake_here();
        app.signals.ended_here();
    }
    let message = match is_there {
        true => "Symbol already in watchlist".to_owned(),
        false => format!("{symbol} added to watchlist"),
    };
    let watchlist_id = watchlists::first(&app.database, user).await?;
    Ok(Changed { success: true, message, symbol, watchlist_id, job_status: Vec::new() })
}

async fn remove(app: &App, user: Uuid, symbol: Ticker) -> Result<Changed, ApiError> {
    let gone = watchlists::remove_everywhere(&app.database, user, &symbol).await?;
    if !gone {
        return Err(ApiError::not_found(format!("{symbol} is not in the watchlist")));
    }
    app.signals.ended_here();
    let watchlist_id = watchlists::first(&app.database, user).await?;
    let message = format!("{symbol} removed from watchlist");
    Ok(Changed { success: true, message, symbol, watchlist_id, job_status: Vec::new() })
}

async fn list(app: &App, user: Uuid) -> Result<Listed, ApiError> {
    let watched = show::watchlist(&app.database, user).await?;
    let items = watched.into_iter().map(|of| Item { symbol: of.symbol, added_at: of.added_at }).collect();
    Ok(Listed { success: true, watchlist_id: watchlists::first(&app.database, user).await?, items })
}
