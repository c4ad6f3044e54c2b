//! What the chart draws: stored bars, which of the expected ones are missing, and how far the series has come.
//!
//! In: a series and which part of it. Out: bars as arrays (a tenth of what objects take), oldest first. Instants are Unix seconds:
//! the chart library's unit.

use jiff::Timestamp;
use market::{Adjustment, Calendars, Range, Ticker, Timeframe, grid::Grid};
use serde::Serialize;
use store::{
    Database, StoreError,
    adjusted::{self, Wanted},
    coverage::{self, SeriesCoverage},
    show::{self, Gap},
    symbols,
};
use uuid::Uuid;

use super::format::{self, Fill};

/// Bars that are missing and shown as such: more than a window of any timeframe has.
const MOST_HOLES: usize = 6_000;

/// Which part of a series.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    /// The newest so many.
    Newest(i64),
    /// So many before an instant.
    Before(Timestamp, i64),
    /// All from an instant on.
    From(Timestamp),
}

/// Start, open, high, low, close, volume, and 1 for a bar that may still change.
type Row = (i64, f64, f64, f64, f64, f64, u8);

#[derive(Clone, Debug, Serialize)]
pub(super) struct Data {
    symbol: Ticker,
    timeframe: Timeframe,
    adjustment: Adjustment,
    pub(super) bars: Vec<Row>,
    /// Expected bars that nobody has answered for: start, and what is done about it.
    holes: Vec<(i64, &'static str)>,
    /// Whether older bars are stored than these.
    older: bool,
    state: State,
    /// Providers and feeds of these bars.
    sources: Vec<String>,
    decimals: usize,
}

impl Data {
    pub(super) fn state(&self) -> &State {
        &self.state
    }
}

/// The coverage of the series.
#[derive(Clone, Debug, Serialize)]
pub(super) struct State {
    pub(super) class: &'static str,
    pub(super) label: String,
    /// The whole of it, with the reason.
    pub(super) sentence: String,
    pub(super) percent: u8,
}

/// `None`: nobody has asked for the symbol.
pub(super) async fn read(
    database: &Database,
    calendars: &Calendars,
    user: Uuid,
    ticker: &Ticker,
    timeframe: Timeframe,
    adjustment: Adjustment,
    part: Part,
) -> Result<Option<Data>, StoreError> {
    const MOST: i64 = 50_000;
    let far = Timestamp::MAX;
    let (range, limit) = match part {
        Part::Newest(limit) => (Ok(None), limit),
        Part::Before(before, limit) => (Range::new(Timestamp::MIN, before).map(Some), limit),
        Part::From(from) => (Range::new(from, far).map(Some), MOST),
    };
    let Ok(range) = range else { return Ok(None) };
    // Before the bars: what is stored between the two questions is then both, and drawn as a bar.
    let gaps = show::gaps(database, Some(std::slice::from_ref(ticker)), 5_000).await?;
    let grid = Grid::Session(calendars.sessions_of(symbols::calendar(database, ticker).await?));
    // One more tells whether there are older ones.
    let wanted = Wanted { ticker, timeframe, range, limit: limit.saturating_add(1), adjustment };
    let Some(mut stored) = adjusted::read(database, Some(user), calendars, wanted).await? else { return Ok(None) };
    let older = i64::try_from(stored.len()).is_ok_and(|n| n > limit);
    if older {
        stored.remove(0);
    }
    let from = match part {
        Part::From(from) => from,
        // Where there are no older bars, all that is missing before is shown as well.
        _ if older => stored.first().map_or(Timestamp::MIN, |bar| bar.bar.start),
        _ => Timestamp::MIN,
    };
    let to = match part {
        Part::Before(before, _) => before,
        _ => far,
    };
    let mut sources: Vec<String> = stored.iter().map(|bar| bar.provider.clone()).collect();
    sources.sort_unstable();
    sources.dedup();
    let series = coverage::of_symbol(database, Some(user), ticker).await?;
    Ok(Some(Data {
        symbol: ticker.clone(),
        timeframe,
        adjustment,
        holes: holes(&gaps, &grid, timeframe, from, to),
        older,
        state: state(series.iter().find(|series| series.timeframe == timeframe)),
        sources,
        decimals: stored.last().map_or(2, |bar| format::decimals(bar.bar.close)),
        bars: stored
            .iter()
            .map(|of| {
                let bar = &of.bar;
                let start = bar.start.as_second();
                (start, bar.open, bar.high, bar.low, bar.close, bar.volume, u8::from(!of.is_final))
            })
            .collect(),
    }))
}

pub(super) fn state(series: Option<&SeriesCoverage>) -> State {
    match series {
        Some(series) => State {
            class: Fill::of(series).class(),
            label: Fill::of(series).label(),
            sentence: format::sentence(series),
            percent: format::percent(series),
        },
        None => State { class: "filling", label: "asked for".to_owned(), sentence: "asked for".to_owned(), percent: 0 },
    }
}

/// The expected bars of the gaps between two instants.
fn holes(gaps: &[Gap], grid: &Grid, timeframe: Timeframe, from: Timestamp, to: Timestamp) -> Vec<(i64, &'static str)> {
    let Ok(part) = Range::new(from, to) else { return Vec::new() };
    let mut holes = Vec::new();
    for gap in gaps.iter().filter(|gap| gap.timeframe == timeframe) {
        let Some(range) = gap.range.intersection(&part) else { continue };
        let what = match gap.state.as_str() {
            "failed" | "suspended" => "failed",
            _ => "pending",
        };
        let left = MOST_HOLES.saturating_sub(holes.len());
        let buckets = grid.buckets(timeframe, range);
        holes.extend(buckets.iter().rev().take(left).map(|bucket| (bucket.from().as_second(), what)));
    }
    holes.sort_unstable();
    holes
}
