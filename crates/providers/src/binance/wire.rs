//! The formats of Binance's requests and responses.
//!
//! In: JSON with numbers in quotes. Out: our types.

use jiff::Timestamp;
use market::{AssetClass, Bar, Ticker, Timeframe};
use serde::{Deserialize, de::IgnoredAny};

use crate::{Asset, number::Number};

/// Open time in milliseconds, open, high, low, close, volume, close time, volume in the quote currency, trades, and
/// three unused ones.
#[derive(Debug, Deserialize)]
pub(super) struct Candle(
    i64,
    Number,
    Number,
    Number,
    Number,
    Number,
    IgnoredAny,
    IgnoredAny,
    Number,
    IgnoredAny,
    IgnoredAny,
    IgnoredAny,
);

#[derive(Debug, Deserialize)]
pub(super) struct Exchange {
    pub(super) symbols: Vec<Symbol>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Symbol {
    status: String,
    base_asset: String,
    quote_asset: String,
}

#[derive(Debug, Deserialize)]
struct Problem {
    code: i64,
}

impl Candle {
    pub(super) fn into_bar(self) -> Result<Bar, String> {
        let Self(start, open, high, low, close, volume, _, _, trades, ..) = self;
        Ok(Bar {
            start: Timestamp::from_millisecond(start).map_err(|_| format!("a candle at {start} ms"))?,
            open: open.value(),
            high: high.value(),
            low: low.value(),
            close: close.value(),
            volume: volume.value(),
            vwap: None,
            trade_count: trades.count(),
        })
    }
}

impl Symbol {
    pub(super) fn is_trading(&self) -> bool {
        self.status == "TRADING"
    }

    /// The pair in our spelling, Tether as dollars; `None` if it has none.
    pub(super) fn ticker(&self) -> Option<Ticker> {
        let quote = if self.quote_asset == "USDT" { "USD" } else { &self.quote_asset };
        let ticker: Ticker = format!("{}-{quote}", self.base_asset).parse().ok()?;
        (ticker.asset_class() == AssetClass::Crypto).then_some(ticker)
    }

    pub(super) fn asset(&self, ticker: &Ticker) -> Asset {
        Asset {
            ticker: ticker.clone(),
            asset_class: AssetClass::Crypto,
            name: format!("{} / {}", self.base_asset, self.quote_asset),
            exchange: "Binance".to_owned(),
            active: self.is_trading(),
        }
    }
}

/// `BTCUSDT` for `BTC-USD`: there are no pairs in dollars.
pub(super) fn symbol(ticker: &Ticker) -> String {
    match ticker.pair() {
        Some((base, "USD")) => format!("{base}USDT"),
        Some((base, quote)) => format!("{base}{quote}"),
        None => ticker.to_string(),
    }
}

/// `usdt` where Tether replaces dollars.
pub(super) fn feed(ticker: &Ticker) -> &'static str {
    if ticker.pair().is_some_and(|(_, quote)| quote == "USD") { "usdt" } else { "spot" }
}

pub(super) fn is_unknown_symbol(body: &[u8]) -> bool {
    serde_json::from_slice::<Problem>(body).is_ok_and(|problem| problem.code == -1121)
}

pub(super) fn interval(timeframe: Timeframe) -> &'static str {
    match timeframe {
        Timeframe::M1 => "1m",
        Timeframe::M5 => "5m",
        Timeframe::M15 => "15m",
        Timeframe::M30 => "30m",
        Timeframe::H1 => "1h",
        Timeframe::H4 => "4h",
        Timeframe::D1 => "1d",
        Timeframe::W1 => "1w",
    }
}
