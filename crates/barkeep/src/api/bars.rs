//! `GET /api/v1/bars?symbol=AAPL&timeframe=m15&from=&to=&limit=`: stored bars, oldest first.

use axum::{
    Json,
    extract::{Query, State},
};
use jiff::Timestamp;
use market::{Range, Ticker, Timeframe};
use serde::{Deserialize, Serialize};
use store::bars;

use super::{App, auth::User, error::ApiError};

const MOST: i64 = 50_000;
const USUAL: i64 = 10_000;

/// Texts, so that what is wrong can be named.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Question {
    symbol: Option<String>,
    timeframe: Option<String>,
    from: Option<String>,
    to: Option<String>,
    limit: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Answer {
    symbol: Ticker,
    timeframe: Timeframe,
    bars: Vec<BarJson>,
}

/// Times are UTC and the bar's start; prices as traded.
#[derive(Debug, Serialize)]
struct BarJson {
    ts: Timestamp,
    open: f64,
    high: f64,
    low: f64,
    close: f64,
    volume: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    vwap: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trade_count: Option<i64>,
    provider: String,
    #[serde(rename = "final")]
    is_final: bool,
}

pub(super) async fn bars(
    State(app): State<App>,
    User(user): User,
    question: Result<Query<Question>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<Answer>, ApiError> {
    let Query(question) = question.map_err(|error| ApiError::bad_request(error.body_text()))?;
    let given = |value: Option<String>, name: &str| {
        value.filter(|text| !text.is_empty()).ok_or_else(|| ApiError::bad_request(format!("No {name} given")))
    };
    let ticker: Ticker = given(question.symbol, "symbol")?.parse().map_err(bad)?;
    let timeframe: Timeframe = given(question.timeframe, "timeframe")?.parse().map_err(bad)?;
    let from = instant(question.from, "from")?.unwrap_or(Timestamp::UNIX_EPOCH);
    let to = match instant(question.to, "to")? {
        Some(to) => to,
        None => store::clock::read(&app.database).await?.now(),
    };
    let range = Range::new(from, to).map_err(bad)?;
    let limit =
        match question.limit {
            Some(text) => text.parse().ok().filter(|limit| (1..=MOST).contains(limit)).ok_or_else(|| {
                ApiError::bad_request(format!("limit must be a number from 1 to {MOST}, not '{text}'"))
            })?,
            None => USUAL,
        };
    let stored = bars::read(&app.database, Some(user), &ticker, timeframe, Some(range), limit)
        .await?
        .ok_or_else(|| ApiError::not_found(format!("Nobody has asked for {ticker} yet")))?;
    let bars = stored
        .into_iter()
        .map(|stored| BarJson {
            ts: stored.bar.start,
            open: stored.bar.open,
            high: stored.bar.high,
            low: stored.bar.low,
            close: stored.bar.close,
            volume: stored.bar.volume,
            vwap: stored.bar.vwap,
            trade_count: stored.bar.trade_count,
            provider: stored.provider,
            is_final: stored.is_final,
        })
        .collect();
    Ok(Json(Answer { symbol: ticker, timeframe, bars }))
}

fn instant(text: Option<String>, name: &str) -> Result<Option<Timestamp>, ApiError> {
    text.map(|text| {
        text.parse().map_err(|_| {
            ApiError::bad_request(format!("{name} must be an instant such as 2026-11-23T14:30:00Z, not '{text}'"))
        })
    })
    .transpose()
}

fn bad(error: impl std::fmt::Display) -> ApiError {
    ApiError::bad_request(error.to_string())
}
