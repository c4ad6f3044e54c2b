//! One run's bars from the provider. In: a claimed run. Out: bars as sent, in the base timeframe.

use jiff::Timestamp;
use market::{Range, Timeframe, grid::Grid};
use providers::{BarsRequest, FetchError, FetchedBars};
use store::runs::ClaimedRun;

use crate::{engine::Engine, plan::base_of};

/// What came, and what was asked.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) base: Timeframe,
    pub(crate) asked: Range,
    pub(crate) bars: FetchedBars,
    /// The market's time before the request went out: what had ended by then can be final.
    pub(crate) asked_at: Timestamp,
}

/// Asks for the slice, from the start of its first bar on, and for the bar that is forming now where the slice ends
/// at it.
pub(crate) async fn fetch(engine: &Engine, run: &ClaimedRun) -> Result<Fetched, FetchError> {
    let asset_class = run.ticker.asset_class();
    let limits = engine.source.limits(asset_class);
    let asked_at = engine.clock.now();
    let base = base_of(run.timeframe, run.calendar, &limits).ok_or_else(|| FetchError::Unavailable {
        provider: engine.provider().to_owned(),
        message: format!("it has no bars that {} could be made of", run.timeframe),
    })?;
    let asked = asked_range(run, asked_at);
    let request = BarsRequest { asset_class, tickers: vec![run.ticker.clone()], timeframe: base, range: asked };
    let bars = engine.source.bars(&request).await?;
    Ok(Fetched { base, asked, bars, asked_at })
}

/// The slice from its first bar's start (a day's bar starts at midnight, before the open) on to its end, or to now
/// where only the forming bar lies between.
fn asked_range(run: &ClaimedRun, now: Timestamp) -> Range {
    let grid = Grid::Session(run.calendar);
    let from = grid.bucket_of(run.timeframe, run.slice.from()).map_or(run.slice.from(), |b| b.from());
    let from = from.min(run.slice.from());
    let forming = Range::new(run.slice.to(), now).is_ok_and(|rest| grid.buckets(run.timeframe, rest).len() <= 2);
    let to = if forming { now } else { run.slice.to() };
    Range::new(from, to).unwrap_or(run.slice)
}
