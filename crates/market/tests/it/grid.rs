//! The grid of markets that never close, bucket by bucket.

use std::collections::BTreeMap;

use jiff::{Timestamp, ToSpan as _, civil::Date};
use market::{Calendar, Grid, Range, Timeframe};

use crate::golden;

#[test]
fn buckets_of_a_market_that_never_closes_are_exact() {
    let files = [Some(golden::own().join("always_open.csv")), golden::beside().map(|b| b.join("bars_24x7_grid.csv"))];
    files.into_iter().flatten().for_each(|file| exact(&golden::rows(&file)));
}

/// Rows of date, timeframe, index, start and end.
fn exact(rows: &[csv::StringRecord]) {
    let mut expected: BTreeMap<(Date, Timeframe), Vec<Range>> = BTreeMap::new();
    for row in rows {
        let at = |column: usize| row[column].parse::<Timestamp>().expect("an instant");
        let buckets =
            expected.entry((row[0].parse().expect("a date"), row[1].parse().expect("a timeframe"))).or_default();
        assert_eq!(row[2].parse(), Ok(buckets.len()), "rows come in the order of their index");
        buckets.push(Range::new(at(3), at(4)).expect("a range"));
    }
    for ((date, timeframe), buckets) in expected {
        let midnight = |date: Date| Calendar::AlwaysOpen.midnight(date).expect("an instant");
        let day = Range::new(midnight(date), midnight(date + 1.day())).expect("a day");
        for grid in [Grid::by_rules(Calendar::AlwaysOpen), Grid::Epoch] {
            assert_eq!(grid.buckets(timeframe, day), buckets, "{date} {timeframe} {grid:?}");
            for bucket in &buckets {
                assert_eq!(grid.bucket_of(timeframe, bucket.from()), Some(*bucket), "{timeframe} {grid:?}");
            }
        }
    }
}
