//! `POST /functions/v1/sync-user-symbols`: what a client's user wants, exactly as the old system took it.

use axum::{Json, body::Bytes, extract::State};
use serde_json::Value;
use store::tracking::Synced;

use super::{App, auth::User, error::ApiError};
use crate::interest::{self, Wanted};

pub(super) async fn sync_user_symbols(
    State(app): State<App>,
    User(user): User,
    body: Bytes,
) -> Result<Json<Synced>, ApiError> {
    let body: Value = serde_json::from_slice(&body)
        .map_err(|error| ApiError::bad_request(format!("The body is no JSON: {error}")))?;
    let wanted = Wanted::from_json(&body).map_err(|error| ApiError::bad_request(error.to_string()))?;
    Ok(Json(interest::take(&app.database, user, &wanted).await?))
}
