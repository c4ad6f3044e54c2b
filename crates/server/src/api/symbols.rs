//! `GET /api/v1/symbols?q=app`: symbols by the start of their ticker or of words of their name; tolerates typos.

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
use serde::{Deserialize, Serialize};
use store::directory::Found;
use utoipa::{IntoParams, ToSchema};

use crate::{app::App, auth::User, error::ApiError};

const MAX_RESULTS: usize = 50;

/// No ticker and no word is longer.
const MAX_QUERY_CHARS: usize = 64;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct SearchQuery {
    /// The start of a ticker or of words of a name; tolerates typos
    q: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Symbols)]
pub(crate) struct SymbolsResponse {
    symbols: Vec<Found>,
}

/// Matching symbols, best match first, at most 50: symbols already stored and all other listed ones.
#[utoipa::path(
    get, path = "/api/v1/symbols", tag = "api", params(SearchQuery),
    responses((status = 200, body = SymbolsResponse), (status = 400), (status = 401)),
    security(("bearer" = []), ("session" = []))
)]
pub(crate) async fn search(
    State(app): State<App>,
    User(user): User,
    query: Result<Query<SearchQuery>, QueryRejection>,
) -> Result<Json<SymbolsResponse>, ApiError> {
    let Query(SearchQuery { q }) = query.map_err(|error| ApiError::bad_request(error.body_text()))?;
    let text = q.unwrap_or_default();
    let text = text.trim();
    if text.is_empty() {
        return Err(ApiError::bad_request("No q given: enter the start of a ticker or company name"));
    }
    if text.chars().count() > MAX_QUERY_CHARS {
        return Ok(Json(SymbolsResponse { symbols: Vec::new() }));
    }
    Ok(Json(SymbolsResponse { symbols: app.directory.search(user, text, MAX_RESULTS).await? }))
}
