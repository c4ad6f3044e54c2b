//! The formats of Tradier's requests and responses.
//!
//! In: JSON made from XML, where a list of one is its single element and an empty one `null`. Out: our types.

use jiff::{SignedDuration, Timestamp, civil::Date};
use market::{AssetClass, Bar, Calendar, Range, Ticker, Timeframe};
use serde::{Deserialize, Deserializer};

use crate::{Asset, number::Number};

/// `/v1/markets/timesales`.
#[derive(Debug, Deserialize)]
pub(super) struct TimeSales {
    #[serde(deserialize_with = "sent")]
    series: Option<Series>,
}

#[derive(Debug, Deserialize)]
struct Series {
    data: OneOrMany<Sale>,
}

/// `time` is New York's wall time, `timestamp` the same in unix seconds.
#[derive(Debug, Deserialize)]
struct Sale {
    timestamp: i64,
    open: Number,
    high: Number,
    low: Number,
    close: Number,
    volume: Number,
    vwap: Option<Number>,
}

/// `/v1/markets/history`.
#[derive(Debug, Deserialize)]
pub(super) struct History {
    #[serde(deserialize_with = "sent")]
    history: Option<Days>,
}

#[derive(Debug, Deserialize)]
struct Days {
    day: OneOrMany<Day>,
}

#[derive(Debug, Deserialize)]
struct Day {
    date: Date,
    open: Number,
    high: Number,
    low: Number,
    close: Number,
    volume: Number,
}

/// `/v1/markets/quotes`.
#[derive(Debug, Deserialize)]
pub(super) struct Quotes {
    quotes: Option<Quoted>,
}

#[derive(Debug, Deserialize)]
struct Quoted {
    quote: Option<OneOrMany<Quote>>,
}

#[derive(Debug, Deserialize)]
struct Quote {
    symbol: String,
    description: Option<String>,
    exch: Option<String>,
}

/// Reads a single element as a list of one.
#[derive(Debug)]
struct OneOrMany<T>(Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<T>(std::marker::PhantomData<T>);

        impl<'de, T: Deserialize<'de>> serde::de::Visitor<'de> for Visitor<T> {
            type Value = Vec<T>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list, or one of its things")
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut things = Vec::new();
                while let Some(thing) = list.next_element()? {
                    things.push(thing);
                }
                Ok(things)
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(serde::de::value::MapAccessDeserializer::new(map)).map(|thing| vec![thing])
            }
        }

        deserializer.deserialize_any(Visitor(std::marker::PhantomData)).map(Self)
    }
}

/// A field that may be `null` but must be present.
fn sent<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    Option::deserialize(deserializer)
}

impl TimeSales {
    pub(super) fn bars(self) -> Result<Vec<Bar>, String> {
        let sales = self.series.map(|series| series.data.0).unwrap_or_default();
        let bar = |sale: Sale| {
            let second = sale.timestamp;
            Ok(Bar {
                start: Timestamp::from_second(second).map_err(|_| format!("a bar at {second} s"))?,
                open: sale.open.value(),
                high: sale.high.value(),
                low: sale.low.value(),
                close: sale.close.value(),
                volume: sale.volume.value(),
                vwap: sale.vwap.and_then(Number::finite),
                trade_count: None,
            })
        };
        sales.into_iter().map(bar).collect()
    }
}

impl History {
    /// A daily bar starts at New York's midnight.
    pub(super) fn bars(self) -> Result<Vec<Bar>, String> {
        let days = self.history.map(|history| history.day.0).unwrap_or_default();
        let bar = |day: Day| {
            Ok(Bar {
                start: Calendar::Xnys.midnight(day.date).ok_or_else(|| format!("a bar of {}", day.date))?,
                open: day.open.value(),
                high: day.high.value(),
                low: day.low.value(),
                close: day.close.value(),
                volume: day.volume.value(),
                vwap: None,
                trade_count: None,
            })
        };
        days.into_iter().map(bar).collect()
    }
}

impl Quotes {
    /// `None` if the symbol is among the unmatched ones.
    pub(super) fn asset(self, ticker: &Ticker) -> Option<Asset> {
        let quotes = self.quotes?.quote?.0;
        let quote = quotes.into_iter().find(|quote| quote.symbol == symbol(ticker))?;
        Some(Asset {
            ticker: ticker.clone(),
            asset_class: AssetClass::Stock,
            name: quote.description.unwrap_or_default(),
            exchange: quote.exch.unwrap_or_default(),
            active: true,
        })
    }
}

/// `BRK/B` for `BRK.B`.
pub(super) fn symbol(ticker: &Ticker) -> String {
    ticker.as_str().replace('.', "/")
}

/// Start and end in New York's wall time, in whole minutes around the window: whether the end is inclusive makes no
/// difference to bars that start within.
pub(super) fn wall_times(window: Range) -> (String, String) {
    let zone = Calendar::Xnys.time_zone();
    let minute = SignedDuration::from_mins(1);
    let up = window.to().checked_add(minute - SignedDuration::from_nanos(1)).unwrap_or(window.to());
    let wall = |at: Timestamp| zone.to_datetime(at).strftime("%Y-%m-%d %H:%M").to_string();
    (wall(window.from()), wall(up))
}

/// Whether Tradier says that the start is before its history.
pub(super) fn is_too_old(body: &[u8]) -> bool {
    body.len() < 1_024 && String::from_utf8_lossy(body).contains("must be on or after")
}

pub(super) fn interval(timeframe: Timeframe) -> &'static str {
    match timeframe {
        Timeframe::M1 => "1min",
        Timeframe::M5 => "5min",
        _ => "15min",
    }
}
