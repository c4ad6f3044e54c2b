//! Executes one pack from claim to outcome: each page is stored as it arrives, for the symbols that it completes.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use market::Timeframe;
use providers::{BarSource, FetchError, budget::Urgency};
use store::{
    StoreError,
    runs::{self, ClaimedRun},
};

use super::{
    ClaimedPack, LEASE, Scope,
    failure::{self, Spent},
    unknown_symbols, urgency,
};
use crate::{
    commit,
    engine::Engine,
    fetch::{FetchResult, PreparedRequest},
    plan,
    splits::unadjust::{SplitsUnknown, unadjust},
};

const RENEW_EVERY: Duration = Duration::from_secs(20);

/// Fetches and commits a pack until each of its runs has an outcome. If the future is dropped, the runs are requeued
/// when their leases run out.
pub async fn execute(engine: &Engine, pack: ClaimedPack, scope: &Scope) {
    let ClaimedPack { source, pack, runs } = pack;
    let first = runs.first().map_or_else(String::new, |run| run.id.to_string());
    let urgency = urgency(&runs, scope);
    let _foreground = (urgency == Urgency::Now).then(|| engine.foreground.enter());
    let mut execution = Execution {
        engine,
        source,
        base: pack.base,
        urgency,
        open: runs,
        symbols_without_bars: Vec::new(),
        provider_failed: false,
    };
    let ended = execution.run().await;
    let Execution { open, symbols_without_bars, .. } = execution;
    if let Err(StoreError::SessionsChanged) = ended {
        tracing::info!(
            run = first,
            "The market's sessions changed meanwhile: the pack of run {first} is fetched again"
        );
        failure::requeue_not_stored(engine, &open, &StoreError::SessionsChanged).await;
    } else if let Err(error) = ended {
        tracing::error!(run = first, %error, "The outcome of the pack of run {first} could not be written");
        failure::requeue_not_stored(engine, &open, &error).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    engine.notify_changed();
    if let Err(error) = unknown_symbols::check_symbols(engine, &symbols_without_bars).await {
        tracing::warn!(%error, "Symbols without bars could not be checked; a later round tries again");
    }
}

struct Execution<'a> {
    engine: &'a Engine,
    source: Arc<dyn BarSource>,
    base: Timeframe,
    urgency: Urgency,
    /// Runs without an outcome yet.
    open: Vec<ClaimedRun>,
    symbols_without_bars: Vec<uuid::Uuid>,
    /// What came in this request was counted as a failure of the provider.
    provider_failed: bool,
}

/// Why fetching stopped early.
enum Interrupted {
    Fetch {
        error: FetchError,
        spent: Spent,
    },
    /// The answer can't be used yet, and nobody is to blame.
    Postponed {
        message: String,
        requests: u32,
    },
    Store(StoreError),
}

impl From<StoreError> for Interrupted {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Execution<'_> {
    /// Continues until every run has its outcome. An error: the database did not accept one.
    async fn run(&mut self) -> Result<(), StoreError> {
        // Refused packs are split: the parts still to be requested, the next one last.
        let mut parts = vec![self.open.iter().map(|run| run.ticker.clone()).collect::<Vec<_>>()];
        while let Some(mut part) = parts.pop() {
            part.sort();
            part.dedup();
            let runs: Vec<ClaimedRun> = self.open.iter().filter(|run| part.contains(&run.ticker)).cloned().collect();
            if runs.is_empty() {
                continue;
            }
            let (engine, all) = (self.engine, self.open.clone());
            let fetched = tokio::select! {
                fetched = self.fetch_and_commit(&runs) => fetched,
                () = renew_leases(engine, &all) => {
                    if !self.open.is_empty() {
                        tracing::warn!("All runs went to other workers; the fetched bars are dropped");
                    }
                    self.open.clear();
                    return Ok(());
                }
                () = engine.stop.cancelled() => {
                    let open = std::mem::take(&mut self.open);
                    return failure::requeue_stopped(engine, &open).await;
                }
            };
            match fetched {
                Ok(()) => {}
                Err(Interrupted::Store(error)) => return Err(error),
                Err(Interrupted::Postponed { message, requests }) => {
                    let postponed: Vec<_> = self.open.extract_if(.., |run| part.contains(&run.ticker)).collect();
                    failure::postpone(engine, &postponed, message, requests).await?;
                }
                Err(Interrupted::Fetch { error: FetchError::Refused { message, .. }, .. }) if part.len() > 1 => {
                    tracing::info!(symbols = part.len(), message, "The provider refused a pack; splitting it");
                    let (suspects, others) = failure::split(part, &message);
                    parts.push(others);
                    parts.push(suspects);
                }
                Err(Interrupted::Fetch { error, spent }) => {
                    // A failure of the whole account also applies to parts that weren't requested yet.
                    let concerns_all = matches!(
                        error,
                        FetchError::Throttled { .. }
                            | FetchError::Credentials { .. }
                            | FetchError::Refusing { .. }
                            | FetchError::Transport { .. }
                    );
                    let failed: Vec<_> = if concerns_all {
                        parts.clear();
                        std::mem::take(&mut self.open)
                    } else {
                        self.open.extract_if(.., |run| part.contains(&run.ticker)).collect()
                    };
                    failure::handle(engine, self.source.as_ref(), &failed, &error, spent).await?;
                }
            }
        }
        Ok(())
    }

    /// Fetches the bars of `runs`, page by page, and commits the completed symbols of each page.
    async fn fetch_and_commit(&mut self, runs: &[ClaimedRun]) -> Result<(), Interrupted> {
        let (engine, source) = (self.engine, Arc::clone(&self.source));
        let prepared = PreparedRequest::new(engine, source.as_ref(), runs, self.base, self.urgency).await?;
        let Some(prepared) = prepared else { return Ok(()) };
        let asset_class = prepared.request.asset_class;
        let grace_before = source.limits(asset_class).grace;
        self.provider_failed = false;
        let mut fetching = prepared.send(source.as_ref());
        let mut last_page = Instant::now();
        let mut answered_in_part = false;
        loop {
            // If this process was suspended for this long it may have lost its runs; then it sends no more requests.
            let renewed = async || runs::renew(&engine.database, runs, LEASE).await;
            if last_page.elapsed() >= LEASE && renewed().await.is_ok_and(|held| held.is_empty()) {
                self.open.clear();
                return Ok(());
            }
            last_page = Instant::now();
            let mut result = match fetching.next_page().await {
                Ok(Some(result)) => result,
                Ok(None) => break,
                Err(error) => {
                    let spent = Spent { requests: fetching.uncounted_requests(), answered_in_part };
                    return Err(Interrupted::Fetch { error, spent });
                }
            };
            answered_in_part = true;
            if result.bars.is_empty() {
                continue;
            }
            let run_refs: Vec<&ClaimedRun> = runs.iter().collect();
            if let Some(unknown) = unadjust(engine, source.as_ref(), &run_refs, &mut result).await? {
                return Err(cannot_be_unadjusted(source.as_ref(), unknown, result.requests));
            }
            self.commit(runs, &result).await?;
        }
        // Invalid bars are a failure, and the end of the response doesn't make up for it.
        if !self.provider_failed {
            let provider = &source.endpoint().provider;
            store::provider_health::record_success(&engine.database, source.account(), provider).await?;
        }
        if source.limits(asset_class).grace != grace_before {
            plan::publish_grace(engine, true).await?;
        }
        Ok(())
    }

    async fn commit(&mut self, runs: &[ClaimedRun], result: &FetchResult<'_>) -> Result<(), StoreError> {
        let ended: Vec<&ClaimedRun> = runs.iter().filter(|run| result.bars.contains_key(&run.ticker)).collect();
        let summary = commit::commit(self.engine, self.source.as_ref(), &ended, result).await?;
        self.symbols_without_bars.extend(summary.without_bars);
        self.provider_failed |= summary.provider_failed;
        self.open.retain(|run| !ended.iter().any(|ended| ended.id == run.id));
        Ok(())
    }
}

/// Adjusted bars can't be used if the splits behind the adjustment are unknown. Their provider is not to blame: it has answered.
fn cannot_be_unadjusted(source: &dyn BarSource, unknown: SplitsUnknown, requests: u32) -> Interrupted {
    let provider = source.endpoint().provider.clone();
    let message = match unknown {
        SplitsUnknown::Unproven { ticker, ex_date } => {
            format!(
                "no trade shows yet whether {provider} has adjusted its bars of {ticker} for the split of {ex_date}"
            )
        }
        SplitsUnknown::Now => {
            format!("{provider}'s bars are adjusted for splits, and the splits could not be fetched")
        }
        SplitsUnknown::Fetch(error) => {
            return Interrupted::Fetch { error, spent: Spent { requests, answered_in_part: false } };
        }
        SplitsUnknown::Ever => {
            let message = "its bars are adjusted for splits, and no configured provider lists splits (Alpaca, Massive \
                           and Yahoo do)"
                .to_owned();
            let error = FetchError::Unavailable { provider, message };
            return Interrupted::Fetch { error, spent: Spent { requests, answered_in_part: false } };
        }
    };
    Interrupted::Postponed { message, requests }
}

/// Renews the leases; returns when all of them are lost.
async fn renew_leases(engine: &Engine, runs: &[ClaimedRun]) {
    loop {
        tokio::time::sleep(RENEW_EVERY).await;
        match runs::renew(&engine.database, runs, LEASE).await {
            Ok(held) if held.is_empty() => return,
            Ok(_) => {}
            // The fence decides in the end; a short outage of the database need not waste the fetch.
            Err(error) => tracing::warn!(%error, "Leases could not be renewed"),
        }
    }
}
