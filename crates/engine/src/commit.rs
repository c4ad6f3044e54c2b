//! Stores fetched bars, coverage and the runs' outcomes in one transaction.
//!
//! In: a [`FetchResult`] and the runs it completes. Out: bars, coverage, an outcome for each run. Holds: nothing is
//! written for a run whose lease went to another worker, and the other runs of its pack are stored all the same.
//! Invalid bars are requested again; on the last try they are quarantined with the reason.

use std::collections::{HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};
use market::{Bar, Calendar, Range, Sessions, Ticker, grid::Grid};
use metrics::counter;
use providers::{BarSource, BarsRequest, FetchError, budget::Urgency};
use store::{
    StoreError,
    bars::{self, InvalidBar, SeriesBars, ShapedBar},
    provider_health::Failed,
    rereads,
    runs::{self, ClaimedRun, Outcome},
};
use uuid::Uuid;

use crate::{
    calendar_exceptions,
    dispatch::failure,
    engine::Engine,
    fetch::{FetchResult, asked_range},
    shape::{CheckedBars, ShapeContext, shape},
};

/// A run with this many failures is on its last try: bars that are still invalid are quarantined instead of requested
/// again.
const LAST_TRY: i32 = 4;

/// Runs stored in one transaction: it bounds how long a foreground request waits for a lock on one of their series.
const AT_ONCE: usize = 64;

/// How often storing is tried when it conflicts with other transactions.
const MAX_TRIES: u32 = 3;

/// Result of a commit.
#[derive(Debug, Default)]
pub struct CommitSummary {
    /// Symbols for which no bar was returned.
    pub without_bars: Vec<Uuid>,
    /// The provider sent bars that are invalid or outside of the requested range, and this was counted as its failure.
    pub provider_failed: bool,
}

struct Shaped<'a> {
    run: &'a ClaimedRun,
    covered: Option<Range>,
    bars: Vec<ShapedBar>,
    invalid: Vec<InvalidBar>,
}

/// Writes the outcome of each run in `ended`.
pub async fn commit(
    engine: &Engine,
    source: &dyn BarSource,
    ended: &[&ClaimedRun],
    fetched: &FetchResult<'_>,
) -> Result<CommitSummary, StoreError> {
    let grace = source.limits(fetched.request.asset_class).grace;
    let calendar_of = |ticker: &Ticker| ended.iter().find(|run| run.ticker == *ticker).map(|run| run.calendar);
    let base = fetched.request.timeframe;
    let checked: HashMap<&Ticker, CheckedBars> = fetched
        .bars
        .iter()
        .filter_map(|(ticker, bars)| {
            Some((ticker, CheckedBars::new(bars, &sessions_of(fetched, calendar_of(ticker)?), base, fetched.asked_at)))
        })
        .collect();
    // Bars that are all of another range answer another request: nothing is known about the requested one.
    let is_elsewhere = |run: &ClaimedRun| {
        let bars = fetched.bars.get(&run.ticker).map(Vec::as_slice).unwrap_or_default();
        !bars.is_empty() && bars.iter().all(|bar| is_out_of_range(bar, fetched.request))
    };
    let (rejected, mut accepted): (Vec<Shaped<'_>>, Vec<Shaped<'_>>) = ended
        .iter()
        .map(|run| shaped(run, checked.get(&run.ticker), fetched, grace))
        .partition(|shaped| is_elsewhere(shaped.run) || !shaped.invalid.is_empty() && shaped.run.failures < LAST_TRY);
    // The requests are counted once: with the first stored chunk, or with the failure if nothing is stored.
    let mut requests = fetched.requests;
    // Foreground runs first, and the runs of a series next to each other.
    accepted.sort_by_key(|Shaped { run, .. }| (!run.by_interest, &run.ticker, run.timeframe, run.slice.from()));
    for accepted in accepted.chunks(AT_ONCE) {
        if fetched.request.urgency == Urgency::Background {
            engine.foreground.wait_until_idle().await;
        }
        let requests = std::mem::take(&mut requests);
        let mut tries = MAX_TRIES;
        while let Err(error) = write(engine, accepted, fetched, requests).await {
            tries -= 1;
            if tries == 0 || !error.is_conflict() {
                return Err(error);
            }
            tracing::debug!(%error, "Retrying to store");
        }
    }
    let rejected: Vec<(&ClaimedRun, FetchError)> =
        rejected.iter().map(|Shaped { run, invalid, .. }| (*run, bad_data(source, run, invalid))).collect();
    failure::handle_invalid(engine, source, &rejected, requests).await?;
    let out_of_range = quarantine_out_of_range(engine, source, ended, fetched).await?;
    let bare = |run: &&&ClaimedRun| fetched.bars.get(&run.ticker).is_none_or(Vec::is_empty);
    let without_bars: HashSet<Uuid> = ended.iter().filter(bare).map(|run| run.symbol_id).collect();
    Ok(CommitSummary {
        without_bars: without_bars.into_iter().collect(),
        provider_failed: !rejected.is_empty() || out_of_range > 0,
    })
}

/// Bars far outside of the requested range can't be trusted: they are quarantined, and counted as a failure of their
/// provider. The bars within the range are stored all the same. Returns how many there were.
async fn quarantine_out_of_range(
    engine: &Engine,
    source: &dyn BarSource,
    ended: &[&ClaimedRun],
    fetched: &FetchResult<'_>,
) -> Result<usize, StoreError> {
    let asked = fetched.request.range;
    let mut found = 0;
    for (ticker, bars) in &fetched.bars {
        let stray_bars: Vec<InvalidBar> = bars
            .iter()
            .filter(|bar| is_out_of_range(bar, fetched.request))
            .map(|bar| InvalidBar {
                bar: *bar,
                reason: format!("out of range: the request was for {} to {}", asked.from(), asked.to()),
            })
            .collect();
        let Some(run) = ended.iter().find(|run| run.ticker == *ticker).filter(|_| !stray_bars.is_empty()) else {
            continue;
        };
        let mut tx = engine.database.begin().await?;
        let timeframe = fetched.request.timeframe;
        bars::quarantine(&mut tx, ticker, timeframe, run.timeframe, &fetched.provenance, &stray_bars).await?;
        tx.commit().await.map_err(StoreError::from)?;
        found += stray_bars.len();
    }
    if found > 0 {
        counter!("barkeep_store_quarantined_total").increment(found as u64);
        let (account, provider) = (source.account(), &source.endpoint().provider);
        let message = format!("{provider} sent {found} bars outside of the requested range");
        tracing::warn!(found, "{message}");
        store::provider_health::record_failure(&engine.database, account, provider, &message, Failed::BadAnswer)
            .await?;
    }
    Ok(found)
}

/// The bar that contains the start of the range, or starts at its end, is expected.
fn is_out_of_range(bar: &Bar, request: &BarsRequest) -> bool {
    let near = request.timeframe.step().unwrap_or(SignedDuration::from_hours(24 * 8));
    request.range.from().duration_since(bar.start) > near || bar.start.duration_since(request.range.to()) > near
}

fn sessions_of(fetched: &FetchResult<'_>, calendar: Calendar) -> Sessions {
    fetched.calendars.calendars.sessions_of(calendar)
}

fn shaped<'a>(
    run: &'a ClaimedRun,
    checked: Option<&CheckedBars>,
    fetched: &FetchResult<'_>,
    grace: SignedDuration,
) -> Shaped<'a> {
    let sessions = sessions_of(fetched, run.calendar);
    let asked = asked_range(&sessions, run.timeframe, run.slice, fetched.asked_at);
    let answered = fetched.answered.and_then(|answered| answered.intersection(&asked));
    let settled = fetched.asked_at.checked_sub(grace).unwrap_or(fetched.asked_at);
    let (Some(answered), Some(checked)) = (answered, checked) else {
        return Shaped { run, covered: None, bars: Vec::new(), invalid: Vec::new() };
    };
    let frame = ShapeContext {
        sessions: sessions.clone(),
        timeframe: run.timeframe,
        answered,
        asked_at: fetched.asked_at,
        grace,
    };
    let shaped = shape(checked, &frame);
    let covered = covered(run, sessions, answered.to().min(settled));
    Shaped { run, covered, bars: shaped.bars, invalid: shaped.invalid }
}

/// The part of the slice that counts as covered: up to the end of the last bar that was final and fully answered for
/// at `until`. The same rule makes a bar final.
fn covered(run: &ClaimedRun, sessions: Sessions, until: Timestamp) -> Option<Range> {
    if until >= run.slice.to() {
        return Some(run.slice);
    }
    let grid = Grid::Session(sessions);
    let until = grid.bucket_of(run.timeframe, until).map_or(until, |bucket| bucket.from());
    Range::new(run.slice.from(), until.min(run.slice.to())).ok()
}

async fn write(
    engine: &Engine,
    accepted: &[Shaped<'_>],
    fetched: &FetchResult<'_>,
    requests: u32,
) -> Result<(), StoreError> {
    let provenance = &fetched.provenance;
    let mut tx = engine.database.begin().await?;
    calendar_exceptions::ensure_edition(&mut tx, fetched.calendars.number).await?;
    let runs: Vec<&ClaimedRun> = accepted.iter().map(|shaped| shaped.run).collect();
    let held: HashSet<Uuid> = runs::lock(&mut tx, &runs).await?.into_iter().collect();
    let (mine, lost): (Vec<&Shaped<'_>>, Vec<_>) = accepted.iter().partition(|shaped| held.contains(&shaped.run.id));
    for shaped in lost {
        tracing::warn!(run = %shaped.run.id, "Run {} went to another worker; nothing is written for it", shaped.run.id);
    }
    let series: Vec<SeriesBars<'_>> = mine
        .iter()
        .map(|s| SeriesBars { symbol_id: s.run.symbol_id, timeframe: s.run.timeframe, bars: &s.bars })
        .collect();
    let rows = bars::store(&mut tx, provenance, &series).await?;
    for shaped in &mine {
        let (ticker, asked) = (&shaped.run.ticker, fetched.request.timeframe);
        bars::quarantine(&mut tx, ticker, asked, shaped.run.timeframe, provenance, &shaped.invalid).await?;
    }
    let outcomes: Vec<Outcome<'_>> = mine
        .iter()
        .zip(&rows)
        .enumerate()
        .map(|(index, (shaped, rows))| Outcome {
            run: shaped.run,
            covered: shaped.covered,
            rows: *rows,
            requests: if index == 0 { requests } else { 0 },
        })
        .collect();
    if !runs::finish(&mut tx, &outcomes, provenance).await? {
        tx.rollback().await.map_err(StoreError::from)?;
        tracing::warn!("Runs went to another worker while they were being stored; nothing was written");
        return Ok(());
    }
    let corrections = rereads::note(&mut tx, &outcomes).await?;
    tx.commit().await.map_err(StoreError::from)?;
    if corrections > 0 {
        counter!("barkeep_store_corrections_total").increment(corrections);
        tracing::info!(corrections, "{corrections} final bars were corrected: {}", symbols_of(&runs));
    }
    let (rows, quarantined) = (rows.iter().sum::<u64>(), mine.iter().map(|s| s.invalid.len()).sum::<usize>());
    counter!("barkeep_store_bars_total").increment(rows);
    counter!("barkeep_store_quarantined_total").increment(quarantined as u64);
    counter!("barkeep_dispatch_runs_total", "outcome" => "success").increment(mine.len() as u64);
    tracing::info!(
        runs = mine.len(),
        rows,
        requests,
        quarantined,
        "Stored {rows} bars of {} runs, {}",
        mine.len(),
        symbols_of(&runs)
    );
    Ok(())
}

/// The symbols for a log message, or the first of them and a count.
fn symbols_of(runs: &[&ClaimedRun]) -> String {
    let mut tickers: Vec<&str> = runs.iter().map(|run| run.ticker.as_str()).collect();
    tickers.sort_unstable();
    tickers.dedup();
    match tickers.as_slice() {
        [first, .., _, _, _] => format!("{first} and {} others", tickers.len() - 1),
        few => few.join(", "),
    }
}

fn bad_data(source: &dyn BarSource, run: &ClaimedRun, invalid: &[InvalidBar]) -> FetchError {
    let message = match invalid.first() {
        Some(first) => format!(
            "{} invalid bars of {}, the first at {}: {}",
            invalid.len(),
            run.ticker,
            first.bar.start,
            first.reason
        ),
        None => format!("bars of {} that are all of another range", run.ticker),
    };
    FetchError::BadData { provider: source.endpoint().provider.clone(), message }
}
