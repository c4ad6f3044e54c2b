//! Bars of any source, in Alpaca's order.
//!
//! In: a [`BarsQuery`]. Out: its first [`Rows`]. Holds: no minute that ends after the query's horizon adds to a bar,
//! a bar is omitted or complete as of then, and no more days are read than the rows need.

use jiff::{Timestamp, civil::Date};
use market::{Calendar, Ticker};

use crate::{
    Settings, SimError, Source,
    folder::{self, Folder},
    listing,
    minute::Minute,
    span::{Days, Span, Sum},
    synthetic::{self, Instrument, Synthetic},
};

/// Where bars come from.
#[derive(Debug)]
pub(crate) enum Data {
    Synthetic(Synthetic),
    Folder(Folder),
}

/// A query for symbols of one asset class.
#[derive(Clone, Debug)]
pub(crate) struct BarsQuery {
    /// In the order of the answer.
    pub(crate) tickers: Vec<Ticker>,
    pub(crate) calendar: Calendar,
    pub(crate) span: Span,
    /// First and last start of a bar, unix seconds.
    pub(crate) first: i64,
    pub(crate) last: i64,
    /// Unix seconds; minutes that end later haven't happened yet.
    pub(crate) horizon: i64,
    pub(crate) newest_first: bool,
    /// Only what comes after this bar: index of its ticker, and its start.
    pub(crate) after: Option<(usize, i64)>,
    pub(crate) limit: usize,
}

/// A response's bars: ticker by ticker, in the order of the query.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Rows {
    /// With the index of its ticker.
    pub(crate) bars: Vec<(usize, Minute)>,
    /// There are more than the limit.
    pub(crate) more: bool,
}

enum Series<'a> {
    MadeUp(Instrument),
    Read(&'a [Minute]),
}

impl Data {
    /// # Errors
    /// What is wrong with a folder of bars.
    pub(crate) fn open(settings: &Settings) -> Result<Self, SimError> {
        Ok(match &settings.source {
            Source::Synthetic => Self::Synthetic(Synthetic::new(settings)),
            Source::Folder(folder) => Self::Folder(Folder::read(folder)?),
        })
    }

    pub(crate) fn knows(&self, ticker: &Ticker) -> bool {
        match self {
            Self::Synthetic(market) => market.knows(ticker),
            Self::Folder(folder) => folder.minutes(ticker).is_some(),
        }
    }

    /// The tickers of the asset list: well-known names, or the folder's.
    pub(crate) fn listed(&self) -> Vec<Ticker> {
        let mut tickers: Vec<Ticker> = match self {
            Self::Synthetic(market) => listing::tickers().filter(|ticker| market.knows(ticker)).collect(),
            Self::Folder(folder) => folder.tickers().cloned().collect(),
        };
        tickers.sort();
        tickers
    }

    /// From when on queries are answered. A folder is complete: before its files there was no trade, and queries
    /// return nothing instead of being refused.
    pub(crate) fn earliest() -> Timestamp {
        Calendar::AlwaysOpen.midnight(synthetic::FIRST_DAY).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    pub(crate) fn rows(&self, query: &BarsQuery) -> Rows {
        let mut rows = Rows::default();
        let first_ticker = query.after.map_or(0, |(ticker, _)| ticker);
        for (index, ticker) in query.tickers.iter().enumerate().skip(first_ticker) {
            let after = query.after.filter(|(ticker, _)| *ticker == index).map(|(_, start)| start);
            let Some(series) = self.series(ticker) else { continue };
            series.append(query, index, after, &mut rows);
            if rows.more {
                break;
            }
        }
        rows
    }

    fn series(&self, ticker: &Ticker) -> Option<Series<'_>> {
        Some(match self {
            Self::Synthetic(market) => Series::MadeUp(market.instrument(ticker)?),
            Self::Folder(folder) => Series::Read(folder.minutes(ticker)?),
        })
    }
}

impl Series<'_> {
    fn append(&self, query: &BarsQuery, index: usize, after: Option<i64>, rows: &mut Rows) {
        let BarsQuery { calendar, span, newest_first, .. } = *query;
        let (mut first, mut last) = (query.first, query.last.min(query.horizon));
        match after {
            Some(start) if newest_first => last = last.min(start.saturating_sub(1)),
            Some(start) => first = first.max(start.saturating_add(1)),
            None => {}
        }
        let Some((oldest_day, newest_day)) = self.reach(calendar) else { return };
        let date = |seconds: i64| Timestamp::from_second(seconds).ok().map(|at| calendar.date_of(at));
        let (Some(from), Some(to)) = (date(first), date(last)) else { return };
        let (Some(oldest), Some(newest)) = (span.days(oldest_day.max(from)), span.days(newest_day.min(to))) else {
            return;
        };
        let mut minutes = Vec::new();
        let mut next = Some(if newest_first { newest } else { oldest });
        while let Some(days) = next.filter(|days| oldest.from <= days.from && days.from <= newest.from) {
            let mut bars = self.bars(query, days, &mut minutes);
            if newest_first {
                bars.reverse();
            }
            for bar in bars.into_iter().filter(|bar| first <= bar.start && bar.start <= last) {
                if rows.bars.len() == query.limit {
                    rows.more = true;
                    return;
                }
                rows.bars.push((index, bar));
            }
            let neighbour = if newest_first { days.from.yesterday().ok() } else { Some(days.to) };
            next = neighbour.and_then(|date| span.days(date));
        }
    }

    /// The bars of `days`; `minutes` is scratch space.
    fn bars(&self, query: &BarsQuery, days: Days, minutes: &mut Vec<Minute>) -> Vec<Minute> {
        let BarsQuery { calendar, span, horizon, .. } = *query;
        let mut sum = Sum::new(span, calendar, days);
        let happened = |minutes: &[Minute]| minutes.partition_point(|minute| minute.start + 60 <= horizon);
        match self {
            Self::MadeUp(instrument) => {
                for date in days.dates() {
                    minutes.clear();
                    instrument.append(date, minutes);
                    let count = happened(minutes);
                    sum.add(&minutes[..count]);
                    if count < minutes.len() {
                        break;
                    }
                }
            }
            Self::Read(series) => {
                let midnight = |date| calendar.midnight(date).map_or(i64::MAX, Timestamp::as_second);
                let (from, to) = (midnight(days.from), midnight(days.to));
                let begin = series.partition_point(|minute| minute.start < from);
                let end = series.partition_point(|minute| minute.start < to);
                let day = &series[begin..end];
                sum.add(&day[..happened(day)]);
            }
        }
        sum.bars
    }

    /// The first and last day that can have bars.
    fn reach(&self, calendar: Calendar) -> Option<(Date, Date)> {
        match self {
            Self::MadeUp(_) => Some((synthetic::FIRST_DAY, Date::MAX)),
            Self::Read(minutes) => {
                Some((folder::date_of(calendar, minutes.first()?)?, folder::date_of(calendar, minutes.last()?)?))
            }
        }
    }
}
