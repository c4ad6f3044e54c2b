//! One pack from claim to outcome: each page is stored as it comes, as far as symbols are complete by then.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use market::{Bar, Range, Ticker, Timeframe};
use metrics::{counter, histogram};
use providers::{BarSource, FetchError, Page, budget::Urgency};
use store::{
    StoreError,
    runs::{self, ClaimedRun},
};

use super::{For, LEASE, Pack, answer::Brought, failure, unknown_symbols, urgency};
use crate::{
    calendar_exceptions, commit,
    engine::{Engine, Market},
    fetch, plan,
    splits::unadjust::{Unknown, as_traded, sessions_before},
};

const RENEW_EVERY: Duration = Duration::from_secs(20);

/// Sees a pack through. Not cancel-safe in the sense that a dropped pack waits for its leases to end.
pub(super) async fn execute(
    engine: &Engine,
    source: &Arc<dyn BarSource>,
    pack: &Pack,
    runs: Vec<ClaimedRun>,
    whose: &For,
) {
    let told = runs.first().map_or_else(String::new, |run| run.id.to_string());
    let urgency = urgency(&runs, whose);
    let _waits = (urgency == Urgency::Now).then(|| engine.foreground.somebody_waits());
    let mut under_way =
        UnderWay { engine, source: source.as_ref(), base: pack.base, urgency, left: runs, without_bars: Vec::new() };
    let ended = under_way.run().await;
    let UnderWay { left, without_bars, .. } = under_way;
    if let Err(error) = ended {
        tracing::error!(run = told, %error, "The outcome of the pack of run {told} could not be written");
        failure::not_stored(engine, &left, &error).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    engine.tell_ended();
    if let Err(error) = unknown_symbols::look_up_those_without_bars(engine, &without_bars).await {
        tracing::warn!(%error, "Symbols without bars could not be looked up; a later round tries again");
    }
}

struct UnderWay<'a> {
    engine: &'a Engine,
    source: &'a dyn BarSource,
    base: Timeframe,
    urgency: Urgency,
    /// Without an outcome yet.
    left: Vec<ClaimedRun>,
    /// Of which nothing at all came.
    without_bars: Vec<uuid::Uuid>,
}

impl UnderWay<'_> {
    /// Until every run has its outcome. An error: the database could not take one.
    async fn run(&mut self) -> Result<(), StoreError> {
        // Refused packs are split: parts still to be asked for, the first last.
        let mut parts = vec![self.left.iter().map(|run| run.ticker.clone()).collect::<Vec<_>>()];
        while let Some(mut part) = parts.pop() {
            part.sort();
            part.dedup();
            let runs: Vec<ClaimedRun> = self.left.iter().filter(|run| part.contains(&run.ticker)).cloned().collect();
            if runs.is_empty() {
                continue;
            }
            let (engine, all) = (self.engine, self.left.clone());
            let fetched = tokio::select! {
                fetched = self.fetch(&runs) => fetched,
                () = keep_leases(engine, &all) => {
                    if !self.left.is_empty() {
                        tracing::warn!("Runs went to other workers; what was fetched is dropped");
                    }
                    self.left.clear();
                    return Ok(());
                }
                () = engine.stop.cancelled() => {
                    let left = std::mem::take(&mut self.left);
                    return failure::stopped(engine, &left).await;
                }
            };
            match fetched {
                Ok(()) => {}
                Err(Ended::Store(error)) => return Err(error),
                Err(Ended::Fetch { error: FetchError::Refused { message, .. }, .. }) if part.len() > 1 => {
                    tracing::info!(symbols = part.len(), message, "A pack was refused: splitting it");
                    let (suspects, others) = failure::split(part, &message);
                    parts.push(others);
                    parts.push(suspects);
                }
                Err(Ended::Fetch { error, requests }) => {
                    // All that hadn't come yet; parts that weren't asked for are as badly off.
                    let all = matches!(
                        error,
                        FetchError::Throttled { .. }
                            | FetchError::Credentials { .. }
                            | FetchError::Refusing { .. }
                            | FetchError::Transport { .. }
                    );
                    let given_back: Vec<_> = if all {
                        parts.clear();
                        std::mem::take(&mut self.left)
                    } else {
                        self.left.extract_if(.., |run| part.contains(&run.ticker)).collect()
                    };
                    failure::give_back(engine, self.source, &given_back, &error, requests).await?;
                }
            }
        }
        Ok(())
    }

    /// Asks for the bars of `runs`, all pages, and stores what is complete with each.
    async fn fetch(&mut self, runs: &[ClaimedRun]) -> Result<(), Ended> {
        let engine = self.engine;
        // After the claim: whoever planned these runs went by an edition that can be read by now.
        let calendars = calendar_exceptions::follow(&engine.database, &engine.calendars).await.map_err(Ended::Store)?;
        let market = Market { now: engine.clock.now(), calendars: calendars.calendars.clone() };
        let asked_at = market.now;
        let by_reference: Vec<&ClaimedRun> = runs.iter().collect();
        let Some(request) = fetch::request(&by_reference, self.base, &market, self.urgency) else { return Ok(()) };
        let source = self.source;
        let mut request = request;
        let limits = source.limits(request.asset_class);
        if limits.split_adjusted.contains(&request.timeframe)
            && let Some(calendar) = runs.first().map(|run| run.calendar)
            && let Some(before) = sessions_before(&market.sessions_of(calendar), request.range.from())
        {
            // With what is stored of the sessions before: a split that nobody has told of shows there.
            let from = before.from().max(limits.earliest_of(request.timeframe, asked_at)).min(request.range.from());
            request.range = Range::new(from, request.range.to()).unwrap_or(request.range);
        }
        let grace_before = source.limits(request.asset_class).grace;
        let mut pages = source.pages(&request);
        let mut so_far: BTreeMap<Ticker, Vec<Bar>> = BTreeMap::new();
        let (mut counted, mut began) = (0, std::time::Instant::now());
        loop {
            // Stopped for so long, this process may have lost its runs: then nothing more is asked for.
            if began.elapsed() >= LEASE && runs::renew(&engine.database, runs, LEASE).await.is_ok_and(|h| h.is_empty())
            {
                self.left.clear();
                return Ok(());
            }
            began = std::time::Instant::now();
            let page = pages.next().await;
            if let Some(outcome) =
                page.as_ref().map_or_else(|error| Some(error.code()), |page| page.is_some().then_some("ok"))
            {
                let provider = source.endpoint().provider.clone();
                counter!("barkeep_fetch_pages_total", "provider" => provider, "outcome" => outcome).increment(1);
                histogram!("barkeep_fetch_page_seconds").record(began.elapsed());
            }
            let page = match page {
                Ok(Some(page)) => page,
                Ok(None) => break,
                Err(error) => return Err(Ended::Fetch { error, requests: pages.requests() - counted }),
            };
            let Page { bars, complete, answered, provenance } = page;
            tracing::debug!(symbols = bars.len(), milliseconds = began.elapsed().as_millis(), "A page came");
            for (ticker, bars) in bars {
                so_far.entry(ticker).or_default().extend(bars);
            }
            if complete.is_empty() {
                continue;
            }
            let done: BTreeMap<Ticker, Vec<Bar>> =
                complete.iter().map(|ticker| (ticker.clone(), so_far.remove(ticker).unwrap_or_default())).collect();
            let requests = pages.requests() - counted;
            counted = pages.requests();
            let mut brought = Brought {
                request: &request,
                answered,
                provenance,
                bars: done,
                asked_at,
                calendars: calendars.clone(),
                requests,
            };
            let of_runs: Vec<&ClaimedRun> = runs.iter().collect();
            let unknown = as_traded(engine, source, &of_runs, &mut brought).await.map_err(Ended::Store)?;
            if let Some(unknown) = unknown {
                return Err(Ended::Fetch { error: not_told(source, &unknown), requests });
            }
            self.keep(runs, brought).await?;
        }
        store::providers::answered(&engine.database, source.account(), &source.endpoint().provider)
            .await
            .map_err(Ended::Store)?;
        if source.limits(request.asset_class).grace != grace_before {
            plan::settle_grace(engine, true).await.map_err(Ended::Store)?;
        }
        Ok(())
    }

    async fn keep(&mut self, runs: &[ClaimedRun], brought: Brought<'_>) -> Result<(), Ended> {
        let ended: Vec<&ClaimedRun> = runs.iter().filter(|run| brought.bars.contains_key(&run.ticker)).collect();
        let kept = commit::keep(self.engine, self.source, &ended, &brought).await.map_err(Ended::Store)?;
        self.without_bars.extend(kept.without_bars);
        self.left.retain(|run| !ended.iter().any(|ended| ended.id == run.id));
        Ok(())
    }
}

/// Bars that a provider has adjusted are of no use where nobody knows by what.
fn not_told(source: &dyn BarSource, unknown: &Unknown) -> FetchError {
    let provider = source.endpoint().provider.clone();
    match unknown {
        Unknown::Now => FetchError::Server {
            provider,
            status: 503,
            message: "its bars are adjusted for splits, and which there were could not be asked for".to_owned(),
        },
        Unknown::Ever => FetchError::Unavailable {
            provider,
            message:
                "its bars are adjusted for splits, and no provider that is set up tells of them (Alpaca, Massive and \
                      Yahoo do)"
                    .to_owned(),
        },
    }
}

/// Why fetching ended before its end.
enum Ended {
    Fetch { error: FetchError, requests: u32 },
    Store(StoreError),
}

/// Renews the leases; ends when all of them are lost.
async fn keep_leases(engine: &Engine, runs: &[ClaimedRun]) {
    loop {
        tokio::time::sleep(RENEW_EVERY).await;
        match runs::renew(&engine.database, runs, LEASE).await {
            Ok(held) if held.is_empty() => return,
            Ok(_) => {}
            // The fence decides in the end; a database that is gone for a moment need not cost the fetch.
            Err(error) => tracing::warn!(%error, "Leases could not be renewed"),
        }
    }
}
