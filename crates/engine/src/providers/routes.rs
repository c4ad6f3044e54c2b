//! Where bars come from: for each class of assets its providers, in order.
//!
//! In: providers that are connected to, what their accounts allow and how they fare. Out: the one to be asked for a
//! run. Holds: the first that has the bars and may be asked now is asked; one that fails again and again is left alone for
//! a while, then tried by one request, and others do its work meanwhile where they can.

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
    budget::{self, Standing},
    provider_health::{self as health, FAILING},
    runs::QueuedRun,
};

use crate::{bases::base_of, market_now::Market};

/// Where history ends moves on with the clock: what was planned a moment ago is still asked for.
const MOVES_ON: SignedDuration = SignedDuration::from_hours(12);

/// The rest of a provider whose work nobody else can do.
const SOLE_PROVIDER_PAUSE: SignedDuration = SignedDuration::from_secs(4);

/// While somebody else tries it.
const PROBE_PERIOD: SignedDuration = SignedDuration::from_secs(1);

/// A series that a provider has refused is offered to it again after this.
const AVOIDED_FOR: Duration = Duration::from_secs(60 * 60);

/// The providers, in the order of the settings.
#[derive(Debug, Default)]
pub struct Routes {
    routes: Vec<Route>,
    /// Series that an account couldn't give though it seemed so.
    avoided: Mutex<HashMap<(String, Ticker, Timeframe), Instant>>,
}

/// One provider.
#[derive(Clone, Debug)]
pub struct Route {
    pub source: Arc<dyn BarSource>,
    pub serves: Vec<AssetClass>,
}

/// How everything stands at one snapshot.
#[derive(Debug)]
pub struct RoutingSnapshot {
    standings: HashMap<String, Standing>,
    /// Accounts that are left alone.
    open_circuits: HashMap<String, OpenCircuit>,
    now: Timestamp,
}

/// Until when an account is left alone.
#[derive(Clone, Copy, Debug)]
struct OpenCircuit {
    /// Where others can do its work.
    until: Option<Timestamp>,
    /// Where nobody can.
    alone: Option<Timestamp>,
}

impl Routes {
    pub fn new(routes: Vec<Route>) -> Self {
        Self { routes, avoided: Mutex::default() }
    }

    pub fn all(&self) -> impl Iterator<Item = &Arc<dyn BarSource>> {
        self.routes.iter().map(|route| &route.source)
    }

    /// Those that have bars of the class, in order.
    pub fn serving(&self, class: AssetClass) -> impl Iterator<Item = &Arc<dyn BarSource>> {
        self.routes.iter().filter(move |route| route.serves.contains(&class)).map(|route| &route.source)
    }

    /// What each of those gives, in order.
    pub fn limits(&self, class: AssetClass) -> Vec<Limits> {
        self.serving(class).map(|source| source.limits(class)).collect()
    }

    /// How long bars of the class may still change at the provider that is asked first.
    pub fn grace(&self, class: AssetClass) -> SignedDuration {
        self.serving(class).next().map_or(SignedDuration::ZERO, |source| source.limits(class).grace)
    }

    /// The name of the first, for messages about the class.
    pub fn name(&self, class: AssetClass) -> String {
        self.serving(class).next().map_or_else(|| "no provider".to_owned(), |source| source.endpoint().provider.clone())
    }

    /// What all accounts allow now, and how their providers fare.
    ///
    /// # Errors
    /// Where the database is gone.
    pub async fn snapshot(&self, database: &Database) -> Result<RoutingSnapshot, StoreError> {
        let mut standings = HashMap::new();
        for source in self.all() {
            if let Some(standing) = budget::account_budget(database, source.account()).await? {
                standings.insert(source.account().to_owned(), standing);
            }
        }
        let now = Timestamp::now();
        let mut open_circuits = HashMap::new();
        for health in health::all(database).await?.into_iter().filter(|health| health.failures >= FAILING) {
            let Some(route) = self.routes.iter().find(|route| route.source.account() == health.account) else {
                continue;
            };
            // Where nobody else can do its work, only one that isn't there at all is left alone, and not for long.
            let soon = health.last_failed_at.and_then(|at| at.checked_add(SOLE_PROVIDER_PAUSE).ok());
            let alone = soon.filter(|_| health.unreachable);
            let mut rest = OpenCircuit { until: health.resting_until, alone };
            let over = |until: Option<Timestamp>| until.is_none_or(|until| until <= now);
            let shared = route.serves.iter().any(|class| self.serving(*class).count() > 1);
            if over(if shared { rest.until } else { rest.alone })
                && (shared || health.unreachable)
                && !health::try_again(database, &health.account).await?
            {
                let soon_again = now.checked_add(PROBE_PERIOD).ok();
                rest = OpenCircuit { until: soon_again, alone: soon_again.filter(|_| health.unreachable) };
            }
            open_circuits.insert(health.account, rest);
        }
        Ok(RoutingSnapshot { standings, open_circuits, now })
    }

    /// The provider to be asked for a run: the first that has its bars and may be asked now.
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

    /// Whether there is just one provider of the class.
    fn is_alone(&self, class: AssetClass) -> bool {
        self.serving(class).count() == 1
    }

    /// Whether another than `account` could be asked for the series.
    pub fn has_another(&self, account: &str, run: &QueuedRun, market: &Market) -> bool {
        self.serving(run.ticker.asset_class()).any(|source| {
            source.account() != account && has(source.as_ref(), run, market) && !self.is_avoided(source.account(), run)
        })
    }

    /// The first provider that has bars that the run could be made of, whether or not it may be asked now.
    pub fn first_capable(&self, run: &QueuedRun, market: &Market) -> Option<&Arc<dyn BarSource>> {
        self.serving(run.ticker.asset_class()).find(|source| has(source.as_ref(), run, market))
    }

    /// The account couldn't give this series: others are asked for it for a while.
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

    /// Whether anything may be asked of the class now: for what people ask for, and for background work. And how long
    /// until it may where not.
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
    /// `alone`: nobody else could do the work.
    fn allows(&self, account: &str, background: bool, alone: bool) -> bool {
        // An account that nobody has used yet allows what it opens with.
        self.open_until(account, alone).is_none()
            && self.standings.get(account).is_none_or(|standing| match background {
                true => standing.left_for_background > 0,
                false => standing.left > 0,
            })
    }

    fn open_until(&self, account: &str, alone: bool) -> Option<Timestamp> {
        let rest = self.open_circuits.get(account)?;
        if alone { rest.alone } else { rest.until }.filter(|until| *until > self.now)
    }

    /// Until the account may be asked again.
    fn wait(&self, account: &str, alone: bool) -> Duration {
        let rest = self.open_until(account, alone).map(|until| until.duration_since(self.now));
        let rest = rest.and_then(|rest| Duration::try_from(rest).ok()).unwrap_or_default();
        self.standings.get(account).map_or(rest, |standing| standing.wait.max(rest))
    }
}

/// Whether the provider has what the run is to be made of.
fn has(source: &dyn BarSource, run: &QueuedRun, market: &Market) -> bool {
    let limits = source.limits(run.ticker.asset_class());
    has_bars(&limits, run.timeframe, &market.sessions_of(run.calendar), run.slice.from(), market.now)
}

/// Whether bars of `timeframe` from `from` on can be made of what the limits say.
pub fn has_bars(
    limits: &Limits,
    timeframe: Timeframe,
    sessions: &Sessions,
    from: Timestamp,
    market_now: Timestamp,
) -> bool {
    base_of(timeframe, sessions, limits).is_some_and(|base| {
        let earliest = limits.earliest_of(base, market_now);
        earliest.checked_sub(MOVES_ON).map_or(true, |earliest| from >= earliest)
    })
}
