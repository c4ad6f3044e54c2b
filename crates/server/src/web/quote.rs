//! The last price of a symbol, how it changed in its day, and the line of the day, for lists.
//!
//! In: the newest closes as traded. Out: prices in today's shares. A day is the market's session, of a market that never closes
//! the last 24 hours; its change is from the last close before it.

use std::collections::{HashMap, HashSet};

use jiff::SignedDuration;
use market::{
    Adjustment, AssetClass, Bar, Calendar, Calendars, Ticker,
    action::{self, Step},
};
use maud::{Markup, html};
use store::{
    Database, StoreError, actions, adjusted,
    quotes::{self, Newest},
    watchlists::Item,
};
use uuid::Uuid;

use super::format;

/// A day and the one before it in quarters of an hour, for a market that never closes.
const CLOSES: i64 = 100;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Quote {
    pub(super) last: f64,
    /// The close before the day; `None` where it isn't stored yet.
    pub(super) before: Option<f64>,
    /// The day's closes, with the one before it.
    pub(super) line: Vec<f64>,
    pub(super) provider: String,
    pub(super) is_final: bool,
}

/// The quotes of `items`, by symbol; those without a bar are left out.
pub(super) async fn of(
    database: &Database,
    calendars: &Calendars,
    user: Uuid,
    items: &[Item],
) -> Result<HashMap<Ticker, Quote>, StoreError> {
    let ids: Vec<Uuid> = items.iter().map(|item| item.symbol_id).collect();
    let newest = quotes::newest(database, user, &ids, CLOSES).await?;
    let oldest = newest.values().filter_map(|of| of.closes.first()).map(|close| close.start).min();
    let split = match oldest {
        Some(at) => actions::split_since(database, user, &ids, Calendar::Xnys.date_of(at)).await?,
        None => HashSet::new(),
    };
    let mut quotes = HashMap::new();
    for item in items {
        let Some(newest) = newest.get(&item.symbol_id) else { continue };
        let steps = match split.contains(&item.symbol_id) {
            true => adjusted::steps(database, Some(user), &item.symbol, Adjustment::Splits).await?,
            false => Vec::new(),
        };
        if let Some(quote) = quote(calendars, &item.symbol, newest, &steps) {
            quotes.insert(item.symbol.clone(), quote);
        }
    }
    Ok(quotes)
}

fn quote(calendars: &Calendars, ticker: &Ticker, newest: &Newest, steps: &[Step]) -> Option<Quote> {
    let mut bars: Vec<Bar> = newest
        .closes
        .iter()
        .map(|c| Bar {
            start: c.start,
            open: c.close,
            high: c.close,
            low: c.close,
            close: c.close,
            volume: 0.0,
            vwap: None,
            trade_count: None,
        })
        .collect();
    action::apply(&mut bars, steps);
    let last = bars.last()?;
    let begin = match ticker.asset_class() {
        AssetClass::Stock => calendars.sessions_of(Calendar::Xnys).session_at(last.start).map(|session| session.open),
        AssetClass::Crypto => last.start.checked_sub(SignedDuration::from_hours(24)).ok(),
    };
    // A day's bar is of no session's hours: the one before it is the day before.
    let begin = begin.unwrap_or(last.start);
    let first = bars.partition_point(|bar| bar.start < begin);
    let before = first.checked_sub(1).and_then(|n| bars.get(n)).map(|bar| bar.close);
    let line = before.into_iter().chain(bars.iter().skip(first).map(|bar| bar.close)).collect();
    Some(Quote { last: last.close, before, line, provider: newest.provider.clone(), is_final: newest.is_final })
}

impl Quote {
    pub(super) fn direction(&self) -> &'static str {
        match self.before {
            Some(before) if self.last > before => "up",
            Some(before) if self.last < before => "down",
            _ => "flat",
        }
    }

    pub(super) fn change(&self) -> Option<String> {
        format::change(self.before?, self.last)
    }

    /// The day as a line. For the eye only: the numbers stand beside it.
    pub(super) fn sparkline(&self) -> Markup {
        const WIDTH: f64 = 96.0;
        const HEIGHT: f64 = 24.0;
        let (low, high) = self.line.iter().fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(*v), h.max(*v)));
        let span = if high > low { high - low } else { 1.0 };
        let last = u32::try_from(self.line.len().saturating_sub(1)).unwrap_or(1).max(1);
        let y = |value: f64| HEIGHT - 2.0 - (value - low) / span * (HEIGHT - 4.0);
        let points: Vec<String> = self
            .line
            .iter()
            .zip(0u32..)
            .map(|(value, n)| format!("{:.1},{:.1}", f64::from(n) / f64::from(last) * WIDTH, y(*value)))
            .collect();
        html! {
            svg class={ "spark " (self.direction()) } viewBox="0 0 96 24" width="96" height="24" aria-hidden="true" {
                @if let Some(before) = self.before {
                    line.before x1="0" x2="96" y1=(format!("{:.1}", y(before))) y2=(format!("{:.1}", y(before))) {}
                }
                polyline points=(points.join(" ")) {}
            }
        }
    }
}
