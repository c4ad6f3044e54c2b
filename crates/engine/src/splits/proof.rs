//! Whether a provider that adjusts for splits has adjusted for one: told by its own bars around the split's day.
//!
//! In: bars as sent. Out: a [`Proof`]. Holds: what an answer doesn't show is requested, a few bars around the day, and what
//! was once shown to be adjusted is remembered: it stays so.

use jiff::{Timestamp, ToSpan as _, civil::Date};
use market::{Action, Bar, Calendar, Range, Ticker, Timeframe, evidence::TELLING};
use providers::{BarSource, BarsRequest, FetchError};

use crate::{engine::Engine, fetch::FetchResult};

/// What bars show about a split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// Prices before its day are in the new shares.
    Adjusted,
    /// Prices before its day are as traded.
    AsTraded,
    /// It can't be told now.
    NotYet,
}

/// A step is that of the split if it differs by no more than this part of it, in logarithms.
const CLOSE: f64 = 1.0 / 3.0;

/// How many days from the split's the bars next to it may lie.
const NEAR: i32 = 10;

/// A provider has adjusted for what lies as many days back, where no bars can tell: there was no trade after it.
const ADJUSTED_BY: i32 = 30;

/// Tells whether `source` has adjusted `sent` for the split; requests the bars around its day if they don't tell.
pub(super) async fn proof(
    engine: &Engine,
    source: &dyn BarSource,
    fetched: &FetchResult<'_>,
    ticker: &Ticker,
    sent: &[Bar],
    split: &Action,
) -> Result<Proof, FetchError> {
    let Some((ratio, midnight)) = split.ratio().zip(Calendar::Xnys.midnight(split.ex_date)) else {
        return Ok(Proof::Adjusted);
    };
    // Nothing to undo, or nothing to tell by.
    if sent.iter().all(|bar| bar.start >= midnight) || ratio.ln().abs() < TELLING {
        return Ok(Proof::Adjusted);
    }
    if let Some(shown) = shown_by(sent, midnight, ratio) {
        return Ok(shown);
    }
    let timeframe = fetched.request.timeframe;
    let key = (source.endpoint().provider.clone(), ticker.clone(), timeframe, split.ex_date);
    if engine.seen_adjusted.has(&key) {
        return Ok(Proof::Adjusted);
    }
    let is_old = split.ex_date < days_before(fetched.asked_at, ADJUSTED_BY);
    let shown = match bars_around(source, fetched, ticker, split.ex_date).await {
        Ok(bars) => shown_by(&bars, midnight, ratio),
        Err(error @ FetchError::Throttled { .. }) => return Err(error),
        Err(error) if !is_old => return Err(error),
        Err(error) => {
            tracing::info!(symbol = %ticker, %error, "The bars around the split of {} can't be had", split.ex_date);
            None
        }
    };
    let proof = match shown {
        Some(shown) => shown,
        None if is_old => Proof::Adjusted,
        None => Proof::NotYet,
    };
    if proof == Proof::Adjusted {
        engine.seen_adjusted.insert(key);
    }
    Ok(proof)
}

/// What the step from the last bar before `midnight` to the first one after it shows.
fn shown_by(bars: &[Bar], midnight: Timestamp, ratio: f64) -> Option<Proof> {
    let is_near = |bar: &&Bar| bar.start.duration_since(midnight).as_hours().abs() <= 24 * i64::from(NEAR);
    let before = bars.iter().filter(|bar| bar.start < midnight).max_by_key(|bar| bar.start).filter(is_near)?;
    let after = bars.iter().filter(|bar| bar.start >= midnight).min_by_key(|bar| bar.start).filter(is_near)?;
    // Not its open: a first trade is often reported in the old shares.
    let (step, expected) = ((before.close / after.close).ln(), ratio.ln());
    if !step.is_finite() || !expected.is_finite() {
        return None;
    }
    // A fall of the day's own looks like a small split: so it must come close. Providers adjust by the open of the day.
    Some(if (step - expected).abs() <= expected.abs() * CLOSE { Proof::AsTraded } else { Proof::Adjusted })
}

/// The provider's bars around the day: of the requested timeframe if they reach as far back, else daily ones.
async fn bars_around(
    source: &dyn BarSource,
    fetched: &FetchResult<'_>,
    ticker: &Ticker,
    day: Date,
) -> Result<Vec<Bar>, FetchError> {
    let asset_class = fetched.request.asset_class;
    let limits = source.limits(asset_class);
    let midnight = |day: Result<Date, jiff::Error>| day.ok().and_then(|day| Calendar::Xnys.midnight(day));
    let ends = midnight(day.checked_sub(NEAR.days())).zip(midnight(day.checked_add(NEAR.days())));
    let Some(range) = ends.and_then(|(from, to)| Range::new(from, to.min(fetched.asked_at)).ok()) else {
        return Ok(Vec::new());
    };
    let reaches = |timeframe| range.from() >= limits.earliest_of(timeframe, fetched.asked_at);
    let timeframe = if reaches(fetched.request.timeframe) { fetched.request.timeframe } else { Timeframe::D1 };
    let request =
        BarsRequest { asset_class, tickers: vec![ticker.clone()], timeframe, range, urgency: fetched.request.urgency };
    Ok(source.bars(&request).await?.bars.remove(ticker).unwrap_or_default())
}

fn days_before(now: Timestamp, days: i32) -> Date {
    let today = Calendar::Xnys.date_of(now);
    today.checked_sub(days.days()).unwrap_or(today)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn bars(prices: &[(&str, f64)]) -> Vec<Bar> {
        let bar = |(start, close): &(&str, f64)| Bar {
            start: start.parse().unwrap(),
            open: *close,
            high: *close,
            low: *close,
            close: *close,
            volume: 1.0,
            vwap: None,
            trade_count: None,
        };
        prices.iter().map(bar).collect()
    }

    #[test]
    fn the_step_tells_whether_prices_are_adjusted() {
        let midnight = "2026-11-16T05:00:00Z".parse().unwrap();
        let step = |before: f64, after: f64, ratio: f64| {
            let sent = bars(&[
                ("2026-11-16T14:30:00Z", after),
                ("2026-11-12T20:45:00Z", 7.0),
                ("2026-11-13T20:45:00Z", before),
                ("2026-11-16T14:45:00Z", 7.0),
            ]);
            shown_by(&sent, midnight, ratio)
        };
        assert_eq!(step(20.0, 20.4, 10.0), Some(Proof::Adjusted));
        assert_eq!(step(200.0, 20.4, 10.0), Some(Proof::AsTraded));
        assert_eq!(step(20.0, 200.4, 0.1), Some(Proof::AsTraded));
        assert_eq!(step(20.0, 12.0, 10.0), Some(Proof::Adjusted), "it fell by forty percent");
        assert_eq!(step(20.0, 18.2, 1.2), Some(Proof::Adjusted), "it fell by nine percent");
        assert_eq!(step(20.0, 16.5, 1.2), Some(Proof::AsTraded));
        assert_eq!(step(0.0, 20.0, 10.0), None);
    }

    #[test]
    fn one_side_or_bars_far_away_tell_nothing() {
        let midnight = "2026-11-16T05:00:00Z".parse().unwrap();
        for sent in [
            bars(&[]),
            bars(&[("2026-11-13T20:45:00Z", 20.0)]),
            bars(&[("2026-11-16T14:30:00Z", 20.0)]),
            bars(&[("2026-09-13T20:45:00Z", 20.0), ("2026-11-16T14:30:00Z", 20.0)]),
        ] {
            assert_eq!(shown_by(&sent, midnight, 10.0), None);
        }
    }
}
