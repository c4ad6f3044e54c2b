//! `GET|POST /functions/v1/chart` with symbol, timeframe and days: split-adjusted bars for the old clients' charts.

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

use crate::{app::App, auth::TokenUser, body::JsonBody, error::ApiError, interest};

const DEFAULT_DAYS: i64 = 30;
const MAX_DAYS: i64 = 36_500;
const MAX_BARS: i64 = 50_000;

#[derive(Debug, Deserialize, IntoParams, ToSchema)]
#[schema(as = ChartQuestion)]
pub(crate) struct ChartQuery {
    #[serde(default)]
    symbol: String,
    /// Default: h1
    #[serde(default)]
    timeframe: String,
    /// Default: 30
    #[param(value_type = Option<i64>)]
    #[schema(value_type = Option<i64>)]
    days: Option<Days>,
}

/// A number, or a string in a query.
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
    data_quality: DataQuality,
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
pub(crate) struct DataQuality {
    /// Since the start of the newest bar
    data_age_hours: i64,
    is_stale: bool,
    has_recent_data: bool,
    historical_depth_days: i64,
    bar_count: usize,
}

/// The bars of the last days of a series, and how fresh they are. Records `chart_view` interest.
#[utoipa::path(
    get, path = "/functions/v1/chart", tag = "functions", params(ChartQuery),
    responses((status = 200, body = Chart), (status = 400), (status = 401), (status = 404, description = "Unknown symbol")),
    security(("bearer" = []))
)]
pub(crate) async fn by_query(
    State(app): State<App>,
    TokenUser(user): TokenUser,
    Query(query): Query<ChartQuery>,
) -> Result<Json<Chart>, ApiError> {
    chart(&app, user, query).await.map(Json)
}

/// The same with a body.
#[utoipa::path(
    post, path = "/functions/v1/chart", tag = "functions", request_body = ChartQuery,
    responses((status = 200, body = Chart), (status = 400), (status = 401), (status = 404, description = "Unknown symbol")),
    security(("bearer" = []))
)]
pub(crate) async fn by_body(
    State(app): State<App>,
    TokenUser(user): TokenUser,
    JsonBody(query): JsonBody<ChartQuery>,
) -> Result<Json<Chart>, ApiError> {
    chart(&app, user, query).await.map(Json)
}

async fn chart(app: &App, user: Uuid, query: ChartQuery) -> Result<Chart, ApiError> {
    if query.symbol.trim().is_empty() {
        return Err(ApiError::bad_request("No symbol provided"));
    }
    let invalid = |what: &str, error: &dyn std::fmt::Display| ApiError::bad_request(format!("Invalid {what}: {error}"));
    let symbol: Ticker = query.symbol.parse().map_err(|error| invalid("symbol", &error))?;
    let timeframe: Timeframe = match query.timeframe.trim() {
        "" => Timeframe::H1,
        text => text.parse().map_err(|error| invalid("timeframe", &error))?,
    };
    let days = match query.days {
        None => Some(DEFAULT_DAYS),
        Some(Days::Number(days)) => Some(days),
        Some(Days::Text(text)) => text.trim().parse().ok(),
    };
    let days = days
        .filter(|days| (1..=MAX_DAYS).contains(days))
        .ok_or_else(|| ApiError::bad_request(format!("Invalid days: a number from 1 to {MAX_DAYS} is expected")))?;
    let id = symbols::id(&app.database, &symbol).await?;
    let is_stored = id.is_some();
    let symbol_id = match id {
        Some(id) => id,
        None => {
            let matches = app.directory.search(user, symbol.as_str(), 1).await?;
            let known = matches.into_iter().find(|found| found.ticker == symbol);
            known.ok_or_else(|| ApiError::not_found(format!("Symbol {symbol} not found")))?.id
        }
    };
    match interest::record_chart_view(&app.database, user, &symbol, timeframe).await {
        Ok(true) => app.signals.wake_here(),
        Ok(false) => {}
        // A user at the limit of symbols may still read stored bars.
        Err(StoreError::Refused(_)) if is_stored => {}
        Err(error) => return Err(error.into()),
    }

    let calendars = app.calendars.current();
    let now = store::clock::read(&app.database).await?.now();
    let from = now.checked_sub(SignedDuration::from_hours(24 * days)).unwrap_or(Timestamp::MIN);
    let range = Range::new(from, now).map_err(ApiError::invalid)?;
    let selection = adjusted::AdjustedQuery {
        ticker: &symbol,
        timeframe,
        range: Some(range),
        limit: MAX_BARS,
        adjustment: Adjustment::Splits,
    };
    let stored = adjusted::read(&app.database, Some(user), &calendars, selection).await?.unwrap_or_default();
    let series = coverage::of_symbol(&app.database, Some(user), &symbol).await?;
    let state = series.iter().find(|series| series.timeframe == timeframe).map_or("", |series| series.state.as_str());
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
    Ok(response(symbol, symbol_id, timeframe, stored, now, status, is_market_open))
}

fn response(
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
        .map(|stored| ChartBar {
            ts: stored.bar.start,
            open: stored.bar.open,
            high: stored.bar.high,
            low: stored.bar.low,
            close: stored.bar.close,
            volume: stored.bar.volume,
            provider: stored.provider,
            is_partial: !stored.is_final,
        })
        .collect();
    Chart {
        symbol,
        symbol_id,
        timeframe,
        bars,
        meta: Meta { last_bar_ts: last, data_status, is_market_open, total_bars: count },
        data_quality: DataQuality {
            data_age_hours: last.map_or(0, |last| hours(last, now)),
            is_stale: data_status == "stale",
            has_recent_data: count > 0 && data_status != "stale",
            historical_depth_days: first.zip(last).map_or(0, |(first, last)| hours(first, last) / 24),
            bar_count: count,
        },
    }
}
