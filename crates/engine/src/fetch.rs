//! Bars from the provider, for runs that are fetched together. In: claimed runs. Out: bars as sent, page by page, in one
//! base timeframe.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use market::{Range, Sessions, Ticker, Timeframe, grid::Grid};
use providers::{BarsRequest, budget::Urgency};
use store::runs::ClaimedRun;

use crate::engine::Market;

/// Longer than two bars of any timeframe, closed hours included.
const FORMING_WITHIN: SignedDuration = SignedDuration::from_hours(24 * 24);

/// The request that serves all of `runs`: their tickers, from the first of their bars to the last. `None` without runs.
pub fn request(runs: &[&ClaimedRun], base: Timeframe, market: &Market, urgency: Urgency) -> Option<BarsRequest> {
    let first = runs.first()?;
    let ranges =
        runs.iter().map(|run| asked_range(&market.sessions_of(run.calendar), run.timeframe, run.slice, market.now));
    let range = ranges.reduce(hull)?;
    let tickers: BTreeSet<&Ticker> = runs.iter().map(|run| &run.ticker).collect();
    Some(BarsRequest {
        asset_class: first.ticker.asset_class(),
        tickers: tickers.into_iter().cloned().collect(),
        timeframe: base,
        range,
        urgency,
    })
}

/// What is asked for a slice: from its first bar's start (a day's bar starts at midnight, before the open) on to its end,
/// or to now where only the forming bar lies between.
pub fn asked_range(sessions: &Sessions, timeframe: Timeframe, slice: Range, now: Timestamp) -> Range {
    let grid = Grid::Session(sessions.clone());
    let from = grid.bucket_of(timeframe, slice.from()).map_or(slice.from(), |b| b.from());
    let from = from.min(slice.from());
    let forming = Range::new(slice.to(), now)
        .is_ok_and(|rest| rest.duration() < FORMING_WITHIN && grid.buckets(timeframe, rest).len() <= 2);
    let to = if forming { now } else { slice.to() };
    Range::new(from, to).unwrap_or(slice)
}

/// The smallest range that encloses both.
pub fn hull(a: Range, b: Range) -> Range {
    Range::new(a.from().min(b.from()), a.to().max(b.to())).unwrap_or(a)
}
