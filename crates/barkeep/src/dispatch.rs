//! Claims runs and sees them through: fetch, shape, store, all of a run's outcome in one transaction.
//!
//! In: `job_runs`. Out: bars and coverage, or a failure told apart by what is to be done. Holds: a worker that lost its
//! lease writes nothing; nobody claims while the provider asks us to wait; no transaction is held across a request.

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};
use market::{Range, Ticker, grid::Grid};
use providers::FetchError;
use store::{
    StoreError, bars,
    runs::{self, ClaimedRun, Failure},
    symbols,
};

use crate::{
    engine::Engine,
    fetch::{Fetched, fetch},
    plan,
    shape::{Frame, shape},
};

/// A worker that isn't heard of for this long has lost its runs.
const LEASE: Duration = Duration::from_secs(60);
const RENEW_EVERY: Duration = Duration::from_secs(20);

/// Without a signal an idle slot looks this often.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// One slot in this many takes background work first.
const BACKGROUND_SHARE: usize = 5;

/// The last of a run's tries: what is still insane then is quarantined instead of asked for again.
const LAST_TRY: i32 = 4;

/// Until when the provider wants no requests, for all workers of this process.
#[derive(Debug, Default)]
pub(crate) struct Pause(Mutex<Option<Instant>>);

impl Pause {
    fn until(&self) -> Option<Instant> {
        let until = *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        until.filter(|until| *until > Instant::now())
    }

    fn extend(&self, by: Duration) {
        let mut until = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let new = Instant::now() + by;
        *until = Some(until.map_or(new, |old| old.max(new)));
    }
}

/// Works until stopped, in `slots` slots. `tickers` narrows the work to theirs.
pub(crate) async fn run(engine: Engine, slots: usize, tickers: Option<Vec<Ticker>>) {
    let pause = Pause::default();
    let mut working = Vec::with_capacity(slots);
    for slot in 0..slots {
        // With fewer slots than the share nothing is kept for background work: it waits its turn by age.
        let background_first = slots >= BACKGROUND_SHARE && slot % BACKGROUND_SHARE == BACKGROUND_SHARE - 1;
        working.push(work(&engine, &pause, background_first, tickers.as_deref()));
    }
    tokio::select! {
        _ = futures_util::future::join_all(working) => {}
        () = free_lost_runs(&engine) => {}
    }
}

/// Runs whose worker died come back here: within a lease and a round of this.
async fn free_lost_runs(engine: &Engine) {
    loop {
        tokio::select! {
            // The slots end the select when they have drained.
            () = engine.stop.cancelled() => std::future::pending::<()>().await,
            () = tokio::time::sleep(LEASE / 4) => {}
        }
        match runs::release(&engine.database, None).await {
            Ok(0) => {}
            Ok(freed) => {
                tracing::warn!(freed, "Took runs back from workers that are gone");
                engine.queued.notify_waiters();
            }
            Err(error) => tracing::warn!(%error, "Could not look for lost runs; the next round tries again"),
        }
    }
}

/// One slot.
async fn work(engine: &Engine, pause: &Pause, background_first: bool, tickers: Option<&[Ticker]>) {
    while !engine.stop.is_cancelled() {
        // Registered before the claim: what is queued in between isn't missed.
        let queued = engine.queued.notified();
        if let Some(until) = pause.until() {
            tokio::select! {
                () = engine.stop.cancelled() => return,
                () = tokio::time::sleep_until(until.into()) => {}
            }
            continue;
        }
        match runs::claim(&engine.database, &engine.worker, LEASE, background_first, tickers).await {
            Ok(Some(run)) => {
                if let Err(error) = see_through(engine, pause, &run).await {
                    not_stored(engine, &run, &error).await;
                    tracing::error!(
                        run = %run.id, symbol = %run.ticker, timeframe = %run.timeframe, %error,
                        "The outcome of run {} could not be written; its lease runs out and it is done again", run.id
                    );
                    wait(engine, Duration::from_secs(1)).await;
                }
            }
            Ok(None) => {
                tokio::select! {
                    () = engine.stop.cancelled() => return,
                    () = queued => {}
                    () = tokio::time::sleep(LOOK_EVERY) => {}
                }
            }
            Err(error) => {
                tracing::error!(%error, "No run could be claimed; trying again in {} s", LOOK_EVERY.as_secs());
                wait(engine, LOOK_EVERY).await;
            }
        }
    }
}

/// A run whose outcome the database refused goes back with the reason; where the database is gone its lease runs out.
async fn not_stored(engine: &Engine, run: &ClaimedRun, error: &StoreError) {
    if error.is_unreachable() {
        return;
    }
    let failure = Failure {
        code: "store",
        message: format!("what was fetched could not be stored: {error}"),
        retry_after: backoff(run.failures),
        counts: true,
        terminal: false,
        requests: 0,
    };
    if let Err(error) = runs::fail(&engine.database, run, &failure).await {
        tracing::warn!(run = %run.id, %error, "Run {} could not be put back; its lease runs out", run.id);
    }
}

async fn wait(engine: &Engine, duration: Duration) {
    tokio::select! {
        () = engine.stop.cancelled() => {}
        () = tokio::time::sleep(duration) => {}
    }
}

/// One run from claim to outcome. Not cancel-safe in the sense that a dropped run waits for its lease to end.
async fn see_through(engine: &Engine, pause: &Pause, run: &ClaimedRun) -> Result<(), StoreError> {
    let grace_before = engine.source.limits(run.ticker.asset_class()).grace;
    let fetched = tokio::select! {
        fetched = fetch(engine, run) => fetched,
        () = keep_lease(engine, run) => {
            tracing::warn!(run = %run.id, "Run {} went to another worker; what was fetched is dropped", run.id);
            return Ok(());
        }
        () = engine.stop.cancelled() => {
            // Put back as it was, so that the next process need not wait for the lease to end.
            let back = Failure {
                code: "stopped", message: "Barkeep was stopped".to_owned(), retry_after: Duration::ZERO,
                counts: false, terminal: false, requests: 0,
            };
            runs::fail(&engine.database, run, &back).await?;
            return Ok(());
        }
    };
    match fetched {
        Ok(fetched) => keep(engine, pause, run, fetched, grace_before).await,
        Err(error) => give_back(engine, pause, run, error).await,
    }
}

/// Renews the lease; ends when it is lost.
async fn keep_lease(engine: &Engine, run: &ClaimedRun) {
    loop {
        tokio::time::sleep(RENEW_EVERY).await;
        match runs::renew(&engine.database, run, LEASE).await {
            Ok(true) => {}
            Ok(false) => return,
            // The fence decides in the end; a database that is gone for a moment need not cost the fetch.
            Err(error) => tracing::warn!(run = %run.id, %error, "The lease of run {} could not be renewed", run.id),
        }
    }
}

/// Stores what came, with its coverage and the run's outcome.
async fn keep(
    engine: &Engine,
    pause: &Pause,
    run: &ClaimedRun,
    fetched: Fetched,
    grace_before: SignedDuration,
) -> Result<(), StoreError> {
    let Fetched { base, asked, bars: answer, asked_at } = fetched;
    let limits = engine.source.limits(run.ticker.asset_class());
    let answered = answer.answered.and_then(|answered| answered.intersection(&asked));
    let sent = answer.bars.get(&run.ticker).map(Vec::as_slice).unwrap_or_default();
    let shaped = answered.map(|answered| {
        let frame = Frame { calendar: run.calendar, timeframe: run.timeframe, answered, asked_at, grace: limits.grace };
        shape(sent, &frame)
    });
    let settled = asked_at.checked_sub(limits.grace).unwrap_or(asked_at);
    let (bars, insane) = shaped.map(|s| (s.bars, s.insane)).unwrap_or_default();

    if !insane.is_empty() && run.failures < LAST_TRY {
        let first = &insane[0];
        let error = FetchError::BadData {
            provider: engine.provider().to_owned(),
            message: format!(
                "{} of {} bars of {} can't be true, the first at {}: {}",
                insane.len(),
                sent.len(),
                run.ticker,
                first.bar.start,
                first.reason
            ),
        };
        return give_back(engine, pause, run, error).await;
    }

    let covered = answered.and_then(|answered| covered(run, answered.to().min(settled)));
    let mut tx = engine.database.begin().await?;
    let rows = bars::store(&mut tx, run.symbol_id, run.timeframe, &answer.provenance, &bars).await?;
    bars::quarantine(&mut tx, &run.ticker, base, run.timeframe, &answer.provenance, &insane).await?;
    if !runs::finish(&mut tx, run, covered, rows, &answer.provenance, answer.requests).await? {
        tx.rollback().await.map_err(StoreError::from)?;
        tracing::warn!(run = %run.id, "Run {} went to another worker; nothing was written", run.id);
        return Ok(());
    }
    tx.commit().await.map_err(StoreError::from)?;
    tracing::info!(
        run = %run.id, symbol = %run.ticker, timeframe = %run.timeframe, rows, requests = answer.requests,
        quarantined = insane.len(), "Stored {rows} bars of {} {}", run.ticker, run.timeframe
    );
    if limits.grace != grace_before {
        plan::settle_grace(engine, true).await?;
    }
    if bars.is_empty() && symbols::needs_a_look(&engine.database, run.symbol_id).await? {
        look_up(engine, &run.ticker).await?;
    }
    Ok(())
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

/// Does with a failed fetch what its kind asks for.
async fn give_back(engine: &Engine, pause: &Pause, run: &ClaimedRun, error: FetchError) -> Result<(), StoreError> {
    let backoff = backoff(run.failures);
    // Of runs that failed together one tells.
    let told = pause.until().is_some();
    let (retry_after, counts, terminal) = match &error {
        FetchError::Throttled { retry_after, .. } => {
            pause.extend(*retry_after);
            (*retry_after, false, false)
        }
        FetchError::Credentials { .. } => {
            let wait = Duration::from_secs(60);
            pause.extend(wait);
            (wait, false, false)
        }
        FetchError::Refused { .. } | FetchError::Unavailable { .. } => (Duration::ZERO, true, true),
        FetchError::BadData { .. } | FetchError::Server { .. } | FetchError::Transport { .. } => (backoff, true, false),
    };
    match &error {
        FetchError::Throttled { .. } | FetchError::Credentials { .. } if told => {}
        FetchError::Throttled { .. } => tracing::info!(%error, "Waiting as told"),
        FetchError::Credentials { .. } => {
            tracing::error!(%error, "Nothing can be fetched until this is mended; what is queued stays queued");
        }
        _ => tracing::warn!(
            run = %run.id, symbol = %run.ticker, timeframe = %run.timeframe, failures = run.failures + 1, %error,
            "Fetching {} {} failed", run.ticker, run.timeframe
        ),
    }
    let failure =
        Failure { code: error.code(), message: error.to_string(), retry_after, counts, terminal, requests: 1 };
    runs::fail(&engine.database, run, &failure).await?;
    // The request named this symbol alone: it is refused as long as the provider thinks so, whatever the range.
    if matches!(error, FetchError::Refused { .. }) {
        symbols::suspend(&engine.database, &run.ticker, &error.to_string()).await?;
    }
    Ok(())
}

/// 2 s, 4 s, 8 s, ... up to a minute, and up to half as much again, so that runs that failed together don't come back
/// together.
fn backoff(failures: i32) -> Duration {
    let base = Duration::from_secs(2).saturating_mul(1 << failures.clamp(0, 5)).min(Duration::from_secs(60));
    base.mul_f64(rand::random_range(1.0..1.5))
}

/// Asks the provider's asset list about a symbol without bars, and keeps what it says.
pub(crate) async fn look_up(engine: &Engine, ticker: &Ticker) -> Result<(), StoreError> {
    match engine.source.asset(ticker).await {
        Ok(Some(asset)) => symbols::listed(&engine.database, ticker, &asset.name, &asset.exchange).await,
        Ok(None) => {
            let reason = format!("{} knows no symbol {ticker}", engine.provider());
            tracing::warn!(symbol = %ticker, "{reason}: nothing more is asked for it, but for a look once a day");
            symbols::suspend(&engine.database, ticker, &reason).await
        }
        Err(error) => {
            tracing::warn!(symbol = %ticker, %error, "The asset list could not be asked about {ticker}");
            symbols::not_looked_up(&engine.database, ticker).await
        }
    }
}
