//! The shape of Yahoo's chart, and the bars in it.
//!
//! In: JSON as sent: parallel lists that may contain null. Out: bars. Holds: the timeframe of the bars is the
//! requested one; lists of different lengths are an error; a row without any price is no bar, nor is one that starts
//! between bars, which is the last trade.

use jiff::Timestamp;
use market::{AssetClass, Bar, Ticker, Timeframe};
use serde::Deserialize;

use super::events::Events;
use crate::{
    Asset, FetchError,
    days::midnight_of,
    http::{Answer, Http},
    number::Number,
    one_ticker::WindowQuery,
};

#[derive(Debug, Deserialize)]
struct Envelope {
    chart: Body,
}

#[derive(Debug, Deserialize)]
struct Body {
    result: Option<Vec<Chart>>,
    error: Option<Problem>,
}

#[derive(Debug, Deserialize)]
struct Problem {
    code: Option<String>,
    description: Option<String>,
}

/// One symbol's chart.
#[derive(Debug, Deserialize)]
pub(super) struct Chart {
    meta: Meta,
    timestamp: Option<Vec<i64>>,
    indicators: Option<Indicators>,
    #[serde(default)]
    pub(super) events: Events,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Meta {
    symbol: Option<String>,
    data_granularity: String,
    instrument_type: Option<String>,
    exchange_name: Option<String>,
    long_name: Option<String>,
    short_name: Option<String>,
    first_trade_date: Option<i64>,
}

#[derive(Debug, Deserialize)]
struct Indicators {
    #[serde(default)]
    quote: Vec<Quote>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Quote {
    open: Vec<Option<Number>>,
    high: Vec<Option<Number>>,
    low: Vec<Option<Number>>,
    close: Vec<Option<Number>>,
    volume: Vec<Option<Number>>,
}

/// The contents of a response.
pub(super) enum Said {
    Chart(Box<Chart>),
    /// `chart.error`.
    Words(String),
}

/// Reads a response with status 200.
pub(super) fn said(answer: &Answer, http: &Http) -> Result<Said, FetchError> {
    let Envelope { chart } = answer.json(http)?;
    if let Some(problem) = chart.error {
        let words = problem.description.or(problem.code).unwrap_or_else(|| "an error without words".to_owned());
        return Ok(Said::Words(crate::words::presentable(&words, &[])));
    }
    let mut charts = chart.result.unwrap_or_default().into_iter();
    match (charts.next(), charts.next()) {
        (Some(chart), None) => Ok(Said::Chart(Box::new(chart))),
        _ => Err(http.bad_data(&format!("not one chart at {}", answer.address))),
    }
}

/// Whether the body is a chart's, so that its message is about the request.
pub(super) fn is_chart(body: &[u8]) -> bool {
    serde_json::from_slice::<Envelope>(body).is_ok_and(|envelope| envelope.chart.error.is_some())
}

/// Yahoo's message that nothing traded in the requested range.
pub(super) fn is_before_the_first_trade(words: &str) -> bool {
    words.to_ascii_lowercase().starts_with("data doesn't exist for startdate")
}

impl Chart {
    /// For unknown symbols Yahoo sends an empty chart without a first trade.
    pub(super) fn never_traded(&self) -> bool {
        self.timestamp.is_none() && self.meta.first_trade_date.is_none()
    }

    /// # Errors
    /// If it says that it is another symbol's.
    pub(super) fn check_symbol(&self, ticker: &Ticker) -> Result<(), String> {
        match self.meta.symbol.as_deref().filter(|sent| !sent.eq_ignore_ascii_case(&symbol(ticker))) {
            Some(other) => Err(format!("a chart of {other} where {ticker} was asked for")),
            None => Ok(()),
        }
    }

    pub(super) fn bars(self, query: &WindowQuery<'_>) -> Result<Vec<Bar>, String> {
        let timeframe = query.timeframe;
        let sent = self.meta.data_granularity.as_str();
        if sent != interval(timeframe) && !(timeframe == Timeframe::H1 && sent == "60m") {
            return Err(format!("bars of {sent} where {} was asked for", interval(timeframe)));
        }
        self.check_symbol(query.ticker)?;
        let Some(starts) = self.timestamp else { return Ok(Vec::new()) };
        let quote = self.indicators.and_then(|indicators| indicators.quote.into_iter().next()).unwrap_or_default();
        let lists = [&quote.open, &quote.high, &quote.low, &quote.close, &quote.volume];
        if lists.iter().any(|list| list.len() != starts.len()) {
            return Err(format!("{} timestamps with lists of other lengths", starts.len()));
        }
        let mut bars = Vec::with_capacity(starts.len());
        for (n, start) in starts.into_iter().enumerate() {
            let at = |list: &[Option<Number>]| list.get(n).copied().flatten().map(Number::value);
            let prices = [at(&quote.open), at(&quote.high), at(&quote.low), at(&quote.close)];
            if prices.iter().all(Option::is_none) {
                continue;
            }
            // Some but not all: an invalid bar, and not an interval without trades.
            let [open, high, low, close] = prices.map(|price| price.unwrap_or(f64::NAN));
            if timeframe.minutes().is_some_and(|minutes| start.rem_euclid(60 * minutes.min(30)) != 0) {
                continue;
            }
            let start = Timestamp::from_second(start).map_err(|_| format!("a bar at {start} s"))?;
            let start = match timeframe.minutes() {
                Some(_) => start,
                None => midnight_of(start).ok_or_else(|| format!("a day's bar at {start}"))?,
            };
            let volume = at(&quote.volume).unwrap_or(0.0);
            bars.push(Bar { start, open, high, low, close, volume, vwap: None, trade_count: None });
        }
        Ok(bars)
    }

    /// `None` for anything but a stock or fund that traded.
    pub(super) fn asset(self, ticker: &Ticker) -> Option<Asset> {
        let kind = self.meta.instrument_type.as_deref();
        let known = self.meta.first_trade_date.is_some() && matches!(kind, Some("EQUITY" | "ETF" | "MUTUALFUND"));
        (known && ticker.asset_class() == AssetClass::Stock).then(|| Asset {
            ticker: ticker.clone(),
            asset_class: AssetClass::Stock,
            name: self.meta.long_name.or(self.meta.short_name).unwrap_or_default(),
            exchange: self.meta.exchange_name.unwrap_or_default(),
            active: self.timestamp.is_some(),
        })
    }
}

/// In Yahoo's spelling: a share class is separated with a dash.
pub(super) fn symbol(ticker: &Ticker) -> String {
    ticker.as_str().replace('.', "-")
}

/// In Yahoo's spelling. 30 minutes, 4 hours and weeks are not requested.
pub(super) fn interval(timeframe: Timeframe) -> &'static str {
    match timeframe {
        Timeframe::M1 => "1m",
        Timeframe::M5 => "5m",
        Timeframe::M15 => "15m",
        Timeframe::M30 => "30m",
        Timeframe::H1 => "1h",
        Timeframe::H4 => "4h",
        Timeframe::D1 => "1d",
        Timeframe::W1 => "1wk",
    }
}
