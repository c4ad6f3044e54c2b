//! Claims runs in packs and sees them through: fetch, shape, store, each run with an outcome of its own.
//!
//! In: `job_runs`. Out: bars and coverage, or a failure told apart by what is to be done. Holds: a worker that lost its
//! lease writes nothing; nobody claims what the budget doesn't allow to be asked for; no transaction is held across a
//! request.

mod execute;
pub mod failure;
mod pack;
mod unknown_symbols;

use std::{sync::Arc, time::Duration};

use market::{AssetClass, Ticker};
use providers::{BarSource, budget::Urgency};
use store::{
    StoreError, budget,
    runs::{self, ClaimedRun, Order, QueuedRun},
};

pub use self::{
    execute::execute,
    pack::{Pack, Packer},
    unknown_symbols::recheck_unknown,
};
use crate::{bases::Rows, engine::Engine};

/// A worker that isn't heard of for this long has lost its runs.
const LEASE: Duration = Duration::from_secs(60);

/// Without a signal an idle slot looks this often; and this often where no signals come.
const LOOK_EVERY: Duration = Duration::from_secs(5);
const LOOK_ALONE_EVERY: Duration = Duration::from_secs(1);

/// How long a slot that could only do background work leaves the machine to those who wait, before it looks again.
const YIELDS_FOR: Duration = Duration::from_millis(50);

/// One slot in this many takes background work first, and one is kept for what people ask for.
const SHARE: usize = 5;

/// What a slot takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// Interest before background work; every so many claims the other way round.
    Both {
        background_every: Option<usize>,
    },
    /// Free for whoever comes: all others may be busy with background work.
    InterestOnly,
    BackgroundFirst,
}

impl Role {
    /// Roles of `slots` slots. With fewer than a share's worth none is kept for anything: they take turns.
    fn of(slot: usize, slots: usize) -> Self {
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

/// Which runs a process works on.
#[derive(Clone, Debug)]
pub enum Scope {
    /// Everybody's.
    All,
    /// Somebody waits for these symbols: everything of theirs is urgent.
    Symbols(Vec<Ticker>),
}

/// Works until stopped, in `slots` slots.
pub async fn run(engine: Engine, slots: usize, scope: Scope) {
    let mut working = Vec::with_capacity(slots);
    for slot in 0..slots {
        let role = match scope {
            Scope::All => Role::of(slot, slots),
            Scope::Symbols(_) => Role::Both { background_every: None },
        };
        working.push(work(&engine, role, &scope));
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
                engine.notify_queued();
            }
            Err(error) => tracing::warn!(%error, "Could not look for lost runs; the next round tries again"),
        }
    }
}

/// One slot.
async fn work(engine: &Engine, role: Role, scope: &Scope) {
    let (mut woken, mut queued) = (engine.signals.wake.clone(), engine.signals.queue.clone());
    let mut claims = 0;
    while !engine.stop.is_cancelled() {
        // Before the claim: what is queued in between isn't missed. Interest that comes may change whose turn it is.
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
            Ok(Claimed::Nothing) => engine.signals.period(LOOK_EVERY, LOOK_ALONE_EVERY),
            Ok(Claimed::NotNow(wait)) => {
                // Whatever comes meanwhile waits too; but a wait may be lifted.
                sleep(engine, wait.min(LOOK_EVERY)).await;
                continue;
            }
            Err(error) => {
                tracing::error!(%error, "No run could be claimed; trying again in {} s", LOOK_EVERY.as_secs());
                sleep(engine, LOOK_EVERY).await;
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

/// What an attempt to claim came to.
#[derive(Debug)]
pub enum Claimed {
    Pack(ClaimedPack),
    Nothing,
    /// The providers' accounts allow nothing for so long.
    NotNow(Duration),
}

/// Runs that are leased to this worker, and how they are to be fetched.
#[derive(Debug)]
pub struct ClaimedPack {
    pub source: Arc<dyn BarSource>,
    pub pack: Pack,
    pub runs: Vec<ClaimedRun>,
}

/// Claims the pack whose turn it is, under a lease.
///
/// # Errors
/// Where the database is gone.
pub async fn claim(engine: &Engine, order: Order, scope: &Scope) -> Result<Claimed, StoreError> {
    let waiting = match scope {
        Scope::All => None,
        Scope::Symbols(tickers) => Some(tickers.as_slice()),
    };
    let (snapshot, market) = (engine.routes.snapshot(&engine.database).await?, engine.market());
    let classes = [AssetClass::Stock, AssetClass::Crypto].map(|class| (class, engine.routes.allows(class, &snapshot)));
    let served = classes.iter().filter(|(class, _)| engine.routes.serving(*class).next().is_some());
    let (ready, busy): (Vec<_>, Vec<_>) = served.partition(|(_, (now, ..))| *now);
    if ready.is_empty() && !busy.is_empty() {
        let wait = busy.iter().map(|(_, (.., wait))| *wait).min().unwrap_or_default();
        return Ok(Claimed::NotNow(wait.max(Duration::from_millis(10))));
    }
    // Where the other class has to wait, nothing of it is claimed.
    let only = match (ready.as_slice(), busy.is_empty()) {
        ([(class, _)], false) => Some(*class),
        _ => None,
    };
    let order = match ready.iter().any(|(_, (_, background, _))| *background) || ready.is_empty() {
        false if waiting.is_none() => Order::InterestOnly,
        _ => order,
    };
    // Background work lets them go first who wait for what is on its way.
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
    let mut nobody_has_it = false;
    let runs = runs::claim_pack(&engine.database, &engine.worker, LEASE, order, waiting, only, |candidates| {
        let Some(head) = candidates.first() else { return Vec::new() };
        // Somebody waits for whatever is asked for here, background work too.
        let head = QueuedRun { by_interest: head.by_interest || waiting.is_some(), ..head.clone() };
        let Some(source) = engine.routes.source_for(&head, &snapshot, &market) else {
            // Claimed too: what can't be had at all, to be told so, and what has to wait, to let others pass.
            nobody_has_it = engine.routes.first_capable(&head, &market).is_none();
            if nobody_has_it {
                return vec![head.id];
            }
            let waits = |run: &&QueuedRun| engine.routes.source_for(run, &snapshot, &market).is_none();
            return candidates.iter().filter(waits).map(|run| run.id).collect();
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
        (Some(first), None) if nobody_has_it => {
            failure::plan_again(engine, std::slice::from_ref(first)).await?;
            Claimed::NotNow(Duration::ZERO)
        }
        (Some(first), None) => {
            let (.., wait) = engine.routes.allows(first.ticker.asset_class(), &snapshot);
            failure::requeue_until_allowed(engine, &runs, wait).await?;
            Claimed::NotNow(Duration::ZERO)
        }
        (None, _) if yields => Claimed::NotNow(YIELDS_FOR),
        (None, _) => Claimed::Nothing,
    })
}

/// Lets what waits for better credentials go at once: whoever starts may bring them.
pub async fn retry_credentials(engine: &Engine) -> Result<(), StoreError> {
    for source in engine.routes.all() {
        budget::unblock(&engine.database, source.account()).await?;
    }
    runs::retry_credentials(&engine.database).await?;
    Ok(())
}

/// How soon the answer for a pack is wanted.
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
    fn one_slot_in_five_is_kept_for_background_work_and_one_for_whoever_comes() {
        let roles: Vec<_> = (0..10).map(|slot| Role::of(slot, 10)).collect();
        assert_eq!(roles.iter().filter(|role| **role == Role::BackgroundFirst).count(), 2);
        assert_eq!(roles.iter().filter(|role| **role == Role::InterestOnly).count(), 1);
    }

    #[test]
    fn a_worker_with_few_slots_takes_background_work_first_every_fifth_time() {
        let role = Role::of(0, 1);
        let background = (0..20).filter(|claims| role.order(*claims) == Order::BackgroundFirst).count();
        assert_eq!(background, 4);
    }
}
