//! `POST /functions/v1/watchlist-sync {"action": "add|remove|list", "symbol": "TSLA"}`: the user's first list.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use market::Ticker;
use serde::{Deserialize, Serialize};
use store::{overview, watchlists};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{app::App, auth::TokenUser, body::JsonBody, error::ApiError, interest::DEFAULT_TIMEFRAMES};

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = WatchlistSync)]
pub(crate) struct WatchlistRequest {
    /// add, remove or list
    #[serde(default)]
    action: String,
    /// For add and remove
    #[serde(default)]
    symbol: String,
}

/// The response to add and remove.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = WatchlistChanged)]
pub(crate) struct WatchlistChange {
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
pub(crate) struct WatchlistListing {
    success: bool,
    watchlist_id: Uuid,
    items: Vec<WatchlistEntry>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = WatchlistItem)]
pub(crate) struct WatchlistEntry {
    #[schema(value_type = String)]
    symbol: Ticker,
    #[schema(value_type = String, format = DateTime)]
    added_at: Timestamp,
}

/// Adds a symbol to the user's watchlist, removes one, or lists them. Adding twice is no error.
#[utoipa::path(
    post, path = "/functions/v1/watchlist-sync", tag = "functions", request_body = WatchlistRequest,
    responses(
        (status = 200, description = "add, remove: what changed; list: the items", body = WatchlistChange),
        (status = 400), (status = 401), (status = 404, description = "remove: not in the watchlist"),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn watchlist_sync(
    State(app): State<App>,
    TokenUser(user): TokenUser,
    JsonBody(request): JsonBody<WatchlistRequest>,
) -> Result<Response, ApiError> {
    let ticker = || -> Result<Ticker, ApiError> {
        match request.symbol.trim() {
            "" => Err(ApiError::bad_request("No symbol provided")),
            text => text.parse().map_err(|error| ApiError::bad_request(format!("Invalid symbol: {error}"))),
        }
    };
    match request.action.as_str() {
        "add" => Ok(Json(add(&app, user, ticker()?).await?).into_response()),
        "remove" => Ok(Json(remove(&app, user, ticker()?).await?).into_response()),
        "list" => Ok(Json(list(&app, user).await?).into_response()),
        _ => Err(ApiError::bad_request("Invalid action. Must be: add, remove, or list")),
    }
}

async fn add(app: &App, user: Uuid, symbol: Ticker) -> Result<WatchlistChange, ApiError> {
    let _foreground = app.foreground.enter();
    let is_listed = overview::watchlist(&app.database, user).await?.iter().any(|watched| watched.symbol == symbol);
    if !is_listed {
        watchlists::add(&app.database, user, None, std::slice::from_ref(&symbol), &DEFAULT_TIMEFRAMES).await?;
        app.signals.wake_here();
        app.signals.changed_here();
    }
    let message = match is_listed {
        true => "Symbol already in watchlist".to_owned(),
        false => format!("{symbol} added to watchlist"),
    };
    let watchlist_id = watchlists::first(&app.database, user).await?;
    Ok(WatchlistChange { success: true, message, symbol, watchlist_id, job_status: Vec::new() })
}

async fn remove(app: &App, user: Uuid, symbol: Ticker) -> Result<WatchlistChange, ApiError> {
    let removed = watchlists::remove_everywhere(&app.database, user, &symbol).await?;
    if !removed {
        return Err(ApiError::not_found(format!("{symbol} is not in the watchlist")));
    }
    app.signals.changed_here();
    let watchlist_id = watchlists::first(&app.database, user).await?;
    let message = format!("{symbol} removed from watchlist");
    Ok(WatchlistChange { success: true, message, symbol, watchlist_id, job_status: Vec::new() })
}

async fn list(app: &App, user: Uuid) -> Result<WatchlistListing, ApiError> {
    let watched = overview::watchlist(&app.database, user).await?;
    let items = watched
        .into_iter()
        .map(|watched| WatchlistEntry { symbol: watched.symbol, added_at: watched.added_at })
        .collect();
    Ok(WatchlistListing { success: true, watchlist_id: watchlists::first(&app.database, user).await?, items })
}
