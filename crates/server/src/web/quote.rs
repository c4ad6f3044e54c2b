//! Quotes for the watchlist: last price, change of the day and sparkline.
//!
//! In: the newest closes, unadjusted. Out: split-adjusted prices. The day is the current or last session, or the last 24 hours for
//! crypto; its change is from the previous close.

use std::collections::{HashMap, HashSet};

use jiff::SignedDuration;
use market::{
    Adjustment, AssetClass, Bar, Calendar, Calendars, Ticker,
    action::{self, Step},
};
use maud::{Markup, html};
use store::{
    Database, StoreError, adjusted, corporate_actions,
    quotes::{self, Newest},
    watchlists::Item,
};
use uuid::Uuid;

use super::format;

/// 24 hours of m15 bars and the previous close.
const CLOSES: i64 = 100;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Quote {
    pub(super) last: f64,
    /// `None` where it isn't stored yet.
    pub(super) previous_close: Option<f64>,
    /// The closes of the day, after the previous close.
    pub(super) closes: Vec<f64>,
    pub(super) provider: String,
    pub(super) is_final: bool,
}

/// The quotes of `items`, by symbol; symbols without bars are left out.
pub(super) async fn latest(
    database: &Database,
    calendars: &Calendars,
    user: Uuid,
    items: &[Item],
) -> Result<HashMap<Ticker, Quote>, StoreError> {
    let ids: Vec<Uuid> = items.iter().map(|item| item.symbol_id).collect();
    let newest = quotes::newest(database, user, &ids, CLOSES).await?;
    let oldest = newest.values().filter_map(|newest| newest.closes.first()).map(|close| close.start).min();
    let split = match oldest {
        Some(at) => corporate_actions::split_since(database, user, &ids, Calendar::Xnys.date_of(at)).await?,
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
    // Daily bars start outside session hours: the previous close is that of the bar before.
    let begin = begin.unwrap_or(last.start);
    let first = bars.partition_point(|bar| bar.start < begin);
    let previous_close = first.checked_sub(1).and_then(|n| bars.get(n)).map(|bar| bar.close);
    let closes = previous_close.into_iter().chain(bars.iter().skip(first).map(|bar| bar.close)).collect();
    Some(Quote {
        last: last.close,
        previous_close,
        closes,
        provider: newest.provider.clone(),
        is_final: newest.is_final,
    })
}

impl Quote {
    pub(super) fn direction(&self) -> &'static str {
        match self.previous_close {
            Some(previous) if self.last > previous => "up",
            Some(previous) if self.last < previous => "down",
            _ => "flat",
        }
    }

    pub(super) fn change(&self) -> Option<String> {
        format::change(self.previous_close?, self.last)
    }

    /// The closes of the day as a line, hidden from screen readers: the numbers are next to it.
    pub(super) fn sparkline(&self) -> Markup {
        const WIDTH: f64 = 96.0;
        const HEIGHT: f64 = 24.0;
        let (low, high) = self.closes.iter().fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(*v), h.max(*v)));
        let span = if high > low { high - low } else { 1.0 };
        let last = u32::try_from(self.closes.len().saturating_sub(1)).unwrap_or(1).max(1);
        let y = |value: f64| HEIGHT - 2.0 - (value - low) / span * (HEIGHT - 4.0);
        let points: Vec<String> = self
            .closes
            .iter()
            .zip(0u32..)
            .map(|(value, n)| format!("{:.1},{:.1}", f64::from(n) / f64::from(last) * WIDTH, y(*value)))
            .collect();
        html! {
            svg class={ "spark " (self.direction()) } viewBox="0 0 96 24" width="96" height="24" aria-hidden="true" {
                @if let Some(previous) = self.previous_close {
                    line.before x1="0" x2="96" y1=(format!("{:.1}", y(previous))) y2=(format!("{:.1}", y(previous))) {}
                }
                polyline points=(points.join(" ")) {}
            }
        }
    }
}
