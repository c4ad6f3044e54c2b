//! `GET /api/v1/symbols?q=app`: symbols by the beginning of their ticker or of words of their name, typed well or not.

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
use serde::{Deserialize, Serialize};
use store::directory::Found;
use utoipa::{IntoParams, ToSchema};

use crate::{app::App, auth::User, error::ApiError};

const MOST: usize = 50;

/// No ticker and no word is longer.
const LONGEST: usize = 64;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct Question {
    /// The beginning of a ticker or of words of a name; slips of the finger are forgiven
    q: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Symbols {
    symbols: Vec<Found>,
}

/// Symbols that fit, the likeliest first, at most 50: those that are kept already, and all others that there are.
#[utoipa::path(
    get, path = "/api/v1/symbols", tag = "api", params(Question),
    responses((status = 200, body = Symbols), (status = 400), (status = 401)),
    security(("bearer" = []), ("session" = []))
)]
pub(crate) async fn search(
    State(app): State<App>,
    User(user): User,
    question: Result<Query<Question>, QueryRejection>,
) -> Result<Json<Symbols>, ApiError> {
    let Query(Question { q }) = question.map_err(|error| ApiError::bad_request(error.body_text()))?;
    let text = q.unwrap_or_default();
    let text = text.trim();
    if text.is_empty() {
        return Err(ApiError::bad_request("No q given: the beginning of a ticker or of a name"));
    }
    if text.chars().count() > LONGEST {
        return Ok(Json(Symbols { symbols: Vec::new() }));
    }
    Ok(Json(Symbols { symbols: app.directory.search(user, text, MOST).await? }))
}
