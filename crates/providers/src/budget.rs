//! How many requests one endpoint still allows this process.
//!
//! In: every request before it is sent, and what its answer says of limit, rest and reset. Out: leave to send, or how
//! long to wait. Holds: the endpoint never receives more than its limit in any 60 s, and nothing is sent to an
//! endpoint that has said there is nothing left. Several processes share their budget through the store, not here.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Limits are counted per minute.
pub(crate) const WINDOW: Duration = Duration::from_secs(60);

/// No wait is longer: whatever an answer says, a day later it is asked again.
const LONGEST_BLOCK: Duration = Duration::from_secs(24 * 60 * 60);

/// What an answer says of the endpoint's budget; `None` where it is silent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    /// Requests per minute.
    pub(crate) limit: Option<u32>,
    /// Requests left until the reset.
    pub(crate) remaining: Option<u32>,
    pub(crate) reset: Option<Reset>,
}

/// When an endpoint counts afresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reset {
    /// Unix seconds as sent: tells one window from the next.
    pub(crate) unix: i64,
    /// From now; zero where it is past.
    pub(crate) after: Duration,
}

/// The budget of one endpoint, shared by everything that sends to it.
#[derive(Debug)]
pub(crate) struct Budget(Mutex<Ledger>);

/// Leave for one request. Dropped when the answer is there or nobody waits for it any more.
#[derive(Debug)]
pub(crate) struct Permit(Arc<Budget>);

impl Budget {
    pub(crate) fn new(requests_per_minute: u32) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Ledger::new(requests_per_minute))))
    }

    /// Leave for one request now.
    ///
    /// # Errors
    /// How long to wait before asking again; never zero.
    pub(crate) fn take(self: &Arc<Self>) -> Result<Permit, Duration> {
        self.ledger().take(Instant::now()).map(|()| Permit(Arc::clone(self)))
    }

    /// Requests that could be sent now.
    pub(crate) fn left(&self) -> u32 {
        self.ledger().left(Instant::now())
    }

    /// Requests per minute: as configured, or as the endpoint last said.
    pub(crate) fn limit(&self) -> u32 {
        self.ledger().limit
    }

    /// Takes in what an answer says.
    pub(crate) fn learn(&self, report: Report) {
        self.ledger().learn(Instant::now(), report);
    }

    /// Nothing is sent for `wait`: the endpoint has turned a request away.
    pub(crate) fn block(&self, wait: Duration) {
        self.ledger().block(Instant::now(), wait);
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.ledger().give_back(Instant::now());
    }
}

/// The arithmetic, with the clock passed in.
///
/// A request reaches the endpoint at some moment between being sent and being answered, so its slot is taken from the
/// one until a minute after the other. That is what makes the limit hold where it is counted, at the endpoint.
#[derive(Debug)]
struct Ledger {
    limit: u32,
    in_flight: u32,
    /// When the slots of answered requests come free, soonest first.
    freed_at: VecDeque<Instant>,
    told: Option<Told>,
    blocked_until: Option<Instant>,
}

/// What the endpoint last said is left.
#[derive(Clone, Copy, Debug)]
struct Told {
    remaining: u32,
    reset_unix: i64,
    until: Instant,
}

impl Ledger {
    fn new(limit: u32) -> Self {
        Self { limit: limit.max(1), in_flight: 0, freed_at: VecDeque::new(), told: None, blocked_until: None }
    }

    fn take(&mut self, now: Instant) -> Result<(), Duration> {
        match self.wait(now) {
            None => {
                self.in_flight += 1;
                Ok(())
            }
            Some(wait) => Err(wait.max(Duration::from_millis(1))),
        }
    }

    fn left(&mut self, now: Instant) -> u32 {
        self.forget(now);
        if self.blocked_until.is_some() {
            return 0;
        }
        let slots = self.limit.saturating_sub(self.held());
        self.told.map_or(slots, |told| slots.min(told.remaining.saturating_sub(self.in_flight)))
    }

    fn give_back(&mut self, now: Instant) {
        self.in_flight = self.in_flight.saturating_sub(1);
        let free = now + WINDOW;
        self.freed_at.push_back(self.freed_at.back().map_or(free, |last| free.max(*last)));
    }

    fn learn(&mut self, now: Instant, report: Report) {
        if let Some(limit) = report.limit.filter(|limit| *limit > 0) {
            self.limit = limit;
        }
        let Some(remaining) = report.remaining else { return };
        let (reset_unix, after) = report.reset.map_or((i64::MIN, WINDOW), |reset| (reset.unix, reset.after));
        let new = Told { remaining, reset_unix, until: now + after.min(WINDOW) };
        self.told = Some(match self.told {
            // Answers overtake one another: within a window the smallest rest is the newest.
            Some(old) if old.reset_unix == reset_unix => Told { remaining: old.remaining.min(remaining), ..old },
            Some(old) if old.reset_unix > reset_unix => old,
            _ => new,
        });
    }

    fn block(&mut self, now: Instant, wait: Duration) {
        let until = now + wait.min(LONGEST_BLOCK);
        self.blocked_until = Some(self.blocked_until.map_or(until, |old| old.max(until)));
    }

    /// How long until a request may be sent; `None`: now.
    fn wait(&mut self, now: Instant) -> Option<Duration> {
        self.forget(now);
        let mut until = self.blocked_until;
        if let Some(told) = self.told
            && told.remaining <= self.in_flight
        {
            until = until.max(Some(told.until));
        }
        let held = self.held();
        if held >= self.limit {
            let ahead = usize::try_from(held - self.limit).unwrap_or(usize::MAX);
            // Beyond the queue: slots of requests still in flight, free a minute after their answer at the soonest.
            until = until.max(Some(self.freed_at.get(ahead).copied().unwrap_or(now + WINDOW)));
        }
        until.map(|at| at.saturating_duration_since(now))
    }

    fn forget(&mut self, now: Instant) {
        while self.freed_at.front().is_some_and(|free| *free <= now) {
            self.freed_at.pop_front();
        }
        self.told = self.told.filter(|told| now < told.until);
        self.blocked_until = self.blocked_until.filter(|until| now < *until);
    }

    fn held(&self) -> u32 {
        self.in_flight.saturating_add(u32::try_from(self.freed_at.len()).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
#[path = "budget_tests.rs"]
mod tests;
