//! Claims runs in packs and executes them: fetch, shape, store, each run with an outcome of its own.
//!
//! In: `job_runs`. Out: bars and coverage, or a failure classified by what to do next. Holds: a worker that lost its
//! lease writes nothing; a run is claimed only if the budget allows its request; no transaction is held across a
//! request.

mod execute;
pub mod failure;
mod pack;
mod unknown_symbols;

use std::{sync::Arc, time::Duration};

use market::{AssetClass, Ticker};
use providers::{BarSource, budget::Urgency};
use store::{
    StoreError, budget, provider_health,
    runs::{self, ClaimedRun, Order, QueuedRun},
};

pub use self::{
    execute::execute,
    pack::{Pack, Packer},
    unknown_symbols::recheck_unknown,
};
use crate::{bases::Rows, engine::Engine, providers::routes::RoutingSnapshot};

/// A worker that doesn't renew its leases for this long loses its runs.
const LEASE: Duration = Duration::from_secs(60);

/// How often an idle slot polls the queue: without a signal, and where signals can't be received.
const POLL_EVERY: Duration = Duration::from_secs(5);
const POLL_WITHOUT_SIGNALS: Duration = Duration::from_secs(1);

/// How long a slot that could only do background work waits while foreground work is in progress.
const YIELDS_FOR: Duration = Duration::from_millis(50);

/// One slot in this many takes background work first, and one is reserved for the foreground.
const SHARE: usize = 5;

/// Which runs a slot claims first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// Foreground before background; every so many claims the other way round.
    Both {
        background_every: Option<usize>,
    },
    /// Reserved for the foreground: all other slots may be busy with background work.
    InterestOnly,
    BackgroundFirst,
}

impl Role {
    /// The role of one of `slots` slots. With fewer than `SHARE` slots none is reserved: every fifth claim is for the
    /// background.
    fn for_slot(slot: usize, slots: usize) -> Self {
        if slots < SHARE {
            return Self::Both { background_every: Some(SHARE) };
        }
        match slot % SHARE {
            0 if slot == 0 => Self::InterestOnly,
            last if last == SHARE - 1 => Self::BackgroundFirst,
            _ => Self::Both { background_every: None },
        }
    }

    fn order(self, claims: usize) -> Order {
        match self {
            Self::InterestOnly => Order::InterestOnly,
            Self::BackgroundFirst => Order::BackgroundFirst,
            Self::Both { background_every: Some(n) } if claims % n == n - 1 => Order::BackgroundFirst,
            Self::Both { .. } => Order::InterestFirst,
        }
    }
}

/// Which runs a process claims.
#[derive(Clone, Debug)]
pub enum Scope {
    /// All runs.
    All,
    /// Runs of these symbols only, all with foreground priority.
    Symbols(Vec<Ticker>),
}

/// Works until stopped, in `slots` slots.
pub async fn run(engine: Engine, slots: usize, scope: Scope) {
    let mut working = Vec::with_capacity(slots);
    for slot in 0..slots {
        let role = match scope {
            Scope::All => Role::for_slot(slot, slots),
            Scope::Symbols(_) => Role::Both { background_every: None },
        };
        working.push(work(&engine, role, &scope));
    }
    tokio::select! {
        _ = futures_util::future::join_all(working) => {}
        () = free_lost_runs(&engine) => {}
    }
}

/// Requeues the runs of dead workers: at most a lease and one interval after the last renewal.
async fn free_lost_runs(engine: &Engine) {
    loop {
        tokio::select! {
            // The slots end the select once they have drained.
            () = engine.stop.cancelled() => std::future::pending::<()>().await,
            () = tokio::time::sleep(LEASE / 4) => {}
        }
        match runs::release(&engine.database, None).await {
            Ok(0) => {}
            Ok(freed) => {
                tracing::warn!(freed, "Requeued the runs of workers whose leases ran out");
                engine.notify_queued();
            }
            Err(error) => tracing::warn!(%error, "Could not requeue lost runs; the next round tries again"),
        }
    }
}

/// One slot.
async fn work(engine: &Engine, role: Role, scope: &Scope) {
    let (mut woken, mut queued) = (engine.signals.wake.clone(), engine.signals.queue.clone());
    let mut claims = 0;
    while !engine.stop.is_cancelled() {
        // Before the claim, so that no run queued in between is missed. New interest may change the order of the
        // queue.
        woken.mark_unchanged();
        queued.mark_unchanged();
        let idle = match claim(engine, role.order(claims), scope).await {
            Ok(Claimed::Pack(claimed)) => {
                claims += 1;
                let ClaimedPack { pack, runs, .. } = &claimed;
                tracing::debug!(
                    runs = runs.len(),
                    symbols = pack.tickers.len(),
                    pages = pack.pages,
                    base = %pack.base,
                    by_interest = runs.iter().any(|run| run.by_interest),
                    "Claimed a pack"
                );
                execute::execute(engine, claimed, scope).await;
                continue;
            }
            Ok(Claimed::Nothing) => engine.signals.period(POLL_EVERY, POLL_WITHOUT_SIGNALS),
            Ok(Claimed::NotNow(wait)) => {
                // New runs would have to wait as well; but the wait may be lifted.
                sleep(engine, wait.min(POLL_EVERY)).await;
                continue;
            }
            Err(error) => {
                tracing::error!(%error, "No run could be claimed; trying again in {} s", POLL_EVERY.as_secs());
                sleep(engine, POLL_EVERY).await;
                continue;
            }
        };
        tokio::select! {
            () = engine.stop.cancelled() => return,
            _ = woken.changed() => {}
            _ = queued.changed() => {}
            () = tokio::time::sleep(idle) => {}
        }
    }
}

/// Result of an attempt to claim.
#[derive(Debug)]
pub enum Claimed {
    Pack(ClaimedPack),
    Nothing,
    /// The providers' accounts allow no request for this long.
    NotNow(Duration),
}

/// Runs that are leased to this worker, and how to fetch them.
#[derive(Debug)]
pub struct ClaimedPack {
    pub source: Arc<dyn BarSource>,
    pub pack: Pack,
    pub runs: Vec<ClaimedRun>,
}

/// Claims the next pack of the queue, under a lease.
///
/// # Errors
/// If the database is unreachable.
pub async fn claim(engine: &Engine, order: Order, scope: &Scope) -> Result<Claimed, StoreError> {
    let snapshot = engine.routes.snapshot(&engine.database).await?;
    let claimed = claim_with(engine, &snapshot, order, scope).await?;
    for account in &snapshot.probing {
        let is_probed = matches!(&claimed, Claimed::Pack(pack) if pack.source.account() == account);
        if !is_probed {
            provider_health::give_up_probe(&engine.database, account).await?;
        }
    }
    Ok(claimed)
}

async fn claim_with(
    engine: &Engine,
    snapshot: &RoutingSnapshot,
    order: Order,
    scope: &Scope,
) -> Result<Claimed, StoreError> {
    let waiting = match scope {
        Scope::All => None,
        Scope::Symbols(tickers) => Some(tickers.as_slice()),
    };
    let market = engine.market();
    let classes = [AssetClass::Stock, AssetClass::Crypto].map(|class| (class, engine.routes.allows(class, snapshot)));
    let served = classes.iter().filter(|(class, _)| engine.routes.serving(*class).next().is_some());
    let (ready, busy): (Vec<_>, Vec<_>) = served.partition(|(_, (now, ..))| *now);
    if ready.is_empty() && !busy.is_empty() {
        let wait = busy.iter().map(|(_, (.., wait))| *wait).min().unwrap_or_default();
        return Ok(Claimed::NotNow(wait.max(Duration::from_millis(10))));
    }
    // If the other class has to wait, none of its runs are claimed.
    let only = match (ready.as_slice(), busy.is_empty()) {
        ([(class, _)], false) => Some(*class),
        _ => None,
    };
    let order = match ready.iter().any(|(_, (_, background, _))| *background) || ready.is_empty() {
        false if waiting.is_none() => Order::InterestOnly,
        _ => order,
    };
    // Background work yields to foreground work in progress.
    let yields = waiting.is_none() && engine.foreground.is_busy();
    let order = match order {
        Order::InterestFirst if yields => Order::InterestOnly,
        Order::BackgroundFirst if yields => {
            engine.foreground.wait_until_idle().await;
            order
        }
        order => order,
    };
    let mut chosen = None;
    let mut unserved = false;
    let runs = runs::claim_pack(&engine.database, &engine.worker, LEASE, order, waiting, only, |candidates| {
        let Some(head) = candidates.first() else { return Vec::new() };
        // Within a scope of symbols everything is foreground, background runs too.
        let head = QueuedRun { by_interest: head.by_interest || waiting.is_some(), ..head.clone() };
        let Some(source) = engine.routes.source_for(&head, snapshot, &market) else {
            // Claimed as well: a run that no provider can serve, to plan it again; runs that have to wait, to requeue
            // them behind others.
            unserved = engine.routes.first_capable(&head, &market).is_none();
            if unserved {
                return vec![head.id];
            }
            let must_wait = |run: &&QueuedRun| engine.routes.source_for(run, snapshot, &market).is_none();
            return candidates.iter().filter(must_wait).map(|run| run.id).collect();
        };
        let limits = source.limits(head.ticker.asset_class());
        let packer = Packer { limits: &limits, rows: &Rows::default(), market: &market, mixed: waiting.is_some() };
        let Some(pack) = packer.pack(candidates) else { return vec![head.id] };
        let runs = pack.runs.clone();
        chosen = Some((Arc::clone(source), pack));
        runs
    })
    .await?;
    Ok(match (runs.first(), chosen) {
        (Some(_), Some((source, pack))) => Claimed::Pack(ClaimedPack { source, pack, runs }),
        (Some(first), None) if unserved => {
            failure::plan_again(engine, std::slice::from_ref(first)).await?;
            Claimed::NotNow(Duration::ZERO)
        }
        (Some(first), None) => {
            let (.., wait) = engine.routes.allows(first.ticker.asset_class(), snapshot);
            failure::requeue_until_allowed(engine, &runs, wait).await?;
            Claimed::NotNow(Duration::ZERO)
        }
        (None, _) if yields => Claimed::NotNow(YIELDS_FOR),
        (None, _) => Claimed::Nothing,
    })
}

/// Lets runs that wait for better credentials or for later be claimed, and providers that failed be probed, at once: a process
/// that starts may have better settings, and somebody waits for it.
pub async fn retry_waiting(engine: &Engine) -> Result<(), StoreError> {
    for source in engine.routes.all() {
        budget::unblock(&engine.database, source.account()).await?;
        provider_health::give_up_probe(&engine.database, source.account()).await?;
    }
    runs::retry_waiting(&engine.database).await?;
    Ok(())
}

/// The urgency of a pack's requests.
fn urgency(runs: &[ClaimedRun], scope: &Scope) -> Urgency {
    let waited_for = matches!(scope, Scope::Symbols(_)) || runs.iter().any(|run| run.by_interest);
    if waited_for { Urgency::Now } else { Urgency::Background }
}

async fn sleep(engine: &Engine, duration: Duration) {
    tokio::select! {
        () = engine.stop.cancelled() => {}
        () = tokio::time::sleep(duration) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slot_in_five_is_for_background_work_and_one_is_reserved_for_the_foreground() {
        let roles: Vec<_> = (0..10).map(|slot| Role::for_slot(slot, 10)).collect();
        assert_eq!(roles.iter().filter(|role| **role == Role::BackgroundFirst).count(), 2);
        assert_eq!(roles.iter().filter(|role| **role == Role::InterestOnly).count(), 1);
    }

    #[test]
    fn a_worker_with_few_slots_takes_background_work_first_every_fifth_time() {
        let role = Role::for_slot(0, 1);
        let background = (0..20).filter(|claims| role.order(*claims) == Order::BackgroundFirst).count();
        assert_eq!(background, 4);
    }
}
