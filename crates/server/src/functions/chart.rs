//! `GET|POST /functions/v1/chart` with symbol, timeframe and days: bars as the old clients draw them, in today's shares.

use axum::{
    Json,
    extract::{Query, State},
};
use jiff::{SignedDuration, Timestamp};
use market::{Adjustment, Range, Ticker, Timeframe};
use serde::{Deserialize, Serialize};
use store::{StoreError, adjusted, bars::StoredBar, coverage, symbols};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::{app::App, auth::TokenUser, body::Body, error::ApiError, interest};

const USUAL_DAYS: i64 = 30;
const MOST_DAYS: i64 = 36_500;
const MOST_BARS: i64 = 50_000;

#[derive(Debug, Deserialize, IntoParams, ToSchema)]
#[schema(as = ChartQuestion)]
pub(crate) struct Asked {
    #[serde(default)]
    symbol: String,
    /// h1 where left out
    #[serde(default)]
    timeframe: String,
    /// 30 where left out
    #[param(value_type = Option<i64>)]
    #[schema(value_type = Option<i64>)]
    days: Option<Days>,
}

/// A number, in a query or in JSON.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Days {
    Number(i64),
    Text(String),
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Chart {
    #[schema(value_type = String)]
    symbol: Ticker,
    symbol_id: Uuid,
    #[schema(value_type = String)]
    timeframe: Timeframe,
    /// Oldest first
    bars: Vec<ChartBar>,
    meta: Meta,
    #[serde(rename = "dataQuality")]
    data_quality: Quality,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChartBar {
    #[schema(value_type = String, format = DateTime)]
    ts: Timestamp,
    open: f64,
    high: f64,
    low: f64,
    close: f64,
    volume: f64,
    provider: String,
    is_partial: bool,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ChartMeta)]
pub(crate) struct Meta {
    #[schema(value_type = Option<String>, format = DateTime)]
    last_bar_ts: Option<Timestamp>,
    /// fresh, stale, refreshing or no_data
    data_status: &'static str,
    is_market_open: bool,
    total_bars: usize,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ChartDataQuality)]
pub(crate) struct Quality {
    /// Since the newest bar began
    data_age_hours: i64,
    is_stale: bool,
    has_recent_data: bool,
    historical_depth_days: i64,
    bar_count: usize,
}

/// The bars of the last days of a series, and how fresh they are. Asking is `chart_view` interest.
#[utoipa::path(
    get, path = "/functions/v1/chart", tag = "functions", params(Asked),
    responses((status = 200, body = Chart), (status = 400), (status = 401), (status = 404, description = "Nobody lists it")),
    security(("bearer" = []))
)]
pub(crate) async fn by_query(
    State(app): State<App>,
    TokenUser(user): TokenUser,
    Query(asked): Query<Asked>,
) -> Result<Json<Chart>, ApiError> {
    chart(&app, user, asked).await.map(Json)
}

/// The same with a body.
#[utoipa::path(
    post, path = "/functions/v1/chart", tag = "functions", request_body = Asked,
    responses((status = 200, body = Chart), (status = 400), (status = 401), (status = 404, description = "Nobody lists it")),
    security(("bearer" = []))
)]
pub(crate) async fn by_body(
    State(app): State<App>,
    TokenUser(user): TokenUser,
    Body(asked): Body<Asked>,
) -> Result<Json<Chart>, ApiError> {
    chart(&app, user, asked).await.map(Json)
}

async fn chart(app: &App, user: Uuid, asked: Asked) -> Result<Chart, ApiError> {
    if asked.symbol.trim().is_empty() {
        return Err(ApiError::bad_request("No symbol provided"));
    }
    let invalid = |what: &str, error: &dyn std::fmt::Display| ApiError::bad_request(format!("Invalid {what}: {error}"));
    let symbol: Ticker = asked.symbol.parse().map_err(|error| invalid("symbol", &error))?;
    let timeframe: Timeframe = match asked.timeframe.trim() {
        "" => Timeframe::H1,
        text => text.parse().map_err(|error| invalid("timeframe", &error))?,
    };
    let days = match asked.days {
        None => Some(USUAL_DAYS),
        Some(Days::Number(days)) => Some(days),
        Some(Days::Text(text)) => text.trim().parse().ok(),
    };
    let days = days
        .filter(|days| (1..=MOST_DAYS).contains(days))
        .ok_or_else(|| ApiError::bad_request(format!("Invalid days: a number from 1 to {MOST_DAYS} is expected")))?;
    let id = symbols::id(&app.database, &symbol).await?;
    let is_there = id.is_some();
    let symbol_id = match id {
        Some(id) => id,
        None => {
            let listed = app.directory.search(user, symbol.as_str(), 1).await?;
            let known = listed.into_iter().find(|found| found.ticker == symbol);
            known.ok_or_else(|| ApiError::not_found(format!("Symbol {symbol} not found")))?.id
        }
    };
    match interest::look_at(&app.database, user, &symbol, timeframe).await {
        Ok(true) => app.signals.wake_here(),
        Ok(false) => {}
        // Who wants too much already may look at what is there all the same.
        Err(StoreError::Refused(_)) if is_there => {}
        Err(error) => return Err(error.into()),
    }

    let calendars = app.calendars.current();
    let now = store::clock::read(&app.database).await?.now();
    let from = now.checked_sub(SignedDuration::from_hours(24 * days)).unwrap_or(Timestamp::MIN);
    let range = Range::new(from, now).map_err(ApiError::invalid)?;
    let wanted = adjusted::Wanted {
        ticker: &symbol,
        timeframe,
        range: Some(range),
        limit: MOST_BARS,
        adjustment: Adjustment::Splits,
    };
    let stored = adjusted::read(&app.database, Some(user), &calendars, wanted).await?.unwrap_or_default();
    let series = coverage::of_symbol(&app.database, Some(user), &symbol).await?;
    let state = series.iter().find(|of| of.timeframe == timeframe).map_or("", |of| of.state.as_str());
    if state == "unknown" {
        return Err(ApiError::not_found(format!("Symbol {symbol} not found: no provider knows it")));
    }
    let status = match state {
        "filling" => "refreshing",
        _ if stored.is_empty() => "no_data",
        "complete" | "delisted" => "fresh",
        _ => "stale",
    };
    let calendar = symbols::calendar(&app.database, &symbol).await?;
    let is_market_open = calendars.sessions_of(calendar).session_at(now).is_some();
    Ok(told(symbol, symbol_id, timeframe, stored, now, status, is_market_open))
}

fn told(
    symbol: Ticker,
    symbol_id: Uuid,
    timeframe: Timeframe,
    stored: Vec<StoredBar>,
    now: Timestamp,
    data_status: &'static str,
    is_market_open: bool,
) -> Chart {
    let (first, last) = (stored.first().map(|bar| bar.bar.start), stored.last().map(|bar| bar.bar.start));
    let hours = |from: Timestamp, to: Timestamp| to.duration_since(from).as_hours();
    let count = stored.len();
    let bars = stored
        .into_iter()
        .map(|of| ChartBar {
            ts: of.bar.start,
            open: of.bar.open,
            high: of.bar.high,
            low: of.bar.low,
            close: of.bar.close,
            volume: of.bar.volume,
            provider: of.provider,
            is_partial: !of.is_final,
        })
        .collect();
    Chart {
        symbol,
        symbol_id,
        timeframe,
        bars,
        meta: Meta { last_bar_ts: last, data_status, is_market_open, total_bars: count },
        data_quality: Quality {
            data_age_hours: last.map_or(0, |last| hours(last, now)),
            is_stale: data_status == "stale",
            has_recent_data: count > 0 && data_status != "stale",
            historical_depth_days: first.zip(last).map_or(0, |(first, last)| hours(first, last) / 24),
            bar_count: count,
        },
    }
}
