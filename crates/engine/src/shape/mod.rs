//! Shapes bars for storage: checked, in order, on the sessions' grid, provisional where not yet final.
//!
//! In: bars as the provider sent them, of the same or a finer timeframe. Out: one bar per bucket that traded. Holds:
//! no invalid bar, none outside the slice or the session, no duplicate.

mod plausible;

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use market::{Bar, Calendar, Range, RangeSet, Sessions, Timeframe, grid::Grid, resample::resample};
use store::bars::{InvalidBar, ShapedBar};

use self::plausible::implausible;

/// The requested series and range, and when the request was sent.
#[derive(Clone, Debug)]
pub(crate) struct ShapeContext {
    pub sessions: Sessions,
    pub timeframe: Timeframe,
    /// The range that the response covers.
    pub answered: Range,
    /// The market's time before the request was sent.
    pub asked_at: Timestamp,
    pub grace: SignedDuration,
}

/// Result of shaping.
#[derive(Debug, PartialEq)]
pub(crate) struct Shaped {
    pub bars: Vec<ShapedBar>,
    /// Invalid bars, each with its reason. Their buckets are left out of `bars`.
    pub invalid: Vec<InvalidBar>,
}

/// The bars of one symbol, checked once as a whole, for all timeframes resampled from them: the one gate, whatever the
/// provider.
#[derive(Debug)]
pub(crate) struct CheckedBars {
    base: Timeframe,
    /// In order; each start once, but for invalid ones. With the reason if a bar is invalid.
    bars: Vec<(Bar, Option<String>)>,
}

impl CheckedBars {
    /// Checks bars of `base`, each by itself and against the others: its values, its start, and whether it was sent twice
    /// with different values. Of a bar that was forming at `asked_at` the last sent counts.
    pub(crate) fn new(sent: &[Bar], sessions: &Sessions, base: Timeframe, asked_at: Timestamp) -> Self {
        let mut by_start: BTreeMap<Timestamp, Vec<Bar>> = BTreeMap::new();
        for bar in sent {
            by_start.entry(bar.start).or_default().push(*bar);
        }
        let mut bars: Vec<(Bar, Option<String>)> = Vec::with_capacity(by_start.len());
        let mut sound: Vec<Bar> = Vec::with_capacity(by_start.len());
        for same in by_start.values() {
            match judge(same, sessions, base, asked_at) {
                Ok(bar) => sound.push(bar),
                Err(invalid) => bars.extend(invalid),
            }
        }
        let mut together: BTreeMap<usize, String> =
            implausible(&sound, sessions, base >= Timeframe::D1).into_iter().collect();
        bars.extend(sound.into_iter().enumerate().map(|(index, bar)| (bar, together.remove(&index))));
        bars.sort_by_key(|(bar, _)| bar.start);
        Self { base, bars }
    }

    fn within(&self, range: Range) -> &[(Bar, Option<String>)] {
        let place = |at: Timestamp| self.bars.partition_point(|(bar, _)| bar.start < at);
        self.bars.get(place(range.from())..place(range.to())).unwrap_or_default()
    }
}

/// The bar that all of `same`, which have one start, are; else each of them with its defect.
fn judge(
    same: &[Bar],
    sessions: &Sessions,
    base: Timeframe,
    asked_at: Timestamp,
) -> Result<Bar, Vec<(Bar, Option<String>)>> {
    let with = |reason: &dyn Fn(&Bar) -> String| same.iter().map(|bar| (*bar, Some(reason(bar)))).collect();
    let (Some(first), Some(last)) = (same.first(), same.last()) else { return Err(Vec::new()) };
    if !is_on_grid(first.start, sessions, base) {
        return Err(with(&|bar| format!("no {base} bar starts at {}", bar.start)));
    }
    if same.iter().all(|bar| bar == last) {
        return match last.check() {
            Ok(()) => Ok(*last),
            // Sent twice, it is one invalid bar.
            Err(defect) => Err(vec![(*last, Some(defect.to_string()))]),
        };
    }
    let step = base.step().unwrap_or(SignedDuration::from_hours(24));
    let forming = first.start.checked_add(step).is_ok_and(|end| end > asked_at);
    if forming && last.check().is_ok() {
        return Ok(*last);
    }
    Err(with(&|bar| match bar.check() {
        Ok(()) => format!("sent {} times with different values", same.len()),
        Err(defect) => defect.to_string(),
    }))
}

/// Whether bars of the timeframe may start then. Providers align those of stocks to the clock or to the open, at half past:
/// so half hours are as fine as it gets. Days and weeks start at midnight.
fn is_on_grid(start: Timestamp, sessions: &Sessions, base: Timeframe) -> bool {
    let calendar = sessions.calendar();
    let Some(minutes) = base.minutes() else {
        return calendar.midnight(calendar.date_of(start)) == Some(start);
    };
    let finest = if calendar == Calendar::AlwaysOpen { minutes } else { minutes.min(30) };
    start.subsec_nanosecond() == 0 && start.as_second().rem_euclid(finest * 60) == 0
}

/// Shapes the bars of one symbol.
pub(crate) fn shape(checked: &CheckedBars, frame: &ShapeContext) -> Shaped {
    let grid = Grid::Session(frame.sessions.clone());
    let mut invalid: Vec<InvalidBar> = Vec::new();
    let mut base: Vec<Bar> = Vec::new();
    for (bar, reason) in checked.within(frame.answered) {
        // Bars outside of every bucket, such as pre-market bars, are ignored.
        if grid.bucket_of(frame.timeframe, bar.start).is_none() {
            continue;
        }
        match reason {
            None => base.push(*bar),
            Some(reason) => invalid.push(InvalidBar { bar: *bar, reason: reason.clone() }),
        }
    }
    // A bucket that lacks one of its bars would look complete. A bar between others is one too many, if its place is taken.
    let place = |start: Timestamp| grid.bucket_of(checked.base, start).map(|bucket| bucket.from());
    let taken: BTreeSet<Timestamp> = base.iter().filter_map(|bar| place(bar.start)).collect();
    let incomplete: RangeSet = invalid
        .iter()
        .filter(|invalid| place(invalid.bar.start).is_none_or(|place| !taken.contains(&place)))
        .filter_map(|invalid| grid.bucket_of(frame.timeframe, invalid.bar.start))
        .collect();
    let bars = resample(&base, &grid, frame.timeframe)
        .into_iter()
        // The first bucket may begin before the range, and then has only some of its bars.
        .filter(|made| made.range.from() >= frame.answered.from() && !incomplete.encloses(&made.range))
        .map(|made| ShapedBar { bar: made.bar, is_final: is_final(made.range, frame) })
        .collect();
    Shaped { bars, invalid }
}

/// Whether the bucket had ended, and the response covered all of it, when the request was sent.
fn is_final(bucket: Range, frame: &ShapeContext) -> bool {
    let settled = bucket.to().checked_add(frame.grace).is_ok_and(|settled| settled <= frame.asked_at);
    settled && bucket.to() <= frame.answered.to()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use market::Calendar;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn bar(start: &str, close: f64) -> Bar {
        Bar {
            start: at(start),
            open: 100.0,
            high: close.max(100.0),
            low: close.min(100.0),
            close,
            volume: 10.0,
            vwap: None,
            trade_count: None,
        }
    }

    fn frame(timeframe: Timeframe, from: &str, to: &str, asked_at: &str) -> ShapeContext {
        ShapeContext {
            sessions: Calendar::Xnys.by_rules(),
            timeframe,
            answered: Range::new(at(from), at(to)).unwrap(),
            asked_at: at(asked_at),
            grace: SignedDuration::from_mins(1),
        }
    }

    fn shaped(sent: &[Bar], frame: &ShapeContext) -> Shaped {
        shape(&CheckedBars::new(sent, &frame.sessions, Timeframe::M15, frame.asked_at), frame)
    }

    #[test]
    fn bars_before_the_open_are_not_part_of_the_session() {
        let sent = [bar("2026-11-23T14:00:00Z", 90.0), bar("2026-11-23T14:30:00Z", 101.0)];
        let frame = frame(Timeframe::H1, "2026-11-23T13:00:00Z", "2026-11-23T21:00:00Z", "2026-11-24T00:00:00Z");
        let shaped = shaped(&sent, &frame);
        assert_eq!(shaped.bars.len(), 1);
        assert_eq!(shaped.bars[0].bar.start, at("2026-11-23T14:30:00Z"));
        assert_eq!(shaped.bars[0].bar.low, 100.0);
    }

    #[test]
    fn a_bar_whose_end_and_grace_have_not_passed_is_provisional() {
        let sent = [bar("2026-11-23T14:30:00Z", 101.0), bar("2026-11-23T14:45:00Z", 102.0)];
        let asked = |asked_at| {
            let frame = frame(Timeframe::M15, "2026-11-23T14:30:00Z", "2026-11-23T15:00:00Z", asked_at);
            shaped(&sent, &frame).bars.iter().map(|b| b.is_final).collect::<Vec<_>>()
        };
        assert_eq!(asked("2026-11-23T15:00:30Z"), [true, false]);
        assert_eq!(asked("2026-11-23T15:01:00Z"), [true, true]);
    }

    #[test]
    fn what_the_provider_held_back_is_not_final() {
        let sent = [bar("2026-11-23T14:30:00Z", 101.0)];
        let frame = frame(Timeframe::H1, "2026-11-23T14:30:00Z", "2026-11-23T15:14:00Z", "2026-11-24T00:00:00Z");
        assert!(!shaped(&sent, &frame).bars[0].is_final);
    }

    #[test]
    fn unsorted_and_doubled_bars_come_out_in_order_and_once() {
        let sent = [
            bar("2026-11-23T14:45:00Z", 102.0),
            bar("2026-11-23T14:30:00Z", 101.0),
            bar("2026-11-23T14:30:00Z", 101.0),
        ];
        let frame = frame(Timeframe::M15, "2026-11-23T14:30:00Z", "2026-11-23T15:00:00Z", "2026-11-24T00:00:00Z");
        let starts: Vec<_> = shaped(&sent, &frame).bars.iter().map(|b| b.bar.start).collect();
        assert_eq!(starts, [at("2026-11-23T14:30:00Z"), at("2026-11-23T14:45:00Z")]);
    }

    #[test]
    fn an_invalid_bar_removes_its_bucket_and_no_other() {
        let mut invalid = bar("2026-11-23T15:00:00Z", 101.0);
        invalid.high = 1.0;
        let sent = [bar("2026-11-23T14:30:00Z", 101.0), invalid, bar("2026-11-23T15:30:00Z", 103.0)];
        let frame = frame(Timeframe::H1, "2026-11-23T14:30:00Z", "2026-11-23T21:00:00Z", "2026-11-24T00:00:00Z");
        let shaped = shaped(&sent, &frame);
        assert_eq!(shaped.invalid.len(), 1);
        assert_eq!(shaped.bars.iter().map(|b| b.bar.start).collect::<Vec<_>>(), [at("2026-11-23T15:30:00Z")]);
    }

    #[test]
    fn a_bar_between_others_costs_its_own_place_and_nothing_where_that_is_taken() {
        let frame = frame(Timeframe::M15, "2026-11-23T14:30:00Z", "2026-11-23T15:15:00Z", "2026-11-24T00:00:00Z");
        let starts = |sent: &[Bar]| {
            let shaped = shaped(sent, &frame);
            assert_eq!(shaped.invalid.len(), 1, "{shaped:?}");
            assert!(shaped.invalid[0].reason.contains("no m15 bar starts at"), "{shaped:?}");
            shaped.bars.iter().map(|b| b.bar.start).collect::<Vec<_>>()
        };
        let (first, between) = (bar("2026-11-23T14:30:00Z", 101.0), bar("2026-11-23T14:52:10Z", 55.0));
        assert_eq!(starts(&[first, between]), [first.start]);
        let second = bar("2026-11-23T14:45:00Z", 102.0);
        assert_eq!(starts(&[between, second, first]), [first.start, second.start]);
    }

    #[test]
    fn days_begin_at_midnight_and_hours_of_stocks_at_the_open_or_on_the_clock() {
        let (stocks, pairs) = (Calendar::Xnys.by_rules(), Calendar::AlwaysOpen.by_rules());
        for (start, sessions, base, is_one) in [
            ("2026-11-23T05:00:00Z", &stocks, Timeframe::D1, true),
            ("2026-11-23T00:00:00Z", &stocks, Timeframe::D1, false),
            ("2026-11-23T00:00:00Z", &pairs, Timeframe::D1, true),
            ("2026-11-23T14:30:00Z", &stocks, Timeframe::H1, true),
            ("2026-11-23T14:00:00Z", &stocks, Timeframe::H1, true),
            ("2026-11-23T14:15:00Z", &stocks, Timeframe::H1, false),
            ("2026-11-23T14:30:00Z", &pairs, Timeframe::H1, false),
            ("2026-11-23T14:30:00.5Z", &pairs, Timeframe::M1, false),
            ("2026-11-23T14:30:01Z", &stocks, Timeframe::M1, false),
            ("2026-11-23T08:00:00Z", &pairs, Timeframe::H4, true),
        ] {
            assert_eq!(is_on_grid(at(start), sessions, base), is_one, "{start} {base}");
        }
    }

    #[test]
    fn a_bar_that_is_sent_twice_with_different_values_is_none_unless_it_was_forming() {
        let sent = [
            bar("2026-11-23T14:30:00Z", 101.0),
            bar("2026-11-23T14:45:00Z", 102.0),
            bar("2026-11-23T14:45:00Z", 103.0),
        ];
        let asked = |asked_at| {
            let frame = frame(Timeframe::M15, "2026-11-23T14:30:00Z", "2026-11-23T15:00:00Z", asked_at);
            let shaped = shaped(&sent, &frame);
            (shaped.bars.iter().map(|b| b.bar.close).collect::<Vec<_>>(), shaped.invalid)
        };
        let (closes, invalid) = asked("2026-11-24T00:00:00Z");
        assert_eq!((closes, invalid.len()), (vec![101.0], 2));
        assert!(invalid.iter().all(|invalid| invalid.reason == "sent 2 times with different values"), "{invalid:?}");
        assert_eq!(asked("2026-11-23T14:59:00Z"), (vec![101.0, 103.0], Vec::new()));
    }

    #[test]
    fn bars_outside_what_was_asked_for_are_dropped() {
        let sent = [bar("2026-11-20T15:00:00Z", 101.0), bar("2026-11-23T14:30:00Z", 101.0)];
        let frame = frame(Timeframe::M15, "2026-11-23T14:30:00Z", "2026-11-23T15:00:00Z", "2026-11-24T00:00:00Z");
        assert_eq!(shaped(&sent, &frame).bars.len(), 1);
    }
}
