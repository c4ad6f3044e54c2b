//! Resampled minutes against pandas and polars.

use std::path::Path;

use market::{Bar, Calendar, Grid, Timeframe, resample};

use crate::golden;

#[test]
fn session_anchored_bars_are_those_of_pandas_and_polars() {
    agree(&["session"], &Grid::by_rules(Calendar::Xnys));
}

#[test]
fn clock_aligned_bars_with_extended_hours_are_those_of_pandas_and_polars() {
    agree(&["clock", "clock_et_ext"], &Grid::ClockNewYork);
}

#[test]
fn bars_of_a_market_that_never_closes_are_those_of_pandas_and_polars() {
    agree(&["utc", "utc24x7"], &Grid::Epoch);
    agree(&["utc", "utc24x7"], &Grid::by_rules(Calendar::AlwaysOpen));
}

/// Compares every file of that convention, which goes by one of `names`.
fn agree(names: &[&str], grid: &Grid) {
    for folder in [Some(golden::own()), golden::beside()].into_iter().flatten() {
        let (folder, mut compared) = (folder.join("resample"), 0);
        for entry in std::fs::read_dir(&folder).expect("the folder of resampled bars") {
            let name = entry.expect("an entry").file_name().into_string().expect("a name");
            let Some((stem, ending)) = name.split_once('.') else { continue };
            let Some((case, timeframe)) = stem.rsplit_once('_') else { continue };
            let case = names.iter().find_map(|name| case.strip_suffix(name)?.strip_suffix('_'));
            let (Some(case), Ok(timeframe)) = (case, timeframe.parse()) else { continue };
            compare(&folder.join(&name), &folder.join(format!("{case}_minute.{ending}")), grid, timeframe);
            compared += 1;
        }
        assert_eq!(compared, 3, "m15, h1 and h4 are there for {names:?} in {}", folder.display());
    }
}

fn compare(bars: &Path, minutes: &Path, grid: &Grid, timeframe: Timeframe) {
    let minutes: Vec<Bar> = golden::rows(minutes).iter().map(bar).collect();
    let expected = golden::rows(bars);
    let ours = resample(&minutes, grid, timeframe);
    assert_eq!(ours.len(), expected.len(), "{}", bars.display());
    for (ours, row) in ours.iter().zip(&expected) {
        let theirs = bar(row);
        let place = format!("{} {}", bars.display(), &row[0]);
        assert_eq!((ours.bar.start, ours.range.from()), (theirs.start, theirs.start), "{place}");
        assert_eq!(ours.range.to().to_string(), row[1], "{place}");
        let prices = |bar: &Bar| [bar.open, bar.high, bar.low, bar.close];
        assert_eq!(prices(&ours.bar), prices(&theirs), "{place}");
        assert_eq!(ours.bar.trade_count, theirs.trade_count, "{place}");
        close(ours.bar.volume, theirs.volume, &place);
        close(ours.bar.vwap.expect("a vwap"), theirs.vwap.expect("a vwap"), &place);
    }
}

/// A row whose first column is the start and whose last seven are prices, volume, mean price and count.
fn bar(row: &csv::StringRecord) -> Bar {
    let prices = row.len() - 7;
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
