//! A provider, a database and the single steps of the stages.
//!
//! In: the provider's settings and the market's time. Out: a [`Bench`], whose engine does one step per call, and the
//! state of the database after it. Holds: nothing runs by itself, and the market's time doesn't advance until it is
//! set.

use std::{
    net::SocketAddr,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use engine::{
    Engine,
    commit::commit,
    dispatch::{self, Claimed, ClaimedPack, Scope},
    fetch::{FetchResult, PreparedRequest},
    foreground::Foreground,
    plan::{self, Planned},
    providers::connect,
    splits::{seen_adjusted::SeenAdjusted, unadjust::unadjust},
};
use jiff::{SignedDuration, Timestamp};
use market::{Bar, Grid, Range, Ticker, Timeframe, resample::resample};
use providers::{BarSource, BarsRequest, FetchError, alpaca::AlpacaSettings, budget::Urgency, registry::Candidate};
use simulator::{Settings, Simulator};
use sqlx::{AssertSqlSafe, FromRow, postgres::PgRow};
use store::{
    Database, StoreError, bars,
    bars::StoredBar,
    clock,
    clock::{MarketClock, SharedClock},
    coverage,
    events::{Notifier, Signals},
    market_sessions::SharedCalendars,
    runs::{ClaimedRun, Order},
    tracking::{self, Source},
};
use testkit::{ALICE, OwnedDatabase, Owner};
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

/// A Thursday, after the session has ended, with no forming bar.
pub(crate) const EVENING: &str = "2026-06-18T23:00:00Z";

/// The same day, in the middle of the session and of a bar of every timeframe.
pub(crate) const NOON: &str = "2026-06-18T15:37:00Z";

pub(crate) const USUAL: [Timeframe; 3] = [Timeframe::M15, Timeframe::H1, Timeframe::H4];

/// A database without interest, a provider, and an engine that does nothing by itself.
pub(crate) struct Bench {
    pub(crate) engine: Engine,
    pub(crate) simulator: Simulator,
    pub(crate) database: Database,
    address: SocketAddr,
    market_now: Arc<RwLock<Timestamp>>,
    _stop: DropGuard,
    /// Dropped last.
    _owned: OwnedDatabase,
}

/// A run in its present state.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub(crate) struct Run {
    pub(crate) id: Uuid,
    pub(crate) symbol: String,
    pub(crate) timeframe: String,
    pub(crate) status: String,
    pub(crate) attempt: i32,
    pub(crate) failures: i32,
    pub(crate) error_code: Option<String>,
    pub(crate) worker: Option<String>,
    pub(crate) rows_written: i64,
    pub(crate) requests: i32,
}

impl Bench {
    pub(crate) async fn at(now: &str) -> Self {
        Self::with(now, |_| {}).await
    }

    /// `change`: how the provider's settings differ.
    pub(crate) async fn with(now: &str, change: impl FnOnce(&mut Settings)) -> Self {
        Self::keyed(now, change, None).await
    }

    /// The engine uses that pair of keys.
    pub(crate) async fn keyed(now: &str, change: impl FnOnce(&mut Settings), keys: Option<(&str, &str)>) -> Self {
        let owned = testkit::migrated(Owner::Plain).await.unwrap();
        let database = owned.database.clone();
        clock::start(&database, Some(at(now))).await.unwrap();
        let market_now = Arc::new(RwLock::new(at(now)));
        let mut settings = Settings::new(simulator::Source::Synthetic);
        settings.requests_per_minute = 100_000;
        let shown = Arc::clone(&market_now);
        settings.clock = simulator::Clock::by(move || *shown.read().unwrap_or_else(PoisonError::into_inner));
        change(&mut settings);
        let simulator = Simulator::new(settings).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let (server, stopped) = (simulator.clone(), stop.clone());
        tokio::spawn(async move { server.serve(listener, stopped).await });
        let engine = connected(&database, address, at(now), "first", keys).await;
        let bench = Self { engine, simulator, database, address, market_now, _stop: stop.drop_guard(), _owned: owned };
        bench.sql("update job_definitions set enabled = false, base_priority = null").await;
        plan::publish_grace(&bench.engine, false).await.unwrap();
        bench
    }

    /// The engine of another process.
    pub(crate) async fn another(&self, worker: &str) -> Engine {
        self.another_keyed(worker, None).await
    }

    pub(crate) async fn another_keyed(&self, worker: &str, keys: Option<(&str, &str)>) -> Engine {
        connected(&self.database, self.address, self.engine.clock.now(), worker, keys).await
    }

    /// Sets the market's time to `now`, for the provider, the database and the engine.
    pub(crate) async fn set_time(&self, now: &str) {
        *self.market_now.write().unwrap() = at(now);
        clock::start(&self.database, Some(at(now))).await.unwrap();
        self.engine.clock.set(MarketClock::frozen_at(at(now)));
    }

    pub(crate) async fn track(&self, symbols: &[&str], timeframes: &[Timeframe]) {
        tracking::sync(&self.database, ALICE, &tickers(symbols), Source::ChartView, timeframes).await.unwrap();
    }

    pub(crate) async fn untrack(&self, symbol: &str) {
        tracking::untrack(&self.database, ALICE, &[ticker(symbol)], None).await.unwrap();
    }

    /// Enables some of the built-in symbols' series, in the background.
    pub(crate) async fn keep(&self, symbols: &[&str]) {
        let list = symbols.join(",");
        self.sql(&format!(
            "update job_definitions set enabled = true, base_priority = 100, priority = 100
            where symbol = any ('{{{list}}}')"
        ))
        .await;
    }

    /// Makes every enabled definition due for planning.
    pub(crate) async fn make_due(&self) {
        self.sql("update job_definitions set next_due_at = 'epoch'").await;
    }

    /// Ends all waits: runs' retry delays, accounts' blocks, and the pause of a provider's circuit.
    pub(crate) async fn end_waits(&self) {
        self.sql(
            "update job_runs set run_after = now() where status = 'queued';
            update barkeep.budgets set blocked_until = null, blocked_reason = null, blocked_message = null;
            update barkeep.provider_health set resting_until = null",
        )
        .await;
    }

    /// Lets the leases of these runs expire.
    pub(crate) async fn expire_leases(&self, runs: &[ClaimedRun]) {
        let ids = runs.iter().map(|run| format!("'{}'", run.id)).collect::<Vec<_>>().join(",");
        self.sql(&format!("update job_runs set lease_until = now() - interval '1 second' where id in ({ids})")).await;
        store::runs::release(&self.database, None).await.unwrap();
    }

    pub(crate) async fn plan(&self) -> Planned {
        plan(&self.engine).await
    }

    pub(crate) async fn claim(&self) -> ClaimedPack {
        claim(&self.engine).await
    }

    pub(crate) async fn prepare(&self, pack: &ClaimedPack) -> PreparedRequest {
        prepare(&self.engine, pack).await
    }

    pub(crate) async fn fetch<'a>(&self, pack: &'a ClaimedPack, prepared: &'a PreparedRequest) -> Vec<FetchResult<'a>> {
        fetch(&self.engine, pack, prepared).await.unwrap()
    }

    pub(crate) async fn commit(&self, pack: &ClaimedPack, fetched: &[FetchResult<'_>]) -> Result<(), StoreError> {
        commit_all(&self.engine, pack, fetched).await
    }

    /// Claims and executes until nothing can be claimed. Returns the number of packs.
    pub(crate) async fn work_off(&self) -> usize {
        let mut packs = 0;
        while let Claimed::Pack(pack) = claimed(&self.engine).await {
            dispatch::execute(&self.engine, pack, &Scope::All).await;
            packs += 1;
        }
        packs
    }

    /// Runs statements as the service.
    pub(crate) async fn sql(&self, sql: &str) {
        let mut tx = self.database.begin().await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut *tx).await.expect(sql);
        tx.commit().await.unwrap();
    }

    pub(crate) async fn rows<T: for<'r> FromRow<'r, PgRow> + Send + Unpin>(&self, sql: &str) -> Vec<T> {
        let mut tx = self.database.begin().await.unwrap();
        sqlx::query_as(AssertSqlSafe(sql.to_owned())).fetch_all(&mut *tx).await.expect(sql)
    }

    pub(crate) async fn count(&self, of: &str) -> i64 {
        self.rows::<(i64,)>(&format!("select count(*) from {of}")).await[0].0
    }

    /// All runs, in the order of their creation.
    pub(crate) async fn runs(&self) -> Vec<Run> {
        self.rows(
            "select id, symbol, timeframe, status, attempt, failures, error_code, worker, rows_written, requests
            from job_runs order by created_at, symbol, timeframe, slice_from",
        )
        .await
    }

    /// The runs of a pack.
    pub(crate) async fn runs_of(&self, claimed: &[ClaimedRun]) -> Vec<Run> {
        let mut runs = self.runs().await;
        runs.retain(|run| claimed.iter().any(|claimed| claimed.id == run.id));
        runs
    }

    /// The number of pairs of queued or running runs that overlap in the same series.
    pub(crate) async fn overlaps(&self) -> i64 {
        self.count(
            "job_runs a join job_runs b on a.job_def_id = b.job_def_id and a.id < b.id
                and tstzrange(a.slice_from, a.slice_to) && tstzrange(b.slice_from, b.slice_to)
            where a.status in ('queued', 'running') and b.status in ('queued', 'running')",
        )
        .await
    }

    pub(crate) async fn bars(&self, symbol: &str, timeframe: Timeframe) -> Vec<StoredBar> {
        bars::read(&self.database, None, &ticker(symbol), timeframe, None, i64::MAX).await.unwrap().unwrap_or_default()
    }

    /// The covered ranges, oldest first.
    pub(crate) async fn covered(&self, symbol: &str, timeframe: Timeframe) -> Vec<Range> {
        coverage::covered(&self.database, &ticker(symbol), timeframe).await.unwrap().iter().collect()
    }

    /// The states of a symbol's series, in the order of their timeframes' names.
    pub(crate) async fn states(&self, symbol: &str) -> Vec<String> {
        let series = coverage::of_symbol(&self.database, None, &ticker(symbol)).await.unwrap();
        series.into_iter().map(|series| series.state).collect()
    }

    /// Requests for stock bars so far.
    pub(crate) fn requests(&self) -> u64 {
        self.simulator.stats().to("/v2/stocks/bars")
    }

    /// Compares the stored bars of a series' newest two weeks with the provider's minutes: they are exactly the bars
    /// that those resample to where the series is covered.
    pub(crate) async fn assert_true(&self, symbol: &str, timeframe: Timeframe) {
        let mut stored = self.bars(symbol, timeframe).await;
        let end = self.covered(symbol, timeframe).await.last().expect("something is covered").to();
        let two_weeks = SignedDuration::ZERO..=SignedDuration::from_hours(14 * 24);
        stored.retain(|bar| bar.bar.start < end && two_weeks.contains(&end.duration_since(bar.bar.start)));
        let first = stored.first().expect("bars are stored").bar.start;
        let range = Range::new(first, end).unwrap();
        let source = self.engine.routes.all().next().unwrap();
        let minutes = minutes(source.as_ref(), &ticker(symbol), range).await;
        let class = ticker(symbol).asset_class();
        let sessions = self.engine.calendars.current().sessions_of(market::Calendar::for_class(class));
        let made = resample(&minutes, &Grid::Session(sessions), timeframe);
        assert_eq!(stored.len(), made.len(), "{timeframe} of {symbol}");
        for (stored, made) in stored.iter().zip(&made) {
            assert!(alike(&stored.bar, &made.bar), "{timeframe} of {symbol}: {:?} and not {:?}", stored.bar, made.bar);
        }
    }
}

/// The provider rounds the average price and the volume of each bar; resampled bars differ by as much.
pub(crate) fn alike(one: &Bar, other: &Bar) -> bool {
    let near = |one: f64, other: f64| (one - other).abs() <= 1e-6 + 1e-9 * one.abs();
    let rest = |bar: &Bar| Bar { vwap: None, volume: 0.0, ..*bar };
    rest(one) == rest(other)
        && near(one.volume, other.volume)
        && near(one.vwap.unwrap_or_default(), other.vwap.unwrap_or_default())
}

async fn minutes(source: &dyn BarSource, ticker: &Ticker, range: Range) -> Vec<Bar> {
    let request = BarsRequest {
        asset_class: ticker.asset_class(),
        tickers: vec![ticker.clone()],
        timeframe: Timeframe::M1,
        range,
        urgency: Urgency::Now,
    };
    source.bars(&request).await.unwrap().bars.remove(ticker).unwrap_or_default()
}

async fn connected(
    database: &Database,
    address: SocketAddr,
    now: Timestamp,
    worker: &str,
    keys: Option<(&str, &str)>,
) -> Engine {
    let data_url = format!("http://{address}").parse().unwrap();
    let mut settings = AlpacaSettings { data_url, counted_as: Some("of the test"), ..AlpacaSettings::default() };
    if let Some((id, secret)) = keys {
        (settings.key_id, settings.secret_key) = (Some(id.into()), Some(secret.into()));
    }
    let candidates: [Arc<dyn Candidate>; 1] = [Arc::new(settings)];
    let clock = SharedClock::new(MarketClock::frozen_at(now));
    let calendars = SharedCalendars::by_rules();
    engine::calendar_exceptions::follow(database, &calendars).await.unwrap();
    Engine {
        database: database.clone(),
        routes: connect::connect(&candidates, database, &clock).await.unwrap(),
        clock,
        calendars,
        signals: Signals::without_notifications(),
        notifier: Notifier::disabled(),
        foreground: Foreground::default(),
        seen_adjusted: SeenAdjusted::default(),
        worker: worker.into(),
        stop: CancellationToken::new(),
    }
}

/// Plans what is due; no series may fail.
pub(crate) async fn plan(engine: &Engine) -> Planned {
    let (planned, errors) = plan::plan_due(engine, None, None).await.unwrap();
    assert!(errors.is_empty(), "{errors:?}");
    planned
}

pub(crate) async fn claimed(engine: &Engine) -> Claimed {
    dispatch::claim(engine, Order::InterestFirst, &Scope::All).await.unwrap()
}

/// Claims a pack; there must be one.
pub(crate) async fn claim(engine: &Engine) -> ClaimedPack {
    match claimed(engine).await {
        Claimed::Pack(pack) => pack,
        other => panic!("nothing was claimed: {other:?}"),
    }
}

pub(crate) async fn prepare(engine: &Engine, pack: &ClaimedPack) -> PreparedRequest {
    let urgency = if pack.runs.iter().any(|run| run.by_interest) { Urgency::Now } else { Urgency::Background };
    PreparedRequest::new(engine, pack.source.as_ref(), &pack.runs, pack.pack.base, urgency).await.unwrap().unwrap()
}

/// Fetches all pages, and returns the result of each.
pub(crate) async fn fetch<'a>(
    engine: &Engine,
    pack: &'a ClaimedPack,
    prepared: &'a PreparedRequest,
) -> Result<Vec<FetchResult<'a>>, FetchError> {
    let runs: Vec<&ClaimedRun> = pack.runs.iter().collect();
    let mut fetching = prepared.send(pack.source.as_ref());
    let mut pages = Vec::new();
    while let Some(mut page) = fetching.next_page().await? {
        let unknown = unadjust(engine, pack.source.as_ref(), &runs, &mut page).await.unwrap();
        assert!(unknown.is_none(), "{unknown:?}");
        pages.push(page);
    }
    Ok(pages)
}

/// Commits the fetched results of a pack.
pub(crate) async fn commit_all(
    engine: &Engine,
    pack: &ClaimedPack,
    fetched: &[FetchResult<'_>],
) -> Result<(), StoreError> {
    for result in fetched.iter().filter(|result| !result.bars.is_empty()) {
        let ended: Vec<&ClaimedRun> = pack.runs.iter().filter(|run| result.bars.contains_key(&run.ticker)).collect();
        commit(engine, pack.source.as_ref(), &ended, result).await?;
    }
    Ok(())
}

pub(crate) fn ticker(symbol: &str) -> Ticker {
    symbol.parse().unwrap()
}

pub(crate) fn tickers(symbols: &[&str]) -> Vec<Ticker> {
    symbols.iter().map(|symbol| ticker(symbol)).collect()
}

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Polls until the condition holds: for the effects of another task.
pub(crate) async fn eventually(is_so: impl AsyncFn() -> bool) {
    let polling = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(120), polling).await.expect("it comes to be so");
}
