//! Whether the scheduler is alive, as `/readyz`, the health page and the old system's functions judge it.

use store::scheduler::{self, Readiness};

/// A planner that ticks each minute and hasn't been seen for this long is not alive.
const SCHEDULER_LATE_SECS: i64 = 180;

/// Whether a scheduler is alive on this database, in this process or another.
pub(crate) fn is_alive(ready: &Readiness) -> bool {
    let working = ![scheduler::STARTING, scheduler::STOPPED].contains(&ready.scheduler_status.as_str());
    working && ready.scheduler_seen_secs_ago.is_some_and(|secs| secs <= SCHEDULER_LATE_SECS)
}
