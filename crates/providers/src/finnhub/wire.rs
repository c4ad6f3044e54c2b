//! The formats of Finnhub's requests and responses.
//!
//! In: parallel lists. Out: our types.

use jiff::{SignedDuration, Timestamp};
use market::{AssetClass, Bar, Calendar, Range, Ticker, Timeframe};
use serde::Deserialize;

use crate::{
    Asset,
    days::{days_of, midnight_of},
    number::Number,
    spelling::listed_ticker,
};

const SECONDS_OF_A_DAY: i64 = 24 * 60 * 60;

/// Lists of start, open, high, low, close and volume, and whether there are any.
#[derive(Debug, Deserialize)]
pub(super) struct Candles {
    s: String,
    #[serde(default)]
    t: Vec<i64>,
    #[serde(default)]
    o: Vec<Number>,
    #[serde(default)]
    h: Vec<Number>,
    #[serde(default)]
    l: Vec<Number>,
    #[serde(default)]
    c: Vec<Number>,
    #[serde(default)]
    v: Vec<Number>,
}

/// Empty if the symbol is unknown.
#[derive(Debug, Deserialize)]
pub(super) struct Profile {
    name: Option<String>,
    exchange: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Symbol {
    symbol: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    mic: String,
}

impl Candles {
    pub(super) fn bars(self, timeframe: Timeframe) -> Result<Vec<Bar>, String> {
        match self.s.as_str() {
            "ok" if self.t.is_empty() => return Err("candles that are 'ok' and none".to_owned()),
            "ok" => {}
            "no_data" if self.t.is_empty() => return Ok(Vec::new()),
            "no_data" => return Err(format!("{} candles that are 'no_data'", self.t.len())),
            _ => return Err(format!("candles that are '{}'", self.s.chars().take(40).collect::<String>())),
        }
        let lists = [&self.o, &self.h, &self.l, &self.c, &self.v];
        if lists.iter().any(|list| list.len() != self.t.len()) {
            return Err(format!("{} starts with lists of other lengths", self.t.len()));
        }
        let mut bars = Vec::with_capacity(self.t.len());
        for (n, second) in self.t.iter().enumerate() {
            let [Some(open), Some(high), Some(low), Some(close), Some(volume)] =
                lists.map(|list| list.get(n).map(|number| number.value()))
            else {
                break;
            };
            let start = start(*second, timeframe).ok_or_else(|| format!("a candle at {second} s"))?;
            bars.push(Bar { start, open, high, low, close, volume, vwap: None, trade_count: None });
        }
        Ok(bars)
    }
}

/// A daily bar starts at New York's midnight, whether it was sent with that or with UTC's.
fn start(second: i64, timeframe: Timeframe) -> Option<Timestamp> {
    let at = Timestamp::from_second(second).ok()?;
    match timeframe.minutes() {
        Some(_) => Some(at),
        None if second.rem_euclid(SECONDS_OF_A_DAY) == 0 => Calendar::Xnys.midnight(Calendar::AlwaysOpen.date_of(at)),
        None => midnight_of(at),
    }
}

impl Profile {
    pub(super) fn asset(self, ticker: &Ticker) -> Option<Asset> {
        Some(Asset {
            ticker: ticker.clone(),
            asset_class: AssetClass::Stock,
            name: self.name?,
            exchange: self.exchange.unwrap_or_default(),
            active: true,
        })
    }
}

impl Symbol {
    /// `None` if our format doesn't allow it.
    pub(super) fn asset(self) -> Option<Asset> {
        let ticker = listed_ticker(&self.symbol)?;
        (ticker.asset_class() == AssetClass::Stock).then_some(Asset {
            ticker,
            asset_class: AssetClass::Stock,
            name: self.description,
            exchange: self.mic,
            active: true,
        })
    }
}

/// First and last second. A daily bar that is sent with UTC's midnight begins before New York's.
pub(super) fn inclusive(window: Range, timeframe: Timeframe) -> (i64, i64) {
    let last = window.to().checked_sub(SignedDuration::from_nanos(1)).unwrap_or(window.from());
    let first = match timeframe.minutes() {
        Some(_) => window.from(),
        None => Calendar::AlwaysOpen.midnight(days_of(window).0).unwrap_or(window.from()).min(window.from()),
    };
    (first.as_second(), last.as_second())
}

/// In Finnhub's spelling; four hours have none and are not requested.
pub(super) fn resolution(timeframe: Timeframe) -> &'static str {
    match timeframe {
        Timeframe::M1 => "1",
        Timeframe::M5 => "5",
        Timeframe::M15 => "15",
        Timeframe::M30 => "30",
        Timeframe::H1 | Timeframe::H4 => "60",
        Timeframe::D1 => "D",
        Timeframe::W1 => "W",
    }
}
