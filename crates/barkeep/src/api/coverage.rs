//! `GET /api/v1/coverage?symbol=AAPL`: how far each series of a symbol has come, as its user sees it.

use axum::{
    Json,
    extract::{Query, State},
};
use market::Ticker;
use serde::{Deserialize, Serialize};
use store::coverage::{self, SeriesCoverage};

use super::{App, auth::User, error::ApiError};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Question {
    symbol: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Answer {
    symbol: Ticker,
    series: Vec<SeriesCoverage>,
}

pub(super) async fn coverage(
    State(app): State<App>,
    User(user): User,
    question: Result<Query<Question>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<Answer>, ApiError> {
    let Query(question) = question.map_err(|error| ApiError::bad_request(error.body_text()))?;
    let ticker: Ticker = question
        .symbol
        .ok_or_else(|| ApiError::bad_request("No symbol given"))?
        .parse()
        .map_err(|error: market::InvalidTicker| ApiError::bad_request(error.to_string()))?;
    let series = coverage::of_symbol(&app.database, Some(user), &ticker).await?;
    Ok(Json(Answer { symbol: ticker, series }))
}
