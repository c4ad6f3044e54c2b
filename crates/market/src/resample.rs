//! Coarser bars out of finer ones.
//!
//! In: bars of one series and a grid. Out: one bar for each bucket in which something traded, oldest first. What holds:
//! going by way of an intermediate timeframe of the same grid gives the same bars.

use std::borrow::Cow;

use jiff::Timestamp;

use crate::{
    Bar, Range, Timeframe,
    grid::{Grid, Place},
};

/// A bar and the bucket that it stands for; `bar.start` is where the bucket begins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Resampled {
    pub range: Range,
    pub bar: Bar,
}

/// Combines `bars` into bars of `timeframe` on `grid`.
///
/// A bar goes whole to the bucket that its start belongs to ([`Grid::bucket_of`]), so the bars given should be no
/// longer than the buckets and on the same grid; one that starts outside any bucket is dropped. A bucket without bars
/// isn't emitted. Where a market closes overnight, bars all of which begin at its midnight are taken for daily ones;
/// among others, a bar that begins at midnight is overnight trading and dropped.
///
/// Open is that of the first bar, close that of the last, high and low the extremes, volume the sum. `vwap` is weighted
/// by volume; it is `None` where a bar with volume has none, or no bar has volume. `trade_count` is the sum, `None`
/// unless all have one.
///
/// `bars` are expected oldest first; others are put in that order first, at the cost of a copy. Two bars with the
/// same start both count, in the order given.
pub fn resample(bars: &[Bar], grid: &Grid, timeframe: Timeframe) -> Vec<Resampled> {
    let daily = bars.iter().all(|bar| grid.day_begins(bar.start));
    let mut resampled = Vec::new();
    let mut forming: Option<Forming> = None;
    for bar in oldest_first(bars).iter() {
        if let Some(current) = forming.as_mut().filter(|current| current.surely_takes(bar.start)) {
            current.add(bar);
            continue;
        }
        let Some(place) = grid.place(timeframe, bar.start).filter(|place| daily || place.stretch.is_some()) else {
            continue;
        };
        match forming.as_mut().filter(|current| current.place.bucket == place.bucket) {
            Some(current) => {
                current.place = place;
                current.add(bar);
            }
            None => resampled.extend(forming.replace(Forming::new(place, bar)).map(Forming::finish)),
        }
    }
    resampled.extend(forming.map(Forming::finish));
    resampled
}

fn oldest_first(bars: &[Bar]) -> Cow<'_, [Bar]> {
    if bars.is_sorted_by_key(|bar| bar.start) {
        return Cow::Borrowed(bars);
    }
    let mut sorted = bars.to_vec();
    sorted.sort_by_key(|bar| bar.start);
    Cow::Owned(sorted)
}

/// A bucket's bar while bars are added to it.
#[derive(Clone, Copy, Debug)]
struct Forming {
    /// Of the bar added last.
    place: Place,
    bar: Bar,
    /// Price times volume so far; `None` once a bar with volume had no vwap.
    turnover: Option<f64>,
}

impl Forming {
    fn new(place: Place, first: &Bar) -> Self {
        Self { place, bar: Bar { start: place.bucket.from(), ..*first }, turnover: turnover(first) }
    }

    fn surely_takes(&self, at: Timestamp) -> bool {
        self.place.stretch.is_some_and(|stretch| stretch.contains(at))
    }

    fn add(&mut self, next: &Bar) {
        let bar = &mut self.bar;
        bar.high = bar.high.max(next.high);
        bar.low = bar.low.min(next.low);
        bar.close = next.close;
        bar.volume += next.volume;
        bar.trade_count = bar.trade_count.zip(next.trade_count).and_then(|(a, b)| a.checked_add(b));
        self.turnover = self.turnover.zip(turnover(next)).map(|(a, b)| a + b);
    }

    fn finish(self) -> Resampled {
        let vwap = self.turnover.filter(|_| self.bar.volume > 0.0).map(|turnover| turnover / self.bar.volume);
        Resampled { range: self.place.bucket, bar: Bar { vwap, ..self.bar } }
    }
}

/// Price times volume of one bar; a bar without volume weighs nothing, with or without a vwap.
fn turnover(bar: &Bar) -> Option<f64> {
    if bar.volume == 0.0 { Some(0.0) } else { bar.vwap.map(|vwap| vwap * bar.volume) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails may panic")]

    use jiff::SignedDuration;
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::Calendar;

    fn new_york() -> Grid {
        Grid::by_rules(Calendar::Xnys)
    }

    fn bar(start: &str, price: f64, volume: f64, vwap: Option<f64>) -> Bar {
        let start = start.parse().expect("an instant");
        let (open, high, low, close) = (price, price + 1.0, price - 1.0, price + 0.5);
        Bar { start, open, high, low, close, volume, vwap, trade_count: Some(2) }
    }

    fn only(bars: &[Bar], timeframe: Timeframe) -> Bar {
        let resampled = resample(bars, &new_york(), timeframe);
        assert_eq!(resampled.len(), 1, "{resampled:?}");
        resampled[0].bar
    }

    #[test]
    fn a_bar_is_first_open_extremes_last_close_and_sums() {
        let bars = [
            bar("2026-11-24T14:30:00Z", 10.0, 100.0, Some(10.0)),
            bar("2026-11-24T14:45:00Z", 30.0, 300.0, Some(30.0)),
            bar("2026-11-24T15:15:00Z", 20.0, 0.0, None),
        ];
        let h1 = only(&bars, Timeframe::H1);
        assert_eq!((h1.open, h1.high, h1.low, h1.close), (10.0, 31.0, 9.0, 20.5));
        assert_eq!((h1.volume, h1.vwap, h1.trade_count), (400.0, Some(25.0), Some(6)));
        assert_eq!(h1.start, bars[0].start);
    }

    #[test]
    fn a_bucket_begins_on_the_grid_also_where_its_first_bars_are_missing() {
        let resampled = resample(&[bar("2026-11-24T20:45:00Z", 10.0, 1.0, None)], &new_york(), Timeframe::H1);
        let half_hour = new_york().bucket_of(Timeframe::H1, "2026-11-24T20:30:00Z".parse().expect("an instant"));
        assert_eq!(resampled.first().map(|r| r.range), half_hour);
        assert_eq!(resampled.first().map(|r| r.bar.start), half_hour.map(|bucket| bucket.from()));
        assert_eq!(half_hour.map(|bucket| bucket.duration()), Some(SignedDuration::from_mins(30)));
    }

    #[test]
    fn one_missing_vwap_or_trade_count_leaves_none() {
        let mut bars =
            [bar("2026-11-24T14:30:00Z", 10.0, 100.0, Some(10.0)), bar("2026-11-24T14:45:00Z", 30.0, 300.0, None)];
        bars[1].trade_count = None;
        let h1 = only(&bars, Timeframe::H1);
        assert_eq!((h1.volume, h1.vwap, h1.trade_count), (400.0, None, None));
    }

    #[test]
    fn nothing_traded_has_no_vwap() {
        assert_eq!(only(&[bar("2026-11-24T14:30:00Z", 10.0, 0.0, Some(10.0))], Timeframe::H1).vwap, None);
    }

    #[test]
    fn bars_outside_sessions_are_dropped_from_days_too() {
        let bars = [
            bar("2026-11-24T14:15:00Z", 1.0, 1.0, None),
            bar("2026-11-24T14:30:00Z", 10.0, 1.0, None),
            bar("2026-11-24T21:00:00Z", 99.0, 1.0, None),
        ];
        for timeframe in [Timeframe::M15, Timeframe::H4, Timeframe::D1, Timeframe::W1] {
            let whole = only(&bars, timeframe);
            assert_eq!((whole.low, whole.high, whole.volume), (9.0, 11.0, 1.0), "{timeframe}");
        }
    }

    #[test]
    fn a_minute_at_midnight_is_no_daily_bar() {
        let bars = [bar("2026-11-24T05:00:00Z", 99.0, 1.0, None), bar("2026-11-24T14:30:00Z", 10.0, 1.0, None)];
        for timeframe in [Timeframe::D1, Timeframe::W1] {
            let whole = only(&bars, timeframe);
            assert_eq!((whole.open, whole.high, whole.volume), (10.0, 11.0, 1.0), "{timeframe}");
        }
    }

    #[test]
    fn daily_bars_make_a_week() {
        let bars = [
            bar("2026-11-23T05:00:00Z", 10.0, 1.0, None),
            bar("2026-11-25T05:00:00Z", 20.0, 2.0, None),
            bar("2026-11-27T05:00:00Z", 30.0, 3.0, None),
            bar("2026-11-30T05:00:00Z", 40.0, 4.0, None),
        ];
        let weeks = resample(&bars, &new_york(), Timeframe::W1);
        let summary: Vec<_> = weeks.iter().map(|week| (week.bar.start, week.bar.close, week.bar.volume)).collect();
        assert_eq!(summary, [(bars[0].start, 30.5, 6.0), (bars[3].start, 40.5, 4.0)]);
    }

    #[test]
    fn the_order_of_the_input_does_not_matter() {
        let sorted = [
            bar("2026-11-24T14:30:00Z", 10.0, 1.0, Some(10.0)),
            bar("2026-11-24T14:45:00Z", 20.0, 2.0, Some(20.0)),
            bar("2026-11-24T15:30:00Z", 30.0, 3.0, Some(30.0)),
        ];
        let shuffled = [sorted[2], sorted[0], sorted[1]];
        let expected = resample(&sorted, &new_york(), Timeframe::H1);
        assert_eq!(expected.len(), 2);
        assert_eq!(resample(&shuffled, &new_york(), Timeframe::H1), expected);
    }

    /// Minutes around the change of clocks and the half day of November, in and out of sessions, with holes.
    /// Whole volumes and prices, so that sums are exact in whatever order they are made.
    fn any_minutes() -> impl Strategy<Value = Vec<Bar>> {
        let first: Timestamp = "2026-10-30T12:00:00Z".parse().expect("an instant");
        let one =
            (1i64..300, 1u32..1000, 0u32..50, prop::option::weighted(0.95, 1u32..1000), prop::option::of(0i64..9));
        let weeks = prop::sample::select(vec![0i64, 28 * 24 * 60]);
        (weeks, vec(one, 0..200)).prop_map(move |(offset, minutes)| {
            let mut minute = offset;
            let bar = |(skip, price, volume, vwap, trade_count): (i64, u32, u32, Option<u32>, Option<i64>)| {
                // Two of three follow each other closely; the others leap as far as a session is long.
                minute += if skip % 3 == 0 { skip } else { skip % 3 };
                let start = first + SignedDuration::from_mins(minute);
                let price = f64::from(price);
                let (high, low, close) = (price + 3.0, price - 0.5, price + 1.0);
                Bar {
                    start,
                    open: price,
                    high,
                    low,
                    close,
                    volume: volume.into(),
                    vwap: vwap.map(f64::from),
                    trade_count,
                }
            };
            minutes.into_iter().map(bar).collect()
        })
    }

    fn bars(resampled: Vec<Resampled>) -> Vec<Bar> {
        resampled.into_iter().map(|resampled| resampled.bar).collect()
    }

    proptest! {
        #[test]
        fn by_way_of_an_intermediate_timeframe_bars_are_the_same(minutes in any_minutes()) {
            for grid in [new_york(), Grid::by_rules(Calendar::AlwaysOpen), Grid::ClockNewYork, Grid::Epoch] {
                for (between, last) in [
                    (Timeframe::M15, Timeframe::H1),
                    (Timeframe::M30, Timeframe::H4),
                    (Timeframe::H1, Timeframe::D1),
                    (Timeframe::D1, Timeframe::W1),
                ] {
                    let direct = resample(&minutes, &grid, last);
                    let by_way = resample(&bars(resample(&minutes, &grid, between)), &grid, last);
                    prop_assert_eq!(by_way.len(), direct.len());
                    for (a, b) in by_way.iter().zip(&direct) {
                        prop_assert_eq!(a.range, b.range);
                        prop_assert_eq!(a.bar.vwap.is_some(), b.bar.vwap.is_some());
                        let (a_vwap, b_vwap) = (a.bar.vwap.unwrap_or(1.0), b.bar.vwap.unwrap_or(1.0));
                        prop_assert!((a_vwap - b_vwap).abs() <= 1e-9 * b_vwap, "{grid:?} {between}: {a:?}, not {b:?}");
                        prop_assert_eq!(Bar { vwap: None, ..a.bar }, Bar { vwap: None, ..b.bar });
                    }
                }
            }
        }

        #[test]
        fn what_belongs_to_a_bucket_is_in_its_bar_and_nothing_else(
            minutes in any_minutes(), timeframe in prop::sample::select(&Timeframe::ALL[..]),
        ) {
            for (grid, calendar) in [(new_york(), Calendar::Xnys), (Grid::Epoch, Calendar::AlwaysOpen)] {
                let bucket_of = |minute: &&Bar| {
                    calendar.by_rules().session_at(minute.start).and_then(|_| grid.bucket_of(timeframe, minute.start))
                };
                let resampled = resample(&minutes, &grid, timeframe);
                prop_assert!(resampled.windows(2).all(|pair| pair[0].range.to() <= pair[1].range.from()));
                for Resampled { range, bar } in &resampled {
                    let own: Vec<&Bar> =
                        minutes.iter().filter(|m| bucket_of(m) == Some(*range)).collect();
                    prop_assert_eq!(bar.start, range.from());
                    prop_assert_eq!(Some(bar.open), own.first().map(|m| m.open));
                    prop_assert_eq!(Some(bar.close), own.last().map(|m| m.close));
                    prop_assert_eq!(bar.volume, own.iter().map(|m| m.volume).sum::<f64>());
                    prop_assert_eq!(bar.high, own.iter().map(|m| m.high).fold(f64::MIN, f64::max));
                    prop_assert_eq!(bar.low, own.iter().map(|m| m.low).fold(f64::MAX, f64::min));
                }
                let kept = minutes.iter().filter(|m| bucket_of(m).is_some()).map(|m| m.volume);
                prop_assert_eq!(resampled.iter().map(|r| r.bar.volume).sum::<f64>(), kept.sum::<f64>());
            }
        }
    }
}
