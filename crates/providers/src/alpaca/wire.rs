//! The formats of Alpaca's requests and responses.
//!
//! In: JSON as sent. Out: our types. Holds: a missing required field is an error, never a default; a `null` in place of
//! a number is the check of bars' concern; only a `null` that was really sent ends the pages.

use std::collections::BTreeMap;

use jiff::{Timestamp, civil::Date};
use market::{AssetClass, Range, Ticker, Timeframe};
use serde::{Deserialize, Deserializer};

use crate::{record::Record, short_bar::ShortBar};

/// Rows of one page, over all symbols: Alpaca's maximum.
pub(super) const ROWS_PER_PAGE: usize = 10_000;

/// One page of `/v2/stocks/bars` or `/v1beta3/crypto/us/bars`.
#[derive(Debug, Deserialize)]
pub(super) struct BarsPage {
    /// By symbol; `null` if there are none.
    #[serde(deserialize_with = "sent")]
    pub(super) bars: Option<BTreeMap<String, Vec<ShortBar<Timestamp>>>>,
    #[serde(deserialize_with = "sent")]
    pub(super) next_page_token: Option<String>,
}

/// An entry of `/v2/assets`.
#[derive(Debug, Deserialize)]
pub(super) struct WireAsset {
    pub(super) class: String,
    pub(super) exchange: String,
    pub(super) name: Option<String>,
    pub(super) status: String,
}

/// An entry of the whole list.
#[derive(Debug, Deserialize)]
pub(super) struct WireListed {
    pub(super) symbol: String,
    #[serde(flatten)]
    pub(super) asset: WireAsset,
}

/// One page of `/v1/corporate-actions`, the requested kinds.
#[derive(Debug, Deserialize)]
pub(super) struct ActionsPage {
    pub(super) corporate_actions: WireActions,
    #[serde(deserialize_with = "sent")]
    pub(super) next_page_token: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct WireActions {
    pub(super) forward_splits: Vec<Record<WireSplit>>,
    pub(super) reverse_splits: Vec<Record<WireSplit>>,
    pub(super) stock_dividends: Vec<Record<WireDividend>>,
    pub(super) cash_dividends: Vec<Record<WireDividend>>,
}

impl WireActions {
    /// Adds those of the next page.
    pub(super) fn append(&mut self, next: Self) {
        self.forward_splits.extend(next.forward_splits);
        self.reverse_splits.extend(next.reverse_splits);
        self.stock_dividends.extend(next.stock_dividends);
        self.cash_dividends.extend(next.cash_dividends);
    }
}

/// `old_rate` shares became `new_rate`.
#[derive(Debug, PartialEq, Deserialize)]
pub(super) struct WireSplit {
    pub(super) symbol: String,
    pub(super) ex_date: Date,
    pub(super) new_rate: f64,
    pub(super) old_rate: f64,
    record_date: Option<String>,
    payable_date: Option<String>,
}

/// Dollars or shares for each share.
#[derive(Debug, PartialEq, Deserialize)]
pub(super) struct WireDividend {
    pub(super) symbol: String,
    pub(super) ex_date: Date,
    pub(super) rate: f64,
    record_date: Option<String>,
    payable_date: Option<String>,
}

/// A field that may be `null` but must be present: serde takes a missing `Option` for `null` unless it has a
/// deserializer.
fn sent<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    Option::deserialize(deserializer)
}

impl WireAsset {
    pub(super) fn asset_class(&self) -> Option<AssetClass> {
        match self.class.as_str() {
            "us_equity" => Some(AssetClass::Stock),
            "crypto" => Some(AssetClass::Crypto),
            _ => None,
        }
    }
}

/// `BTC/USD` for `BTC-USD`; stocks have our spelling.
pub(super) fn symbol(ticker: &Ticker) -> String {
    match ticker.pair() {
        Some((base, quote)) => format!("{base}/{quote}"),
        None => ticker.to_string(),
    }
}

pub(super) const fn timeframe(timeframe: Timeframe) -> &'static str {
    match timeframe {
        Timeframe::M1 => "1Min",
        Timeframe::M5 => "5Min",
        Timeframe::M15 => "15Min",
        Timeframe::M30 => "30Min",
        Timeframe::H1 => "1Hour",
        Timeframe::H4 => "4Hour",
        Timeframe::D1 => "1Day",
        Timeframe::W1 => "1Week",
    }
}

/// Path of an asset class's bars below the data address.
pub(super) const fn bars_path(asset_class: AssetClass) -> &'static [&'static str] {
    match asset_class {
        AssetClass::Stock => &["v2", "stocks", "bars"],
        AssetClass::Crypto => &["v1beta3", "crypto", "us", "bars"],
    }
}

/// First and last instant of a range for Alpaca, which includes both.
///
/// The last is a nanosecond before our exclusive end: exact for every range, where a whole second could precede the
/// start. A server that rounds it up sends one bar too many, which callers expect.
pub(super) fn inclusive(range: Range) -> (String, String) {
    let last = range.to().checked_sub(jiff::SignedDuration::from_nanos(1)).unwrap_or(range.from());
    (range.from().to_string(), last.to_string())
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
