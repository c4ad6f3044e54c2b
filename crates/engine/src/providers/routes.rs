//! Routes: for each asset class its providers, in order.
//!
//! In: connected providers, their accounts' budgets and their health. Out: the provider to use for a run. Holds: it
//! is the first that has the bars, has budget and whose circuit is closed; a circuit opens after repeated failures,
//! then one request probes the provider, and other providers do its work meanwhile where they can.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};
use market::{AssetClass, Sessions, Ticker, Timeframe};
use providers::{BarSource, Limits};
use store::{
    Database, StoreError,
    budget::{self, AccountBudget},
    provider_health::{self as health, ProviderHealth},
    runs::QueuedRun,
};

use crate::{bases::base_of, market_now::Market};

/// The start of available history moves on with the clock: runs planned shortly before are still requested.
const HISTORY_TOLERANCE: SignedDuration = SignedDuration::from_hours(12);

/// How long others wait at least while one request probes the provider.
const PROBE_PERIOD: SignedDuration = SignedDuration::from_secs(1);

/// How long a series that a provider could not supply is routed to others.
const AVOIDED_FOR: Duration = Duration::from_secs(60 * 60);

/// The providers, in the order of the settings.
#[derive(Debug, Default)]
pub struct Routes {
    routes: Vec<Route>,
    /// Series that an account could not supply, despite its limits.
    avoided: Mutex<HashMap<(String, Ticker, Timeframe), Instant>>,
}

/// One provider and the asset classes it serves.
#[derive(Clone, Debug)]
pub struct Route {
    pub source: Arc<dyn BarSource>,
    pub serves: Vec<AssetClass>,
}

/// Budgets and circuits of all accounts at one moment.
#[derive(Debug)]
pub struct RoutingSnapshot {
    budgets: HashMap<String, AccountBudget>,
    /// Accounts whose circuit is open.
    open_circuits: HashMap<String, OpenCircuit>,
    /// Accounts that the holder of this snapshot is to probe with its next request.
    pub probing: Vec<String>,
    now: Timestamp,
}

/// How long an account's circuit is open.
#[derive(Clone, Copy, Debug)]
struct OpenCircuit {
    /// If other providers can do its work.
    until: Option<Timestamp>,
    /// If no other can.
    alone: Option<Timestamp>,
}

impl Routes {
    pub fn new(routes: Vec<Route>) -> Self {
        Self { routes, avoided: Mutex::default() }
    }

    pub fn all(&self) -> impl Iterator<Item = &Arc<dyn BarSource>> {
        self.routes.iter().map(|route| &route.source)
    }

    /// The providers of the class, in order.
    pub fn serving(&self, class: AssetClass) -> impl Iterator<Item = &Arc<dyn BarSource>> {
        self.routes.iter().filter(move |route| route.serves.contains(&class)).map(|route| &route.source)
    }

    /// The limits of each of those, in order.
    pub fn limits(&self, class: AssetClass) -> Vec<Limits> {
        self.serving(class).map(|source| source.limits(class)).collect()
    }

    /// How long bars of the class may still change at the first provider.
    pub fn grace(&self, class: AssetClass) -> SignedDuration {
        self.serving(class).next().map_or(SignedDuration::ZERO, |source| source.limits(class).grace)
    }

    /// The name of the first provider, for messages about the class.
    pub fn name(&self, class: AssetClass) -> String {
        self.serving(class).next().map_or_else(|| "no provider".to_owned(), |source| source.endpoint().provider.clone())
    }

    /// The budgets of all accounts, and the health of their providers.
    ///
    /// # Errors
    /// If the database is unreachable.
    pub async fn snapshot(&self, database: &Database) -> Result<RoutingSnapshot, StoreError> {
        let mut budgets = HashMap::new();
        for source in self.all() {
            if let Some(budget) = budget::account_budget(database, source.account()).await? {
                budgets.insert(source.account().to_owned(), budget);
            }
        }
        let now = Timestamp::now();
        let (mut open_circuits, mut probing) = (HashMap::new(), Vec::new());
        for health in health::all(database).await?.into_iter().filter(ProviderHealth::is_failing) {
            let Some(route) = self.routes.iter().find(|route| route.source.account() == health.account) else {
                continue;
            };
            // A sole provider whose answers are bad goes on, since others of its answers may be good; one that is down
            // doesn't.
            let is_down = health.is_down();
            let is_shared = route.serves.iter().any(|class| self.serving(*class).count() > 1);
            if !is_down && !is_shared {
                continue;
            }
            let mut until = health.resting_until.filter(|until| *until > now);
            if until.is_none() {
                match health::begin_probe(database, &health.account).await? {
                    true => probing.push(health.account.clone()),
                    false => until = now.checked_add(PROBE_PERIOD).ok(),
                }
            }
            open_circuits.insert(health.account, OpenCircuit { until, alone: until.filter(|_| is_down) });
        }
        Ok(RoutingSnapshot { budgets, open_circuits, probing, now })
    }

    /// Whether one of the class's providers answers, as far as is known.
    ///
    /// # Errors
    /// If the database is unreachable.
    pub async fn is_answered(&self, database: &Database, class: AssetClass) -> Result<bool, StoreError> {
        let down: Vec<ProviderHealth> =
            health::all(database).await?.into_iter().filter(ProviderHealth::is_down).collect();
        Ok(self.serving(class).any(|source| !down.iter().any(|down| down.account == source.account())))
    }

    /// What the last of the providers says if none of them has answered for so long.
    ///
    /// # Errors
    /// If the database is unreachable.
    pub async fn down_for(&self, database: &Database, long: SignedDuration) -> Result<Option<String>, StoreError> {
        let down: Vec<ProviderHealth> =
            health::all(database).await?.into_iter().filter(ProviderHealth::is_down).collect();
        let now = Timestamp::now();
        let mut says = None;
        for source in self.all() {
            let health = down.iter().find(|health| health.account == source.account());
            let Some((health, since)) = health.and_then(|health| Some((health, health.failing_since?))) else {
                return Ok(None);
            };
            if now.duration_since(since) < long {
                return Ok(None);
            }
            let last = health.last_error.as_deref().unwrap_or("no answer");
            says = Some(format!("{} has been failing since {since}: {last}", health.provider));
        }
        Ok(says)
    }

    /// The provider to use for a run: the first that has its bars and accepts requests now.
    pub fn source_for(
        &self,
        run: &QueuedRun,
        snapshot: &RoutingSnapshot,
        market: &Market,
    ) -> Option<&Arc<dyn BarSource>> {
        let alone = self.is_alone(run.ticker.asset_class());
        self.serving(run.ticker.asset_class()).find(|source| {
            has(source.as_ref(), run, market)
                && snapshot.allows(source.account(), !run.by_interest, alone)
                && !self.is_avoided(source.account(), run)
        })
    }

    /// Whether the class has just one provider.
    fn is_alone(&self, class: AssetClass) -> bool {
        self.serving(class).count() == 1
    }

    /// Whether a provider other than `account` could supply the series.
    pub fn has_another(&self, account: &str, run: &QueuedRun, market: &Market) -> bool {
        self.serving(run.ticker.asset_class()).any(|source| {
            source.account() != account && has(source.as_ref(), run, market) && !self.is_avoided(source.account(), run)
        })
    }

    /// The first provider with bars that the run can be resampled from, whether or not it accepts requests now.
    pub fn first_capable(&self, run: &QueuedRun, market: &Market) -> Option<&Arc<dyn BarSource>> {
        self.serving(run.ticker.asset_class()).find(|source| has(source.as_ref(), run, market))
    }

    /// Routes this series to other providers for a while, since the account could not supply it.
    pub fn avoid(&self, account: &str, ticker: &Ticker, timeframe: Timeframe) {
        let mut avoided = self.avoided.lock().unwrap_or_else(PoisonError::into_inner);
        avoided.retain(|_, since| since.elapsed() < AVOIDED_FOR);
        avoided.insert((account.to_owned(), ticker.clone(), timeframe), Instant::now());
    }

    fn is_avoided(&self, account: &str, run: &QueuedRun) -> bool {
        let avoided = self.avoided.lock().unwrap_or_else(PoisonError::into_inner);
        !avoided.is_empty()
            && avoided
                .get(&(account.to_owned(), run.ticker.clone(), run.timeframe))
                .is_some_and(|since| since.elapsed() < AVOIDED_FOR)
    }

    /// Whether a request for the class can be sent now: for the foreground, and for the background. If not, how long
    /// to wait.
    pub fn allows(&self, class: AssetClass, snapshot: &RoutingSnapshot) -> (bool, bool, Duration) {
        let (accounts, alone): (Vec<&str>, _) =
            (self.serving(class).map(|s| s.account()).collect(), self.is_alone(class));
        let now = accounts.iter().any(|account| snapshot.allows(account, false, alone));
        let background = accounts.iter().any(|account| snapshot.allows(account, true, alone));
        let wait = accounts.iter().map(|account| snapshot.wait(account, alone)).min();
        (now, background, wait.unwrap_or(Duration::ZERO))
    }
}

impl RoutingSnapshot {
    /// `alone`: no other provider could do the work.
    fn allows(&self, account: &str, background: bool, alone: bool) -> bool {
        // An account that was never used has its initial budget.
        self.open_until(account, alone).is_none()
            && self.budgets.get(account).is_none_or(|budget| match background {
                true => budget.left_for_background > 0,
                false => budget.left > 0,
            })
    }

    fn open_until(&self, account: &str, alone: bool) -> Option<Timestamp> {
        let circuit = self.open_circuits.get(account)?;
        if alone { circuit.alone } else { circuit.until }.filter(|until| *until > self.now)
    }

    /// How long to wait until the account accepts requests again.
    fn wait(&self, account: &str, alone: bool) -> Duration {
        let wait = self.open_until(account, alone).map(|until| until.duration_since(self.now));
        let wait = wait.and_then(|wait| Duration::try_from(wait).ok()).unwrap_or_default();
        self.budgets.get(account).map_or(wait, |budget| budget.wait.max(wait))
    }
}

/// Whether the provider has what the run needs.
fn has(source: &dyn BarSource, run: &QueuedRun, market: &Market) -> bool {
    let limits = source.limits(run.ticker.asset_class());
    has_bars(&limits, run.timeframe, &market.sessions_of(run.calendar), run.slice.from(), market.now)
}

/// Whether bars of `timeframe` from `from` on can be resampled from what the limits offer.
pub fn has_bars(
    limits: &Limits,
    timeframe: Timeframe,
    sessions: &Sessions,
    from: Timestamp,
    market_now: Timestamp,
) -> bool {
    base_of(timeframe, sessions, limits).is_some_and(|base| {
        let earliest = limits.earliest_of(base, market_now);
        earliest.checked_sub(HISTORY_TOLERANCE).map_or(true, |earliest| from >= earliest)
    })
}
