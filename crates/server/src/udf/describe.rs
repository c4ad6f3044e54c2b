//! What there is: `/udf/config`, `/udf/time`, `/udf/search`, `/udf/symbols`.

use axum::{Json, extract::State};
use market::{AssetClass, Ticker, calendar::StockHours};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::directory::Found;
use utoipa::{IntoParams, ToSchema};

use super::{Asker, RESOLUTIONS, UdfError, UdfQuery};
use crate::app::App;

const USUAL: usize = 30;
const MOST: usize = 100;

/// No ticker and no word is longer.
const LONGEST: usize = 64;

/// What this feed can do.
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

/// The market's time, in Unix seconds, as a text.
#[utoipa::path(get, path = "/udf/time", tag = "udf", responses((status = 200, content_type = "text/plain", body = String)))]
pub(crate) async fn time(State(app): State<App>) -> Result<String, UdfError> {
    Ok(store::clock::read(&app.database).await?.now().as_second().to_string())
}

#[derive(Debug, Default, Deserialize, IntoParams)]
pub(crate) struct Looking {
    #[serde(default)]
    query: String,
    /// stock, etf or crypto; all where empty
    #[serde(default, rename = "type")]
    kind: String,
    /// All where empty
    #[serde(default)]
    exchange: String,
    /// 1 to 100; 30 where left out
    limit: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UdfHit)]
pub(crate) struct Hit {
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

/// Symbols that fit, the likeliest first.
#[utoipa::path(
    get, path = "/udf/search", tag = "udf", params(Looking),
    responses((status = 200, body = Vec<Hit>), (status = 400), (status = 401)), security(("bearer" = []), ("session" = []))
)]
pub(crate) async fn search(
    State(app): State<App>,
    Asker(user): Asker,
    UdfQuery(looking): UdfQuery<Looking>,
) -> Result<Json<Vec<Hit>>, UdfError> {
    let limit = match looking.limit.as_deref().map(str::trim) {
        None | Some("") => USUAL,
        Some(text) => text
            .parse()
            .ok()
            .filter(|limit| (1..=MOST).contains(limit))
            .ok_or_else(|| UdfError::bad(format!("limit must be a number from 1 to {MOST}, not '{text}'")))?,
    };
    let text: String = looking.query.trim().chars().take(LONGEST).collect();
    if text.is_empty() {
        return Ok(Json(Vec::new()));
    }
    let fits = |found: &Found| {
        (looking.kind.is_empty() || found.asset_type == looking.kind)
            && (looking.exchange.is_empty() || exchange(found).eq_ignore_ascii_case(&looking.exchange))
    };
    // What doesn't fit is left out after the search: all that the text may mean are looked through.
    let found = app.directory.search(user, &text, usize::MAX).await?;
    let hits = found.into_iter().filter(fits).take(limit).map(|found| Hit {
        full_name: found.ticker.to_string(),
        exchange: exchange(&found),
        symbol: found.ticker.clone(),
        ticker: found.ticker,
        description: found.description,
        kind: found.asset_type,
    });
    Ok(Json(hits.collect()))
}

fn exchange(found: &Found) -> String {
    match found.ticker.asset_class() {
        AssetClass::Crypto => "CRYPTO".to_owned(),
        AssetClass::Stock => found.exchange.clone(),
    }
}

#[derive(Debug, Default, Deserialize, IntoParams)]
pub(crate) struct Which {
    /// AAPL, or NASDAQ:AAPL
    #[serde(default)]
    symbol: String,
}

/// A symbol as charts want to know it. It has no field `s`.
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

/// A symbol; an unknown one is an error in the protocol's form.
#[utoipa::path(
    get, path = "/udf/symbols", tag = "udf", params(Which),
    responses((status = 200, body = Symbol), (status = 400), (status = 401)), security(("bearer" = []), ("session" = []))
)]
pub(crate) async fn symbols(
    State(app): State<App>,
    Asker(user): Asker,
    UdfQuery(which): UdfQuery<Which>,
) -> Result<Json<Symbol>, UdfError> {
    let ticker = parse(&which.symbol)?;
    let found = known(&app, user, &ticker).await?;
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

/// As charts name symbols: with the exchange before it, or not.
pub(crate) fn parse(text: &str) -> Result<Ticker, UdfError> {
    let name = text.trim().rsplit(':').next().unwrap_or_default();
    if name.is_empty() {
        return Err(UdfError::bad("No symbol given"));
    }
    name.parse().map_err(|error| UdfError::bad(format!("{error}")))
}

/// The symbol, where anybody lists it or somebody has asked for it before.
pub(crate) async fn known(app: &App, user: uuid::Uuid, ticker: &Ticker) -> Result<Found, UdfError> {
    let found = app.directory.search(user, ticker.as_str(), MOST).await?;
    if let Some(found) = found.into_iter().find(|found| found.ticker == *ticker) {
        return Ok(found);
    }
    Err(UdfError::told(format!("unknown symbol {ticker}")))
}
