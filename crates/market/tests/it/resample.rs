//! Resampled minutes against pandas and polars.

use market::{Bar, Calendar, Grid, Timeframe, resample};

use crate::golden;

#[test]
fn session_anchored_bars_are_those_of_pandas_and_polars() {
    agree("session", &Grid::by_rules(Calendar::Xnys));
}

#[test]
fn clock_aligned_bars_with_extended_hours_are_those_of_pandas_and_polars() {
    agree("clock_et_ext", &Grid::ClockNewYork);
}

#[test]
fn bars_of_a_market_that_never_closes_are_those_of_pandas_and_polars() {
    agree("utc24x7", &Grid::Epoch);
    agree("utc24x7", &Grid::by_rules(Calendar::AlwaysOpen));
}

/// Compares every file of that convention.
fn agree(convention: &str, grid: &Grid) {
    let Some(folder) = golden::folder() else { return };
    let mut compared = 0;
    for entry in std::fs::read_dir(folder.join("resample")).expect("the folder of resampled bars") {
        let name = entry.expect("an entry").file_name().into_string().expect("a name");
        let Some((case, timeframe)) = name.strip_suffix(".csv").and_then(|stem| stem.rsplit_once('_')) else {
            continue;
        };
        if let Some(case) = case.strip_suffix(convention).and_then(|case| case.strip_suffix('_')) {
            compare(&name, &format!("{case}_minute.csv"), grid, timeframe.parse().expect("a timeframe"));
            compared += 1;
        }
    }
    assert_eq!(compared, 3, "m15, h1 and h4 are there for {convention}");
}

fn compare(name: &str, minutes: &str, grid: &Grid, timeframe: Timeframe) {
    let minutes: Vec<Bar> =
        golden::rows(&format!("resample/{minutes}")).expect("minutes").iter().map(|row| bar(row, 1)).collect();
    let expected = golden::rows(&format!("resample/{name}")).expect("bars");
    let ours = resample(&minutes, grid, timeframe);
    assert_eq!(ours.len(), expected.len(), "{name}");
    for (ours, row) in ours.iter().zip(&expected) {
        let theirs = bar(row, 3);
        let place = format!("{name} {}", &row[0]);
        assert_eq!((ours.bar.start, ours.range.from()), (theirs.start, theirs.start), "{place}");
        assert_eq!(ours.range.to().to_string(), row[1], "{place}");
        assert_eq!(Ok(ours.range.duration().as_secs()), row[2].parse(), "{place}");
        let prices = |bar: &Bar| [bar.open, bar.high, bar.low, bar.close];
        assert_eq!(prices(&ours.bar), prices(&theirs), "{place}");
        assert_eq!(ours.bar.trade_count, theirs.trade_count, "{place}");
        close(ours.bar.volume, theirs.volume, &place);
        close(ours.bar.vwap.expect("a vwap"), theirs.vwap.expect("a vwap"), &place);
    }
}

/// A row whose first column is the start and whose column `prices` is the open.
fn bar(row: &csv::StringRecord, prices: usize) -> Bar {
    let number = |column: usize| row[prices + column].parse::<f64>().expect("a number");
    Bar {
        start: row[0].parse().expect("an instant"),
        open: number(0),
        high: number(1),
        low: number(2),
        close: number(3),
        volume: number(4),
        vwap: Some(number(5)),
        trade_count: Some(row[prices + 6].parse().expect("a count")),
    }
}

fn close(ours: f64, theirs: f64, place: &str) {
    assert!((ours - theirs).abs() <= 1e-9 * theirs.abs(), "{place}: {ours} is not {theirs}");
}
