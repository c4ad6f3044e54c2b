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
/// A bar goes whole to the bucket that its start belongs to ([`Grid::bucket_of`]), so the bars given should be no longer
/// than the buckets and on the same grid; one that starts outside any bucket is dropped. A bucket without bars isn't emitted.
///
/// Open is that of the first bar, close that of the last, high and low the extremes, volume the sum. `vwap` is weighted by volume,
/// and `None` unless every contributing bar that has volume has one, and one has. `trade_count` is the sum, `None`
/// unless all have one.
///
/// `bars` are expected oldest first; others are put in that order first, at the cost of a copy. Two bars with the
/// same start both count, in the order given.
pub fn resample(bars: &[Bar], grid: &Grid, timeframe: Timeframe) -> Vec<Resampled> {
    let mut resampled = Vec::new();
    let mut forming: Option<Forming> = None;
    for bar in oldest_first(bars).iter() {
        if let Some(current) = forming.as_mut().filter(|current| current.surely_takes(bar.start)) {
            current.add(bar);
            continue;
        }
        let Some(place) = grid.place(timeframe, bar.start) else { continue };
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
