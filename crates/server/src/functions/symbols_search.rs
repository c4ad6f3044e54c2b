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

const MOST: usize = 20;

/// No ticker and no word is longer.
const LONGEST: usize = 64;

#[derive(Debug, Deserialize, IntoParams)]
pub(crate) struct Question {
    /// The beginning of a ticker or of words of a name
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

/// Symbols that fit, the likeliest first; none for an empty text.
#[utoipa::path(
    get, path = "/functions/v1/symbols-search", tag = "functions", params(Question),
    responses((status = 200, body = Vec<Symbol>), (status = 401)),
    security(("bearer" = []))
)]
pub(crate) async fn symbols_search(
    State(app): State<App>,
    TokenUser(user): TokenUser,
    Query(Question { q }): Query<Question>,
) -> Result<Json<Vec<Symbol>>, ApiError> {
    let text: String = q.trim().chars().take(LONGEST).collect();
    if text.is_empty() {
        return Ok(Json(Vec::new()));
    }
    let found = app.directory.search(user, &text, MOST).await?;
    let told = |of: store::directory::Found| Symbol {
        id: of.id,
        ticker: of.ticker,
        asset_type: of.asset_type,
        description: of.description,
    };
    Ok(Json(found.into_iter().map(told).collect()))
}
