//! Stores what came: bars, coverage and the runs' outcome, in one transaction.
//!
//! Holds: for a run that went to another worker nothing is written, and the others of its pack are none the worse. What
//! can't be true is asked for again, and in the end kept apart with its reason.

use std::collections::{HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};
use market::{Bar, Calendar, Range, Sessions, Ticker, grid::Grid};
use metrics::counter;
use providers::{BarSource, FetchError, budget::Urgency};
use store::{
    StoreError,
    bars::{self, InvalidBar, SeriesBars, ShapedBar},
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

/// The last of a run's tries: what is still invalid then is quarantined instead of asked for again.
const LAST_TRY: i32 = 4;

/// Runs stored in one transaction: whoever waits for a series of theirs waits no longer than these take.
const AT_ONCE: usize = 64;

/// How often storing is tried where it has to give way to other transactions.
const GIVE_WAY: u32 = 3;

/// What became of it.
#[derive(Debug, Default)]
pub struct CommitSummary {
    /// Symbols of which no bar came.
    pub without_bars: Vec<Uuid>,
}

struct Shaped<'a> {
    run: &'a ClaimedRun,
    covered: Option<Range>,
    bars: Vec<ShapedBar>,
    invalid: Vec<InvalidBar>,
}

/// Gives each of `ended` its outcome.
pub async fn commit(
    engine: &Engine,
    source: &dyn BarSource,
    ended: &[&ClaimedRun],
    fetched: &FetchResult<'_>,
) -> Result<CommitSummary, StoreError> {
    let grace = source.limits(fetched.request.asset_class).grace;
    let calendar_of = |ticker: &Ticker| ended.iter().find(|run| run.ticker == *ticker).map(|run| run.calendar);
    let base = fetched.request.timeframe;
    let looked: HashMap<&Ticker, CheckedBars> = fetched
        .bars
        .iter()
        .filter_map(|(ticker, bars)| {
            Some((ticker, CheckedBars::new(bars, &sessions_of(fetched, calendar_of(ticker)?), base)))
        })
        .collect();
    let (spoilt, mut sound): (Vec<Shaped<'_>>, Vec<Shaped<'_>>) = ended
        .iter()
        .map(|run| shaped(run, looked.get(&run.ticker), fetched, grace))
        .partition(|shaped| !shaped.invalid.is_empty() && shaped.run.failures < LAST_TRY);
    // The requests are counted once: with what is stored, where anything is.
    let mut requests = fetched.requests;
    // What somebody waits for before what rides along, and a series' runs side by side.
    sound.sort_by_key(|Shaped { run, .. }| (!run.by_interest, &run.ticker, run.timeframe, run.slice.from()));
    for sound in sound.chunks(AT_ONCE) {
        if fetched.request.urgency == Urgency::Background {
            engine.foreground.wait_until_idle().await;
        }
        let requests = std::mem::take(&mut requests);
        let mut tries = GIVE_WAY;
        while let Err(error) = write(engine, sound, fetched, requests).await {
            tries -= 1;
            if tries == 0 || !error.gave_way() {
                return Err(error);
            }
            tracing::debug!(%error, "Storing anew");
        }
    }
    let spoilt: Vec<(&ClaimedRun, FetchError)> =
        spoilt.iter().map(|Shaped { run, invalid, .. }| (*run, can_not_be_true(source, run, invalid))).collect();
    failure::handle_spoilt(engine, source, &spoilt, requests).await?;
    quarantine_out_of_range(engine, source, ended, fetched).await?;
    let bare = |run: &&&ClaimedRun| fetched.bars.get(&run.ticker).is_none_or(Vec::is_empty);
    let without_bars: HashSet<Uuid> = ended.iter().filter(bare).map(|run| run.symbol_id).collect();
    Ok(CommitSummary { without_bars: without_bars.into_iter().collect() })
}

/// Bars of a time that nobody asked about can't be trusted to be what they say: they are kept apart, and their provider is said
/// to have sent them. What was asked for is good all the same.
async fn quarantine_out_of_range(
    engine: &Engine,
    source: &dyn BarSource,
    ended: &[&ClaimedRun],
    fetched: &FetchResult<'_>,
) -> Result<(), StoreError> {
    let asked = fetched.request.range;
    // The bar in which the range begins, or at which it ends, is nothing to wonder at.
    let near = fetched.request.timeframe.step().unwrap_or(SignedDuration::from_hours(24 * 8));
    let is_stray =
        |bar: &&Bar| asked.from().duration_since(bar.start) > near || bar.start.duration_since(asked.to()) > near;
    let mut found = 0;
    for (ticker, bars) in &fetched.bars {
        let strays: Vec<InvalidBar> = bars
            .iter()
            .filter(is_stray)
            .map(|bar| InvalidBar {
                bar: *bar,
                reason: format!("nobody asked for its time: what was asked for is {} to {}", asked.from(), asked.to()),
            })
            .collect();
        let Some(run) = ended.iter().find(|run| run.ticker == *ticker).filter(|_| !strays.is_empty()) else { continue };
        let mut tx = engine.database.begin().await?;
        let timeframe = fetched.request.timeframe;
        bars::quarantine(&mut tx, ticker, timeframe, run.timeframe, &fetched.provenance, &strays).await?;
        tx.commit().await.map_err(StoreError::from)?;
        found += strays.len();
    }
    if found > 0 {
        counter!("barkeep_store_quarantined_total").increment(found as u64);
        let (account, provider) = (source.account(), &source.endpoint().provider);
        let message = format!("{provider} sent {found} bars of times that nobody asked for");
        tracing::warn!(found, "{message}");
        store::provider_health::record_failure(&engine.database, account, provider, &message, false).await?;
    }
    Ok(())
}

fn sessions_of(fetched: &FetchResult<'_>, calendar: Calendar) -> Sessions {
    fetched.calendars.calendars.sessions_of(calendar)
}

fn shaped<'a>(
    run: &'a ClaimedRun,
    looked: Option<&CheckedBars>,
    fetched: &FetchResult<'_>,
    grace: SignedDuration,
) -> Shaped<'a> {
    let sessions = sessions_of(fetched, run.calendar);
    let asked = asked_range(&sessions, run.timeframe, run.slice, fetched.asked_at);
    let answered = fetched.answered.and_then(|answered| answered.intersection(&asked));
    let settled = fetched.asked_at.checked_sub(grace).unwrap_or(fetched.asked_at);
    let (Some(answered), Some(looked)) = (answered, looked) else {
        return Shaped { run, covered: None, bars: Vec::new(), invalid: Vec::new() };
    };
    let frame = ShapeContext {
        sessions: sessions.clone(),
        timeframe: run.timeframe,
        answered,
        asked_at: fetched.asked_at,
        grace,
    };
    let shaped = shape(looked, &frame);
    let covered = covered(run, sessions, answered.to().min(settled));
    Shaped { run, covered, bars: shaped.bars, invalid: shaped.invalid }
}

/// What of the slice counts as covered: up to the last bar that had ended for good, and of which the answer holds
/// everything, `until` then. The same rule as makes a bar final.
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
    sound: &[Shaped<'_>],
    fetched: &FetchResult<'_>,
    requests: u32,
) -> Result<(), StoreError> {
    let provenance = &fetched.provenance;
    let mut tx = engine.database.begin().await?;
    calendar_exceptions::ensure_edition(&mut tx, fetched.calendars.number).await?;
    let runs: Vec<&ClaimedRun> = sound.iter().map(|shaped| shaped.run).collect();
    let held: HashSet<Uuid> = runs::lock(&mut tx, &runs).await?.into_iter().collect();
    let (mine, lost): (Vec<&Shaped<'_>>, Vec<_>) = sound.iter().partition(|shaped| held.contains(&shaped.run.id));
    for shaped in lost {
        tracing::warn!(run = %shaped.run.id, "Run {} went to another worker; nothing of it is written", shaped.run.id);
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
        tracing::warn!("Runs went to another worker while they were stored; nothing was written");
        return Ok(());
    }
    let corrections = rereads::note(&mut tx, &outcomes).await?;
    tx.commit().await.map_err(StoreError::from)?;
    if corrections > 0 {
        counter!("barkeep_store_corrections_total").increment(corrections);
        tracing::info!(corrections, "{corrections} final bars have changed, of {}", told(&runs));
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
        told(&runs)
    );
    Ok(())
}

/// The symbols, or the first of them.
fn told(runs: &[&ClaimedRun]) -> String {
    let mut tickers: Vec<&str> = runs.iter().map(|run| run.ticker.as_str()).collect();
    tickers.sort_unstable();
    tickers.dedup();
    match tickers.as_slice() {
        [first, .., _, _, _] => format!("{first} and {} others", tickers.len() - 1),
        few => few.join(", "),
    }
}

fn can_not_be_true(source: &dyn BarSource, run: &ClaimedRun, invalid: &[InvalidBar]) -> FetchError {
    let first = invalid.first().map_or_else(String::new, |i| format!(", the first at {}: {}", i.bar.start, i.reason));
    FetchError::BadData {
        provider: source.endpoint().provider.clone(),
        message: format!("{} bars of {} can't be true{first}", invalid.len(), run.ticker),
    }
}
