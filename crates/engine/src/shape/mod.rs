//! Shapes bars for storage: checked, in order, on the sessions' grid, provisional where not yet final.
//!
//! In: bars as the provider sent them, of the same or a finer timeframe. Out: one bar per bucket that traded. Holds:
//! no invalid bar, none outside the slice or the session, no duplicate.

mod plausible;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use market::{Bar, Range, RangeSet, Sessions, Timeframe, grid::Grid, resample::resample};
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

/// The bars of one symbol, checked once as a whole, for all timeframes resampled from them.
#[derive(Debug)]
pub(crate) struct CheckedBars {
    /// In order; of bars with the same start the last sent comes last. With the reason if a bar is invalid.
    bars: Vec<(Bar, Option<String>)>,
}

impl CheckedBars {
    /// Checks bars of `base`, each by itself and against its neighbours.
    pub(crate) fn new(sent: &[Bar], sessions: &Sessions, base: Timeframe) -> Self {
        let in_order: BTreeMap<Timestamp, Bar> =
            sent.iter().filter(|bar| bar.check().is_ok()).map(|bar| (bar.start, *bar)).collect();
        let in_order: Vec<Bar> = in_order.into_values().collect();
        let together: BTreeMap<Timestamp, String> = implausible(&in_order, sessions, base >= Timeframe::D1)
            .into_iter()
            .filter_map(|(index, reason)| Some((in_order.get(index)?.start, reason)))
            .collect();
        let reason = |bar: &Bar| match bar.check() {
            Ok(()) => together.get(&bar.start).cloned(),
            Err(defect) => Some(defect.to_string()),
        };
        let mut bars: Vec<_> = sent.iter().map(|bar| (*bar, reason(bar))).collect();
        bars.sort_by_key(|(bar, _)| bar.start);
        Self { bars }
    }

    fn within(&self, range: Range) -> &[(Bar, Option<String>)] {
        let place = |at: Timestamp| self.bars.partition_point(|(bar, _)| bar.start < at);
        self.bars.get(place(range.from())..place(range.to())).unwrap_or_default()
    }
}

/// Shapes the bars of one symbol. Of two bars with the same start the last sent counts.
pub(crate) fn shape(checked: &CheckedBars, frame: &ShapeContext) -> Shaped {
    let grid = Grid::Session(frame.sessions.clone());
    let mut invalid = Vec::new();
    let mut by_start = BTreeMap::new();
    for (bar, reason) in checked.within(frame.answered) {
        // Bars outside of every bucket, such as pre-market bars, are ignored.
        if grid.bucket_of(frame.timeframe, bar.start).is_none() {
            continue;
        }
        match reason {
            None => {
                by_start.insert(bar.start, *bar);
            }
            Some(reason) => invalid.push(InvalidBar { bar: *bar, reason: reason.clone() }),
        }
    }
    // A bucket that lacks one of its bars would look complete.
    let incomplete: RangeSet =
        invalid.iter().filter_map(|invalid| grid.bucket_of(frame.timeframe, invalid.bar.start)).collect();
    let base: Vec<Bar> = by_start.into_values().collect();
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
        shape(&CheckedBars::new(sent, &frame.sessions, Timeframe::M15), frame)
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
    fn bars_outside_what_was_asked_for_are_dropped() {
        let sent = [bar("2026-11-20T15:00:00Z", 101.0), bar("2026-11-23T14:30:00Z", 101.0)];
        let frame = frame(Timeframe::M15, "2026-11-23T14:30:00Z", "2026-11-23T15:00:00Z", "2026-11-24T00:00:00Z");
        assert_eq!(shaped(&sent, &frame).bars.len(), 1);
    }
}
