//! Which base timeframe is fetched for which timeframe, and how many rows it takes.

use std::{cell::RefCell, collections::HashMap};

use jiff::{SignedDuration, Timestamp};
use market::{Calendar, Range, Sessions, Timeframe, calendar::StockHours};
use providers::Limits;

/// From the first trade before the open to the open: 04:00 to 09:30 New York.
const BEFORE_OPEN: SignedDuration = SignedDuration::from_mins(330);
/// 04:00 to 20:00 New York.
const STOCK_DAY: SignedDuration = SignedDuration::from_hours(16);

/// The provider's timeframes that `wanted` can be resampled from, the coarsest first. The coarsest is fetched, unless
/// finer bars of the same range are fetched anyway.
///
/// A provider's hourly and longer bars are clock-aligned and mix in pre-market trades; 15 and 30 minutes fit both
/// grids. Daily bars are requested as daily bars where sessions end with an auction, which no shorter bar includes.
pub(crate) fn bases_of(wanted: Timeframe, sessions: &Sessions, limits: &Limits) -> Vec<Timeframe> {
    use Timeframe::{D1, H1, H4, M1, M5, M15, M30, W1};
    // Hourly bars of stocks can be used only where they start at the session's open.
    let calendar = sessions.calendar();
    let is_extended = calendar == Calendar::Xnys && sessions.stock_hours() == StockHours::Extended;
    if is_extended && wanted.step().is_some() && !limits.extended_hours {
        return Vec::new();
    }
    // The provider's `from_open` bars start at the regular open.
    let from_open = limits.from_open.contains(&H1) && !is_extended;
    let candidates: &[Timeframe] = match (wanted, calendar) {
        (D1 | W1, Calendar::Xnys) => &[D1],
        (H1 | H4, Calendar::Xnys) if from_open => &[H1, M30, M15, M5, M1],
        (H1 | H4, Calendar::Xnys) => &[M30, M15, M5, M1],
        // A crypto provider's day may begin at a midnight other than UTC's.
        (H1 | H4 | D1 | W1, Calendar::AlwaysOpen) => &[H1, M30, M15, M5, M1],
        (M30, _) => &[M30, M15, M5, M1],
        (M15, _) => &[M15, M5, M1],
        (M5, _) => &[M5, M1],
        (M1, _) => &[M1],
    };
    candidates.iter().copied().filter(|candidate| limits.timeframes.contains(candidate)).collect()
}

/// The base timeframe that is fetched for `wanted` alone. `None`: this provider has no timeframe to resample it from.
pub(crate) fn base_of(wanted: Timeframe, sessions: &Sessions, limits: &Limits) -> Option<Timeframe> {
    bases_of(wanted, sessions, limits).first().copied()
}

/// Counts the rows that one symbol returns at most. Results are cached: the same ranges come up repeatedly, under one
/// edition of the calendars.
#[derive(Debug, Default)]
pub struct Rows(RefCell<HashMap<(Calendar, Timestamp, Timestamp), Stretch>>);

/// What a range contains.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    days: usize,
    /// Minutes with trading, extended hours included.
    minutes: i64,
}

impl Rows {
    /// Bars of `base` in `range`, extended hours included.
    pub fn of(&self, range: Range, sessions: &Sessions, base: Timeframe) -> usize {
        let key = (sessions.calendar(), range.from(), range.to());
        let stretch = *self.0.borrow_mut().entry(key).or_insert_with(|| Stretch::of(range, sessions));
        match base.minutes() {
            // Rounded up: any day may begin or end within a bar.
            Some(step) => usize::try_from((stretch.minutes + step - 1) / step).unwrap_or(0),
            None => stretch.days,
        }
    }
}

impl Stretch {
    fn of(range: Range, sessions: &Sessions) -> Self {
        let minutes = |range: Range| (range.duration().as_secs() + 59) / 60;
        if sessions.calendar() == Calendar::AlwaysOpen {
            let days = usize::try_from(minutes(range).div_euclid(24 * 60)).unwrap_or(0) + 1;
            return Self { days, minutes: minutes(range) };
        }
        let from = range.from().checked_sub(STOCK_DAY).unwrap_or(range.from());
        let to = range.to().checked_add(BEFORE_OPEN).unwrap_or(range.to());
        let around = Range::new(from, to).unwrap_or(range);
        let mut stretch = Self { days: 0, minutes: 0 };
        for session in sessions.sessions_in(around) {
            let first = session.open.checked_sub(BEFORE_OPEN).unwrap_or(session.open);
            let last = first.checked_add(STOCK_DAY).unwrap_or(session.close);
            let day = Range::new(first, last).ok().and_then(|day| day.intersection(&range));
            stretch.days += usize::from(day.is_some());
            stretch.minutes += day.map_or(0, minutes);
        }
        stretch
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn range(from: &str, to: &str) -> Range {
        Range::new(from.parse().unwrap(), to.parse().unwrap()).unwrap()
    }

    #[test]
    fn a_stocks_day_has_its_extended_hours_and_closed_days_have_nothing() {
        let rows = Rows::default();
        let count = |from, to, base| rows.of(range(from, to), &Calendar::Xnys.by_rules(), base);
        // From a Friday's open to a Monday's close: the Friday's 09:30 to 20:00, the Monday's 04:00 to 16:00.
        assert_eq!(count("2026-11-20T14:30:00Z", "2026-11-23T21:00:00Z", Timeframe::M30), 21 + 24);
        assert_eq!(count("2026-11-20T14:30:00Z", "2026-11-23T21:00:00Z", Timeframe::D1), 2);
        assert_eq!(count("2026-11-23T20:45:00Z", "2026-11-23T21:00:00Z", Timeframe::M15), 1);
        assert_eq!(count("2026-11-21T10:00:00Z", "2026-11-22T10:00:00Z", Timeframe::M15), 0);
    }

    #[test]
    fn crypto_never_closes() {
        let day = range("2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z");
        assert_eq!(Rows::default().of(day, &Calendar::AlwaysOpen.by_rules(), Timeframe::M15), 96);
    }
}
