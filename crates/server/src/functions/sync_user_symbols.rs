//! `POST /functions/v1/sync-user-symbols`: records a user's interest, with the old system's request and response.

use axum::{Json, body::Bytes, extract::State};
use serde_json::Value;
use store::tracking::Synced;

use crate::{
    app::App,
    auth::TokenUser,
    error::ApiError,
    interest::{self, SymbolInterest},
};

/// The request body, for the OpenAPI description: [`SymbolInterest`] parses it.
#[derive(utoipa::ToSchema)]
#[schema(as = SyncUserSymbols)]
#[expect(dead_code, reason = "documents a body that is parsed by hand")]
pub(crate) struct SyncUserSymbolsRequest {
    symbols: Vec<String>,
    /// watchlist, recent_search or chart_view
    source: String,
    /// Default: m15, h1 and h4
    timeframes: Option<Vec<String>>,
}

/// Records interest in symbols. New symbols are created at once.
#[utoipa::path(
    post, path = "/functions/v1/sync-user-symbols", tag = "functions", request_body = SyncUserSymbolsRequest,
    responses((status = 200, body = Synced), (status = 400), (status = 401)),
    security(("bearer" = []))
)]
pub(crate) async fn sync_user_symbols(
    State(app): State<App>,
    TokenUser(user): TokenUser,
    body: Bytes,
) -> Result<Json<Synced>, ApiError> {
    let body: Value = serde_json::from_slice(&body)
        .map_err(|error| ApiError::bad_request(format!("The request body isn't valid JSON: {error}")))?;
    let wanted = SymbolInterest::from_json(&body).map_err(|error| ApiError::bad_request(error.to_string()))?;
    let _foreground = app.foreground.enter();
    let synced = interest::record(&app.database, user, &wanted).await?;
    // A planner in this process need not wait for the notification.
    app.signals.wake_here();
    Ok(Json(synced))
}
