//! `POST /functions/v1/sync-user-symbols`: what a client's user wants, exactly as the old system took it.

use axum::{Json, body::Bytes, extract::State};
use serde_json::Value;
use store::tracking::Synced;

use crate::{
    app::App,
    auth::TokenUser,
    error::ApiError,
    interest::{self, Wanted},
};

/// The body, for those who read the description: it is parsed by [`Wanted`].
#[derive(utoipa::ToSchema)]
#[schema(as = SyncUserSymbols)]
#[expect(dead_code, reason = "describes what is read by hand")]
pub(crate) struct Asked {
    symbols: Vec<String>,
    /// watchlist, recent_search or chart_view
    source: String,
    /// m15, h1 and h4 where left out
    timeframes: Option<Vec<String>>,
}

/// What a client's user wants. Symbols that are new are made at once.
#[utoipa::path(
    post, path = "/functions/v1/sync-user-symbols", tag = "functions", request_body = Asked,
    responses((status = 200, body = Synced), (status = 400), (status = 401)),
    security(("bearer" = []))
)]
pub(crate) async fn sync_user_symbols(
    State(app): State<App>,
    TokenUser(user): TokenUser,
    body: Bytes,
) -> Result<Json<Synced>, ApiError> {
    let body: Value = serde_json::from_slice(&body)
        .map_err(|error| ApiError::bad_request(format!("The body is no JSON: {error}")))?;
    let wanted = Wanted::from_json(&body).map_err(|error| ApiError::bad_request(error.to_string()))?;
    let _waits = app.foreground.enter();
    let synced = interest::take(&app.database, user, &wanted).await?;
    // Where the planner is in this process it need not wait for the database to say so.
    app.signals.wake_here();
    Ok(Json(synced))
}
