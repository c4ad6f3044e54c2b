//! `GET /functions/v1/symbols-search?q=mu`.

use axum::{
    Json,
    extract::{Query, State},
};
use market::Ticker;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::{app::App, auth::TokenUser, error::ApiError};

const MAX_RESULTS: usize = 20;

/// No ticker and no word is longer.
const MAX_QUERY_CHARS: usize = 64;

#[derive(Debug, Deserialize, IntoParams)]
pub(crate) struct SearchQuery {
    /// The start of a ticker or of words of a name
    #[serde(default)]
    q: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SymbolFound)]
pub(crate) struct Symbol {
    id: Uuid,
    #[schema(value_type = String)]
    ticker: Ticker,
    /// stock, etf or crypto
    asset_type: String,
    description: String,
}

/// Matching symbols, best match first; none for an empty query.
#[utoipa::path(
    get, path = "/functions/v1/symbols-search", tag = "functions", params(SearchQuery),
    responses((status = 200, body = Vec<Symbol>), (status = 401)),
    security(("bearer" = []))
)]
pub(crate) async fn symbols_search(
    State(app): State<App>,
    TokenUser(user): TokenUser,
    Query(SearchQuery { q }): Query<SearchQuery>,
) -> Result<Json<Vec<Symbol>>, ApiError> {
    let text: String = q.trim().chars().take(MAX_QUERY_CHARS).collect();
    if text.is_empty() {
        return Ok(Json(Vec::new()));
    }
    let found = app.directory.search(user, &text, MAX_RESULTS).await?;
    let symbol = |found: store::directory::Found| Symbol {
        id: found.id,
        ticker: found.ticker,
        asset_type: found.asset_type,
        description: found.description,
    };
    Ok(Json(found.into_iter().map(symbol).collect()))
}
