//! The data of the chart: stored bars, expected bars that are missing, and the coverage of the series.
//!
//! In: a series and a selection of its bars. Out: bars as arrays, which are smaller than objects, oldest first. Instants are Unix
//! seconds: the chart library's unit.

use jiff::Timestamp;
use market::{Adjustment, Calendars, Range, Ticker, Timeframe, grid::Grid};
use serde::Serialize;
use store::{
    Database, StoreError,
    adjusted::{self, AdjustedQuery},
    coverage::{self, SeriesCoverage},
    overview::{self, Gap},
    symbols,
};
use uuid::Uuid;

use super::format::{self, CoverageStatus};

/// Missing bars to show: more than the window of any timeframe has.
const MAX_MISSING: usize = 6_000;

/// Which bars of a series.
#[derive(Clone, Copy, Debug)]
pub(super) enum Selection {
    /// The newest bars, at most this many.
    Newest(i64),
    /// Bars before an instant, at most this many.
    Before(Timestamp, i64),
    /// All bars from an instant on.
    From(Timestamp),
}

/// Start, open, high, low, close, volume, and 1 for a bar that may still change.
type BarRow = (i64, f64, f64, f64, f64, f64, u8);

#[derive(Clone, Debug, Serialize)]
pub(super) struct ChartData {
    symbol: Ticker,
    timeframe: Timeframe,
    adjustment: Adjustment,
    pub(super) bars: Vec<BarRow>,
    /// Expected bars that are missing: start, and `pending` or `failed`.
    holes: Vec<(i64, &'static str)>,
    /// Whether older bars are stored.
    older: bool,
    state: SeriesState,
    /// Providers and feeds of these bars.
    sources: Vec<String>,
    decimals: usize,
}

impl ChartData {
    pub(super) fn state(&self) -> &SeriesState {
        &self.state
    }
}

/// The coverage of the series, for the page and its script.
#[derive(Clone, Debug, Serialize)]
pub(super) struct SeriesState {
    pub(super) class: &'static str,
    pub(super) label: String,
    /// The label with the reason.
    pub(super) sentence: String,
    pub(super) percent: u8,
}

/// `None`: the symbol has never been requested.
pub(super) async fn read(
    database: &Database,
    calendars: &Calendars,
    user: Uuid,
    ticker: &Ticker,
    timeframe: Timeframe,
    adjustment: Adjustment,
    selection: Selection,
) -> Result<Option<ChartData>, StoreError> {
    const MAX_BARS: i64 = 50_000;
    let far = Timestamp::MAX;
    let (range, limit) = match selection {
        Selection::Newest(limit) => (Ok(None), limit),
        Selection::Before(before, limit) => (Range::new(Timestamp::MIN, before).map(Some), limit),
        Selection::From(from) => (Range::new(from, far).map(Some), MAX_BARS),
    };
    let Ok(range) = range else { return Ok(None) };
    // Gaps first: a bar stored between the two queries is then in both, and drawn as a bar.
    let gaps = overview::gaps(database, Some(std::slice::from_ref(ticker)), 5_000).await?;
    let grid = Grid::Session(calendars.sessions_of(symbols::calendar(database, ticker).await?));
    // One bar more shows whether there are older ones.
    let query = AdjustedQuery { ticker, timeframe, range, limit: limit.saturating_add(1), adjustment };
    let Some(mut stored) = adjusted::read(database, Some(user), calendars, query).await? else { return Ok(None) };
    let older = i64::try_from(stored.len()).is_ok_and(|n| n > limit);
    if older {
        stored.remove(0);
    }
    let from = match selection {
        Selection::From(from) => from,
        // If there are no older bars, all missing bars before these are included.
        _ if older => stored.first().map_or(Timestamp::MIN, |bar| bar.bar.start),
        _ => Timestamp::MIN,
    };
    let to = match selection {
        Selection::Before(before, _) => before,
        _ => far,
    };
    let mut sources: Vec<String> = stored.iter().map(|bar| bar.provider.clone()).collect();
    sources.sort_unstable();
    sources.dedup();
    let series = coverage::of_symbol(database, Some(user), ticker).await?;
    Ok(Some(ChartData {
        symbol: ticker.clone(),
        timeframe,
        adjustment,
        holes: missing_bars(&gaps, &grid, timeframe, from, to),
        older,
        state: series_state(series.iter().find(|series| series.timeframe == timeframe)),
        sources,
        decimals: stored.last().map_or(2, |bar| format::decimals(bar.bar.close)),
        bars: stored
            .iter()
            .map(|stored| {
                let bar = &stored.bar;
                let start = bar.start.as_second();
                (start, bar.open, bar.high, bar.low, bar.close, bar.volume, u8::from(!stored.is_final))
            })
            .collect(),
    }))
}

pub(super) fn series_state(series: Option<&SeriesCoverage>) -> SeriesState {
    match series {
        Some(series) => SeriesState {
            class: CoverageStatus::new(series).class(),
            label: CoverageStatus::new(series).label(),
            sentence: format::description(series),
            percent: format::percent(series),
        },
        None => SeriesState {
            class: "filling",
            label: "requested".to_owned(),
            sentence: "requested".to_owned(),
            percent: 0,
        },
    }
}

/// The expected bars in the gaps between two instants.
fn missing_bars(
    gaps: &[Gap],
    grid: &Grid,
    timeframe: Timeframe,
    from: Timestamp,
    to: Timestamp,
) -> Vec<(i64, &'static str)> {
    let Ok(shown) = Range::new(from, to) else { return Vec::new() };
    let mut missing = Vec::new();
    for gap in gaps.iter().filter(|gap| gap.timeframe == timeframe) {
        let Some(range) = gap.range.intersection(&shown) else { continue };
        let state = match gap.state.as_str() {
            "failed" | "suspended" => "failed",
            _ => "pending",
        };
        let left = MAX_MISSING.saturating_sub(missing.len());
        let buckets = grid.buckets(timeframe, range);
        missing.extend(buckets.iter().rev().take(left).map(|bucket| (bucket.from().as_second(), state)));
    }
    missing.sort_unstable();
    missing
}
