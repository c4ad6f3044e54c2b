//! The datafeed's configuration and symbols: `/udf/config`, `/udf/time`, `/udf/search`, `/udf/symbols`.

use axum::{Json, extract::State};
use market::{AssetClass, Ticker, calendar::StockHours};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::directory::Found;
use utoipa::{IntoParams, ToSchema};

use super::{RESOLUTIONS, UdfError, UdfQuery, UdfUser};
use crate::app::App;

const DEFAULT_LIMIT: usize = 30;
const MAX_LIMIT: usize = 100;

/// Longer queries are cut: no ticker and no word of a name is longer.
const MAX_QUERY_CHARS: usize = 64;

/// The capabilities of this datafeed.
#[utoipa::path(get, path = "/udf/config", tag = "udf", responses((status = 200, body = Object)))]
pub(crate) async fn config() -> Json<Value> {
    let resolutions: Vec<&str> = RESOLUTIONS.iter().map(|(name, _)| *name).collect();
    Json(json!({
        "supports_search": true,
        "supports_group_request": false,
        "supports_marks": false,
        "supports_timescale_marks": false,
        "supports_time": true,
        "exchanges": [
            { "value": "", "name": "All exchanges", "desc": "" },
            { "value": "NASDAQ", "name": "NASDAQ", "desc": "NASDAQ" },
            { "value": "NYSE", "name": "NYSE", "desc": "New York Stock Exchange" },
            { "value": "ARCA", "name": "ARCA", "desc": "NYSE Arca" },
            { "value": "AMEX", "name": "AMEX", "desc": "NYSE American" },
            { "value": "BATS", "name": "BATS", "desc": "Cboe BZX" },
            { "value": "CRYPTO", "name": "Crypto", "desc": "Crypto" },
        ],
        "symbols_types": [
            { "name": "All types", "value": "" },
            { "name": "Stocks", "value": "stock" },
            { "name": "Funds", "value": "etf" },
            { "name": "Crypto", "value": "crypto" },
        ],
        "supported_resolutions": resolutions,
    }))
}

/// The market's time in Unix seconds, as plain text.
#[utoipa::path(get, path = "/udf/time", tag = "udf", responses((status = 200, content_type = "text/plain", body = String)))]
pub(crate) async fn time(State(app): State<App>) -> Result<String, UdfError> {
    Ok(store::clock::read(&app.database).await?.now().as_second().to_string())
}

#[derive(Debug, Default, Deserialize, IntoParams)]
pub(crate) struct SearchQuery {
    #[serde(default)]
    query: String,
    /// stock, etf or crypto; default: all
    #[serde(default, rename = "type")]
    kind: String,
    /// Default: all
    #[serde(default)]
    exchange: String,
    /// 1 to 100; default: 30
    limit: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UdfHit)]
pub(crate) struct SearchResult {
    #[schema(value_type = String)]
    symbol: Ticker,
    full_name: String,
    description: String,
    exchange: String,
    #[schema(value_type = String)]
    ticker: Ticker,
    #[serde(rename = "type")]
    kind: String,
}

/// Matching symbols, best match first.
#[utoipa::path(
    get, path = "/udf/search", tag = "udf", params(SearchQuery),
    responses((status = 200, body = Vec<SearchResult>), (status = 400), (status = 401)), security(("bearer" = []), ("session" = []))
)]
pub(crate) async fn search(
    State(app): State<App>,
    UdfUser(user): UdfUser,
    UdfQuery(query): UdfQuery<SearchQuery>,
) -> Result<Json<Vec<SearchResult>>, UdfError> {
    let limit = match query.limit.as_deref().map(str::trim) {
        None | Some("") => DEFAULT_LIMIT,
        Some(text) => text.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit)).ok_or_else(|| {
            UdfError::bad_request(format!("limit must be a number from 1 to {MAX_LIMIT}, not '{text}'"))
        })?,
    };
    let text: String = query.query.trim().chars().take(MAX_QUERY_CHARS).collect();
    if text.is_empty() {
        return Ok(Json(Vec::new()));
    }
    let matches = |found: &Found| {
        (query.kind.is_empty() || found.asset_type == query.kind)
            && (query.exchange.is_empty() || exchange(found).eq_ignore_ascii_case(&query.exchange))
    };
    // Type and exchange are filtered after the search, so the search has no limit.
    let found = app.directory.search(user, &text, usize::MAX).await?;
    let results = found.into_iter().filter(matches).take(limit).map(|found| SearchResult {
        full_name: found.ticker.to_string(),
        exchange: exchange(&found),
        symbol: found.ticker.clone(),
        ticker: found.ticker,
        description: found.description,
        kind: found.asset_type,
    });
    Ok(Json(results.collect()))
}

fn exchange(found: &Found) -> String {
    match found.ticker.asset_class() {
        AssetClass::Crypto => "CRYPTO".to_owned(),
        AssetClass::Stock => found.exchange.clone(),
    }
}

#[derive(Debug, Default, Deserialize, IntoParams)]
pub(crate) struct SymbolQuery {
    /// AAPL, or NASDAQ:AAPL
    #[serde(default)]
    symbol: String,
}

/// A symbol, as the protocol describes it. It has no field `s`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UdfSymbol)]
pub(crate) struct Symbol {
    #[schema(value_type = String)]
    name: Ticker,
    #[schema(value_type = String)]
    ticker: Ticker,
    description: String,
    #[serde(rename = "type")]
    kind: String,
    session: &'static str,
    timezone: &'static str,
    exchange: String,
    listed_exchange: String,
    format: &'static str,
    minmov: u32,
    pricescale: u32,
    has_intraday: bool,
    has_daily: bool,
    has_weekly_and_monthly: bool,
    intraday_multipliers: Vec<&'static str>,
    supported_resolutions: Vec<&'static str>,
    volume_precision: u32,
    data_status: &'static str,
}

/// One symbol. An unknown symbol is an error with status 200.
#[utoipa::path(
    get, path = "/udf/symbols", tag = "udf", params(SymbolQuery),
    responses((status = 200, body = Symbol), (status = 400), (status = 401)), security(("bearer" = []), ("session" = []))
)]
pub(crate) async fn symbols(
    State(app): State<App>,
    UdfUser(user): UdfUser,
    UdfQuery(query): UdfQuery<SymbolQuery>,
) -> Result<Json<Symbol>, UdfError> {
    let ticker = parse_ticker(&query.symbol)?;
    let found = find_symbol(&app, user, &ticker).await?;
    let is_stock = ticker.asset_class() == AssetClass::Stock;
    let resolutions: Vec<&str> = RESOLUTIONS.iter().map(|(name, _)| *name).collect();
    let exchange = exchange(&found);
    Ok(Json(Symbol {
        name: ticker.clone(),
        description: if found.description.is_empty() { ticker.to_string() } else { found.description },
        ticker,
        kind: if found.asset_type == "etf" { "fund".to_owned() } else { found.asset_type },
        session: match (is_stock, app.calendars.current().stock_hours()) {
            (false, _) => "24x7",
            (true, StockHours::Regular) => "0930-1600",
            (true, StockHours::Extended) => "0400-2000",
        },
        timezone: if is_stock { "America/New_York" } else { "Etc/UTC" },
        listed_exchange: exchange.clone(),
        exchange,
        format: "price",
        minmov: 1,
        pricescale: if is_stock { 100 } else { 100_000_000 },
        has_intraday: true,
        has_daily: true,
        has_weekly_and_monthly: true,
        intraday_multipliers: resolutions
            .iter()
            .copied()
            .filter(|name| !name.starts_with("1D") && !name.starts_with("1W"))
            .collect(),
        supported_resolutions: resolutions,
        volume_precision: if is_stock { 0 } else { 8 },
        data_status: "streaming",
    }))
}

/// Parses `AAPL` or `NASDAQ:AAPL`.
pub(crate) fn parse_ticker(text: &str) -> Result<Ticker, UdfError> {
    let name = text.trim().rsplit(':').next().unwrap_or_default();
    if name.is_empty() {
        return Err(UdfError::bad_request("No symbol given"));
    }
    name.parse().map_err(|error| UdfError::bad_request(format!("{error}")))
}

/// A symbol that is listed or stored.
pub(crate) async fn find_symbol(app: &App, user: uuid::Uuid, ticker: &Ticker) -> Result<Found, UdfError> {
    let found = app.directory.search(user, ticker.as_str(), MAX_LIMIT).await?;
    if let Some(found) = found.into_iter().find(|found| found.ticker == *ticker) {
        return Ok(found);
    }
    Err(UdfError::with_ok_status(format!("Unknown symbol {ticker}")))
}
