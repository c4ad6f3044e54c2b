//! The request budget of a provider account.
//!
//! In: every request before it is sent, and the limit, remainder and reset in its response. Out: a permit to send, or
//! how long to wait. Holds: the endpoint never receives more than its limit in any 60 s, nothing is sent to an
//! endpoint that has reported nothing left, and background work leaves a fifth for requests of users.
//!
//! Providers' clients use [`Allowance`]; [`InProcess`] counts for one process. Several processes share an account
//! through other implementations of the two traits.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::FetchError;

/// Limits are counted per minute.
pub(crate) const WINDOW: Duration = Duration::from_secs(60);

/// The longest block: whatever a response says, the endpoint is tried again after a day.
const LONGEST_BLOCK: Duration = Duration::from_secs(24 * 60 * 60);

/// One part in this many of the limit is reserved for requests of users.
pub const SHARE_KEPT: u32 = 5;

/// How urgent a request is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Urgency {
    /// Foreground: a user waits for it.
    #[default]
    Now,
    /// Background: leaves a fifth of the budget to the foreground.
    Background,
}

/// The account's budget according to a response; `None` for what it doesn't say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Requests per minute.
    pub limit: Option<u32>,
    /// Requests left until the reset.
    pub remaining: Option<u32>,
    pub reset: Option<Reset>,
    /// The request was throttled, and nothing may be sent for this long.
    pub turned_away: Option<Duration>,
}

/// When an endpoint's window ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reset {
    /// Unix seconds as sent: distinguishes one window from the next.
    pub unix: i64,
    /// From now; zero where it is past.
    pub after: Duration,
}

/// An account with a provider, by which requests are counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Unique; contains a digest of the key.
    pub name: String,
    pub provider: String,
    /// Until the endpoint reports another limit.
    pub requests_per_minute: u32,
}

/// The accounts and their budgets.
pub trait Accounts: Send + Sync {
    fn open(&self, account: &Account) -> Arc<dyn Allowance>;
}

/// The budget of an account, for everything that sends on it.
#[async_trait::async_trait]
pub trait Allowance: Send + Sync + fmt::Debug {
    /// Takes a permit for one request now.
    ///
    /// # Errors
    /// [`Denied`]: how long to wait before asking again, or why that isn't known.
    async fn take(&self, urgency: Urgency) -> Result<Box<dyn Permit>, Denied>;
}

/// A permit for one request. Dropped without a response it stays counted as long as the request may take to arrive.
#[async_trait::async_trait]
pub trait Permit: Send {
    /// Records the response's report.
    async fn answered(self: Box<Self>, report: Report);
}

/// Why there is no permit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denied {
    /// Ask again after this long; never zero.
    Wait(Duration),
    /// The provider has rejected this account's key, with this message.
    Refused(String),
    /// The account's budget could not be read.
    Unknown(String),
}

impl Denied {
    pub(crate) fn into_error(self, provider: &str) -> FetchError {
        let retry_after = match self {
            Self::Refused(words) => return FetchError::Refusing { message: words },
            Self::Wait(wait) => wait,
            Self::Unknown(why) => {
                tracing::warn!(provider, why, "The budget can't be read: sending no requests until it can");
                Duration::from_secs(1)
            }
        };
        FetchError::Throttled { provider: provider.to_owned(), retry_after }
    }
}

/// The accounts of this process only.
#[derive(Debug, Default)]
pub struct InProcess(Mutex<BTreeMap<String, Arc<Budget>>>);

impl InProcess {
    /// Requests that could be sent now on the account of that name.
    pub fn left(&self, account: &str) -> Option<u32> {
        let budgets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        budgets.get(account).map(|budget| budget.ledger().left(Instant::now()))
    }
}

impl Accounts for InProcess {
    fn open(&self, account: &Account) -> Arc<dyn Allowance> {
        let mut budgets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Budget(Arc::new(Mutex::new(Ledger::new(account.requests_per_minute)))));
        Arc::clone(budgets.entry(account.name.clone()).or_insert_with(new)) as Arc<dyn Allowance>
    }
}

/// One account's ledger.
#[derive(Debug)]
struct Budget(Arc<Mutex<Ledger>>);

impl Budget {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait::async_trait]
impl Allowance for Budget {
    async fn take(&self, urgency: Urgency) -> Result<Box<dyn Permit>, Denied> {
        self.ledger().take(Instant::now(), urgency).map_err(Denied::Wait)?;
        Ok(Box::new(Slot(Arc::clone(&self.0))))
    }
}

/// A slot of the ledger, released a minute after the response, or after the request was abandoned.
#[derive(Debug)]
struct Slot(Arc<Mutex<Ledger>>);

#[async_trait::async_trait]
impl Permit for Slot {
    async fn answered(self: Box<Self>, report: Report) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).learn(Instant::now(), report);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).give_back(Instant::now());
    }
}

/// The arithmetic, with the clock passed in.
///
/// A request reaches the endpoint between being sent and being answered, so its slot is occupied from the former
/// until a minute after the latter. That makes the limit hold as the endpoint counts it.
#[derive(Debug)]
struct Ledger {
    limit: u32,
    in_flight: u32,
    /// When the slots of finished requests are released, soonest first.
    freed_at: VecDeque<Instant>,
    reported: Option<ReportedQuota>,
    blocked_until: Option<Instant>,
}

/// The quota that the provider last reported.
#[derive(Clone, Copy, Debug)]
struct ReportedQuota {
    remaining: u32,
    reset_unix: i64,
    until: Instant,
}

impl Ledger {
    fn new(limit: u32) -> Self {
        Self { limit: limit.max(1), in_flight: 0, freed_at: VecDeque::new(), reported: None, blocked_until: None }
    }

    fn take(&mut self, now: Instant, urgency: Urgency) -> Result<(), Duration> {
        match self.wait(now, urgency) {
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
        self.reported.map_or(slots, |reported| slots.min(reported.remaining.saturating_sub(self.in_flight)))
    }

    fn give_back(&mut self, now: Instant) {
        self.in_flight = self.in_flight.saturating_sub(1);
        let free = now + WINDOW;
        self.freed_at.push_back(self.freed_at.back().map_or(free, |last| free.max(*last)));
    }

    fn learn(&mut self, now: Instant, report: Report) {
        if let Some(wait) = report.turned_away {
            self.block(now, wait);
        }
        if let Some(limit) = report.limit.filter(|limit| *limit > 0) {
            self.limit = limit;
        }
        let Some(remaining) = report.remaining else { return };
        let (reset_unix, after) = report.reset.map_or((i64::MIN, WINDOW), |reset| (reset.unix, reset.after));
        let new = ReportedQuota { remaining, reset_unix, until: now + after.min(WINDOW) };
        self.reported = Some(match self.reported {
            // Responses may arrive out of order: within a window the smallest remainder is the newest.
            Some(old) if old.reset_unix == reset_unix => {
                ReportedQuota { remaining: old.remaining.min(remaining), ..old }
            }
            Some(old) if old.reset_unix > reset_unix => old,
            _ => new,
        });
    }

    fn block(&mut self, now: Instant, wait: Duration) {
        let until = now + wait.min(LONGEST_BLOCK);
        self.blocked_until = Some(self.blocked_until.map_or(until, |old| old.max(until)));
    }

    /// How long until a request may be sent; `None`: now.
    fn wait(&mut self, now: Instant, urgency: Urgency) -> Option<Duration> {
        self.forget(now);
        let kept = match urgency {
            Urgency::Now => 0,
            Urgency::Background => self.limit / SHARE_KEPT,
        };
        let mut until = self.blocked_until;
        if let Some(reported) = self.reported
            && reported.remaining <= self.in_flight.saturating_add(kept)
        {
            until = until.max(Some(reported.until));
        }
        let (held, limit) = (self.held(), self.limit - kept);
        if held >= limit {
            let ahead = usize::try_from(held - limit).unwrap_or(usize::MAX);
            // Beyond the queue: slots of requests in progress, released a minute after their response at the
            // earliest.
            until = until.max(Some(self.freed_at.get(ahead).copied().unwrap_or(now + WINDOW)));
        }
        until.map(|at| at.saturating_duration_since(now))
    }

    fn forget(&mut self, now: Instant) {
        while self.freed_at.front().is_some_and(|free| *free <= now) {
            self.freed_at.pop_front();
        }
        self.reported = self.reported.filter(|reported| now < reported.until);
        self.blocked_until = self.blocked_until.filter(|until| now < *until);
    }

    fn held(&self) -> u32 {
        self.in_flight.saturating_add(u32::try_from(self.freed_at.len()).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
#[path = "budget_tests.rs"]
mod tests;
