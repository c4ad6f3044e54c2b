//! `GET /api/v1/bars?symbol=AAPL&timeframe=m15&from=&to=&limit=`: stored bars, oldest first.

use axum::{
    Json,
    extract::{Query, State},
};
use jiff::Timestamp;
use market::{Adjustment, Range, Ticker, Timeframe};
use serde::{Deserialize, Serialize};
use store::adjusted::{self, AdjustedQuery};
use utoipa::{IntoParams, ToSchema};

use crate::{app::App, auth::User, error::ApiError};

const MAX_LIMIT: i64 = 50_000;
const DEFAULT_LIMIT: i64 = 10_000;

/// Strings, so that errors can name an invalid value.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct BarsQuery {
    symbol: Option<String>,
    /// m1, m5, m15, m30, h1, h4, d1 or w1, or an alias such as 15m or 1D
    timeframe: Option<String>,
    /// Bars that start at this time or later: 2026-11-23T14:30:00Z
    from: Option<String>,
    /// Bars that start before this time; default: now
    to: Option<String>,
    /// At most this many, the newest, 1 to 50000; default: 10000
    limit: Option<String>,
    /// raw (unadjusted), splits (split-adjusted) or all (adjusted for splits and dividends); default: splits
    adjustment: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Bars)]
pub(crate) struct BarsResponse {
    #[schema(value_type = String)]
    symbol: Ticker,
    #[schema(value_type = String)]
    timeframe: Timeframe,
    /// raw, splits or all
    #[schema(value_type = String)]
    adjustment: Adjustment,
    /// Oldest first
    bars: Vec<BarJson>,
}

/// Times are UTC and the bar's start; prices in dollars a share.
#[derive(Debug, Serialize, ToSchema)]
struct BarJson {
    #[schema(value_type = String, format = DateTime)]
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

/// Stored bars of a series, oldest first.
#[utoipa::path(
    get, path = "/api/v1/bars", tag = "api", params(BarsQuery),
    responses((status = 200, body = BarsResponse), (status = 400), (status = 401), (status = 404)),
    security(("bearer" = []), ("session" = []))
)]
pub(crate) async fn bars(
    State(app): State<App>,
    User(user): User,
    query: Result<Query<BarsQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<BarsResponse>, ApiError> {
    let Query(query) = query.map_err(|error| ApiError::bad_request(error.body_text()))?;
    let required = |value: Option<String>, name: &str| {
        value.filter(|text| !text.is_empty()).ok_or_else(|| ApiError::bad_request(format!("No {name} given")))
    };
    let ticker: Ticker = required(query.symbol, "symbol")?.parse().map_err(ApiError::invalid)?;
    let timeframe: Timeframe = required(query.timeframe, "timeframe")?.parse().map_err(ApiError::invalid)?;
    let from = instant(query.from, "from")?.unwrap_or(Timestamp::UNIX_EPOCH);
    let to = match instant(query.to, "to")? {
        Some(to) => to,
        None => store::clock::read(&app.database).await?.now(),
    };
    let range = Range::new(from, to).map_err(ApiError::invalid)?;
    let limit = match query.limit {
        Some(text) => text.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit)).ok_or_else(|| {
            ApiError::bad_request(format!("limit must be a number from 1 to {MAX_LIMIT}, not '{text}'"))
        })?,
        None => DEFAULT_LIMIT,
    };
    let adjustment = match query.adjustment {
        Some(text) => text.parse().map_err(ApiError::invalid)?,
        None => Adjustment::default(),
    };
    let query = AdjustedQuery { ticker: &ticker, timeframe, range: Some(range), limit, adjustment };
    let stored = adjusted::read(&app.database, Some(user), &app.calendars.current(), query)
        .await?
        .ok_or_else(|| ApiError::not_found(format!("No bars of {ticker} yet: add it to your watchlist first")))?;
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
    Ok(Json(BarsResponse { symbol: ticker, timeframe, adjustment, bars }))
}

fn instant(text: Option<String>, name: &str) -> Result<Option<Timestamp>, ApiError> {
    text.map(|text| {
        market::instant(&text).map_err(|expected| ApiError::bad_request(format!("{name} is '{text}', but {expected}")))
    })
    .transpose()
}
