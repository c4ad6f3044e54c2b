//! Stores what came: bars, coverage and the runs' outcome, in one transaction.
//!
//! Holds: for a run that went to another worker nothing is written, and the others of its pack are none the worse. What
//! can't be true is asked for again, and in the end kept apart with its reason.

use std::collections::{HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};
use market::{Bar, Range, Ticker, grid::Grid};
use metrics::counter;
use providers::{BarSource, FetchError, budget::Urgency};
use store::{
    StoreError,
    bars::{self, InsaneBar, SeriesBars, ShapedBar},
    rereads,
    runs::{self, ClaimedRun, Outcome},
};
use uuid::Uuid;

use super::{failure, see_through::Brought};
use crate::{
    engine::Engine,
    fetch::asked_range,
    sessions,
    shape::{Frame, Looked, shape},
};

/// The last of a run's tries: what is still insane then is quarantined instead of asked for again.
const LAST_TRY: i32 = 4;

/// Runs stored in one transaction: whoever waits for a series of theirs waits no longer than these take.
const AT_ONCE: usize = 64;

/// How often storing is tried where it has to give way to other transactions.
const GIVE_WAY: u32 = 3;

/// What became of it.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// Symbols of which no bar came.
    pub(super) without_bars: Vec<Uuid>,
}

struct Shaped<'a> {
    run: &'a ClaimedRun,
    covered: Option<Range>,
    bars: Vec<ShapedBar>,
    insane: Vec<InsaneBar>,
}

/// Gives each of `ended` its outcome.
pub(super) async fn keep(
    engine: &Engine,
    source: &dyn BarSource,
    ended: &[&ClaimedRun],
    brought: &Brought<'_>,
) -> Result<Kept, StoreError> {
    let grace = source.limits(brought.request.asset_class).grace;
    let calendar_of = |ticker: &Ticker| ended.iter().find(|run| run.ticker == *ticker).map(|run| run.calendar);
    let base = brought.request.timeframe;
    let looked: HashMap<&Ticker, Looked> = brought
        .bars
        .iter()
        .filter_map(|(ticker, bars)| Some((ticker, Looked::at(bars, calendar_of(ticker)?, base))))
        .collect();
    let (spoilt, mut sound): (Vec<Shaped<'_>>, Vec<Shaped<'_>>) = ended
        .iter()
        .map(|run| shaped(run, looked.get(&run.ticker), brought, grace))
        .partition(|shaped| !shaped.insane.is_empty() && shaped.run.failures < LAST_TRY);
    // The requests are counted once: with what is stored, where anything is.
    let mut requests = brought.requests;
    // What somebody waits for before what rides along, and a series' runs side by side.
    sound.sort_by_key(|Shaped { run, .. }| (!run.by_interest, &run.ticker, run.timeframe, run.slice.from()));
    for sound in sound.chunks(AT_ONCE) {
        if brought.request.urgency == Urgency::Background {
            engine.turns.keep_still().await;
        }
        let requests = std::mem::take(&mut requests);
        let mut tries = GIVE_WAY;
        while let Err(error) = write(engine, sound, brought, requests).await {
            tries -= 1;
            if tries == 0 || !error.gave_way() {
                return Err(error);
            }
            tracing::debug!(%error, "Storing anew");
        }
    }
    for Shaped { run, insane, .. } in &spoilt {
        let error = can_not_be_true(source, run, insane);
        failure::give_back(engine, source, std::slice::from_ref(*run), &error, std::mem::take(&mut requests)).await?;
    }
    set_strays_apart(engine, source, ended, brought).await?;
    let bare = |run: &&&ClaimedRun| brought.bars.get(&run.ticker).is_none_or(Vec::is_empty);
    let without_bars: HashSet<Uuid> = ended.iter().filter(bare).map(|run| run.symbol_id).collect();
    Ok(Kept { without_bars: without_bars.into_iter().collect() })
}

/// Bars of a time that nobody asked about can't be trusted to be what they say: they are kept apart, and their provider is said
/// to have sent them. What was asked for is good all the same.
async fn set_strays_apart(
    engine: &Engine,
    source: &dyn BarSource,
    ended: &[&ClaimedRun],
    brought: &Brought<'_>,
) -> Result<(), StoreError> {
    let asked = brought.request.range;
    // The bar in which the range begins, or at which it ends, is nothing to wonder at.
    let near = brought.request.timeframe.step().unwrap_or(SignedDuration::from_hours(24 * 8));
    let is_stray =
        |bar: &&Bar| asked.from().duration_since(bar.start) > near || bar.start.duration_since(asked.to()) > near;
    let mut found = 0;
    for (ticker, bars) in &brought.bars {
        let strays: Vec<InsaneBar> = bars
            .iter()
            .filter(is_stray)
            .map(|bar| InsaneBar {
                bar: *bar,
                reason: format!("nobody asked for its time: what was asked for is {} to {}", asked.from(), asked.to()),
            })
            .collect();
        let Some(run) = ended.iter().find(|run| run.ticker == *ticker).filter(|_| !strays.is_empty()) else { continue };
        let mut tx = engine.database.begin().await?;
        let timeframe = brought.request.timeframe;
        bars::quarantine(&mut tx, ticker, timeframe, run.timeframe, &brought.provenance, &strays).await?;
        tx.commit().await.map_err(StoreError::from)?;
        found += strays.len();
    }
    if found > 0 {
        counter!("barkeep_store_quarantined_total").increment(found as u64);
        let (account, provider) = (source.account(), &source.endpoint().provider);
        let message = format!("{provider} sent {found} bars of times that nobody asked for");
        tracing::warn!(found, "{message}");
        store::providers::failed(&engine.database, account, provider, &message, false).await?;
    }
    Ok(())
}

fn shaped<'a>(
    run: &'a ClaimedRun,
    looked: Option<&Looked>,
    brought: &Brought<'_>,
    grace: SignedDuration,
) -> Shaped<'a> {
    let asked = asked_range(run.calendar, run.timeframe, run.slice, brought.asked_at);
    let answered = brought.answered.and_then(|answered| answered.intersection(&asked));
    let settled = brought.asked_at.checked_sub(grace).unwrap_or(brought.asked_at);
    let (Some(answered), Some(looked)) = (answered, looked) else {
        return Shaped { run, covered: None, bars: Vec::new(), insane: Vec::new() };
    };
    let frame = Frame { calendar: run.calendar, timeframe: run.timeframe, answered, asked_at: brought.asked_at, grace };
    let shaped = shape(looked, &frame);
    let covered = covered(run, answered.to().min(settled));
    Shaped { run, covered, bars: shaped.bars, insane: shaped.insane }
}

/// What of the slice counts as covered: up to the last bar that had ended for good, and of which the answer holds
/// everything, `until` then. The same rule as makes a bar final.
fn covered(run: &ClaimedRun, until: Timestamp) -> Option<Range> {
    if until >= run.slice.to() {
        return Some(run.slice);
    }
    let grid = Grid::Session(run.calendar);
    let until = grid.bucket_of(run.timeframe, until).map_or(until, |bucket| bucket.from());
    Range::new(run.slice.from(), until.min(run.slice.to())).ok()
}

async fn write(engine: &Engine, sound: &[Shaped<'_>], brought: &Brought<'_>, requests: u32) -> Result<(), StoreError> {
    let provenance = &brought.provenance;
    let mut tx = engine.database.begin().await?;
    sessions::still(&mut tx, brought.sessions).await?;
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
        let (ticker, asked) = (&shaped.run.ticker, brought.request.timeframe);
        bars::quarantine(&mut tx, ticker, asked, shaped.run.timeframe, provenance, &shaped.insane).await?;
    }
    let outcomes: Vec<Outcome<'_>> = mine
        .iter()
        .zip(&rows)
        .enumerate()
        .map(|(index, (shaped, rows))| Outcome {
            run: shaped.run,
            answered: shaped.covered,
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
    let (rows, quarantined) = (rows.iter().sum::<u64>(), mine.iter().map(|s| s.insane.len()).sum::<usize>());
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

fn can_not_be_true(source: &dyn BarSource, run: &ClaimedRun, insane: &[InsaneBar]) -> FetchError {
    let first = insane.first().map_or_else(String::new, |i| format!(", the first at {}: {}", i.bar.start, i.reason));
    FetchError::BadData {
        provider: source.endpoint().provider.clone(),
        message: format!("{} bars of {} can't be true{first}", insane.len(), run.ticker),
    }
}
