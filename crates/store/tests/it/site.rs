//! A migrated database and the tests' helpers: statements as the service or as a user, series filled as by workers.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::{Timestamp, ToSpan};
use market::{Bar, Grid, Range, Ticker, Timeframe};
use sqlx::{AssertSqlSafe, Postgres, Row, Transaction};
use store::{
    Database, ServiceTx, StoreError, bars,
    bars::{SeriesBars, ShapedBar},
    clock, coverage,
    definitions::Definition,
    runs::{self, ClaimedRun, Failure, Order, Outcome, QueuedRun, Slices},
    tracking::{self, Source},
};
use testkit::{OwnedDatabase, Owner};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

pub(crate) const LEASE: Duration = Duration::from_secs(60);

/// Long enough for a busy machine with two cores; only a failure takes that long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

/// A Tuesday, noon in New York; the day before was an ordinary one.
pub(crate) const TUESDAY: &str = "2026-11-24T17:00:00Z";

pub(crate) struct Site {
    pub(crate) database: Database,
    pub(crate) owned: OwnedDatabase,
}

impl Site {
    pub(crate) async fn new(owner: Owner) -> Self {
        let owned = testkit::migrated(owner).await.unwrap();
        Self { database: owned.database.clone(), owned }
    }

    /// With the market's clock running on from `now`.
    pub(crate) async fn at(owner: Owner, now: &str) -> Self {
        let site = Self::new(owner).await;
        site.set_clock(now).await;
        site
    }

    pub(crate) async fn set_clock(&self, now: &str) {
        clock::start(&self.database, Some(at(now))).await.unwrap();
    }

    /// Runs statements as the service.
    pub(crate) async fn run(&self, sql: &str) {
        let mut tx = self.database.begin().await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut *tx).await.expect(sql);
        tx.commit().await.unwrap();
    }

    /// The rows of a query, each in Postgres' text for a row: `(AAPL,300)`.
    pub(crate) async fn rows(&self, sql: &str) -> Vec<String> {
        let mut tx = self.database.begin().await.unwrap();
        let rows = rows_in(&mut tx, sql).await.expect(sql);
        tx.commit().await.unwrap();
        rows
    }

    /// The one value of a query, as text.
    pub(crate) async fn value(&self, sql: &str) -> String {
        let rows = self.rows(sql).await;
        assert_eq!(rows.len(), 1, "{sql}: {rows:?}");
        rows[0].trim_start_matches('(').trim_end_matches(')').trim_matches('"').to_owned()
    }

    /// As [`Site::rows`], under row level security as `user`.
    pub(crate) async fn rows_as(&self, user: Uuid, sql: &str) -> Result<Vec<String>, sqlx::Error> {
        let mut tx = self.database.begin().await.unwrap();
        become_user(&mut tx, user).await;
        let rows = rows_in(&mut tx, sql).await?;
        tx.commit().await?;
        Ok(rows)
    }

    /// The SQLSTATE with which a statement of `user` is rejected.
    pub(crate) async fn refusal_as(&self, user: Uuid, sql: &str) -> String {
        let mut tx = self.database.begin().await.unwrap();
        become_user(&mut tx, user).await;
        match sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut *tx).await {
            Ok(_) => panic!("not refused: {sql}"),
            Err(error) => code_of(&error),
        }
    }

    pub(crate) async fn track(&self, user: Uuid, symbols: &[&str], source: Source) -> tracking::Synced {
        let timeframes = [Timeframe::M15, Timeframe::H1, Timeframe::H4];
        tracking::sync(&self.database, user, &tickers(symbols), source, &timeframes).await.unwrap()
    }

    pub(crate) async fn untrack(&self, user: Uuid, symbol: &str, source: Option<Source>) -> i64 {
        tracking::untrack(&self.database, user, &[ticker(symbol)], source).await.unwrap()
    }

    pub(crate) async fn definition(&self, symbol: &str, timeframe: Timeframe) -> Definition {
        let mut tx = self.database.begin().await.unwrap();
        let row = sqlx::query(
            "select d.id, s.calendar, d.by_interest, d.priority, d.window_days
            from public.job_definitions d join public.symbols s on s.ticker = d.symbol
            where d.symbol = $1 and d.timeframe = $2",
        )
        .bind(symbol)
        .bind(timeframe.as_str())
        .fetch_one(&mut *tx)
        .await
        .unwrap();
        Definition {
            id: row.get(0),
            ticker: ticker(symbol),
            timeframe,
            calendar: row.get::<String, _>(1).parse().unwrap(),
            by_interest: row.get(2),
            priority: row.get(3),
            window_days: row.get(4),
        }
    }

    pub(crate) async fn gaps(&self, definition: &Definition) -> Vec<Range> {
        let mut tx = self.database.begin().await.unwrap();
        let mut gaps = coverage::gaps(&mut tx, std::slice::from_ref(definition), None).await.unwrap();
        tx.commit().await.unwrap();
        gaps.remove(&definition.id).unwrap_or_default()
    }

    pub(crate) async fn enqueue(&self, definition: &Definition, slices: &[Range]) -> u64 {
        let mut tx = self.database.begin().await.unwrap();
        let wanted = Slices { definition, slices: slices.to_vec(), triggered_by: "test" };
        let queued = runs::enqueue(&mut tx, &[wanted]).await.unwrap();
        tx.commit().await.unwrap();
        queued
    }

    pub(crate) async fn claim(&self, worker: &str) -> Option<ClaimedRun> {
        claim(&self.database, worker, Order::InterestFirst, None).await.unwrap()
    }

    /// Queues `slice` and claims it.
    pub(crate) async fn held(&self, definition: &Definition, slice: Range, worker: &str) -> ClaimedRun {
        assert_eq!(self.enqueue(definition, &[slice]).await, 1);
        let ticker = std::slice::from_ref(&definition.ticker);
        let run = claim(&self.database, worker, Order::InterestFirst, Some(ticker)).await.unwrap().unwrap();
        assert_eq!((run.slice, run.timeframe), (slice, definition.timeframe));
        run
    }

    /// Ends the run as a worker does whose provider returned `bars` for the whole slice.
    pub(crate) async fn answer(&self, run: &ClaimedRun, bars: &[ShapedBar]) -> bool {
        let mut tx = self.database.begin().await.unwrap();
        let rows = store_bars(&mut tx, run, bars).await.unwrap();
        let held = finish(&mut tx, run, Some(run.slice), rows).await.unwrap();
        if held {
            tx.commit().await.unwrap();
        }
        held
    }

    /// Fills all gaps of a series with the bars that the calendar expects.
    pub(crate) async fn fill(&self, definition: &Definition) {
        for gap in self.gaps(definition).await {
            let run = self.held(definition, gap, "filler").await;
            assert!(self.answer(&run, &expected(definition, gap)).await);
        }
    }
}

/// Polls until `check` is true.
pub(crate) async fn eventually(what: &str, check: impl AsyncFn() -> bool) {
    let begun = Instant::now();
    while !check().await {
        assert!(begun.elapsed() < PATIENCE, "not within {} s: {what}", PATIENCE.as_secs());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// As many permits as the database has connections: a task that waits too long for a connection fails, and on a busy
/// machine the wait is long.
pub(crate) fn places() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(12))
}

/// One of them, until it is dropped.
pub(crate) fn place(places: &Arc<Semaphore>) -> impl Future<Output = OwnedSemaphorePermit> + Send + 'static {
    let places = Arc::clone(places);
    async move { places.acquire_owned().await.unwrap() }
}

/// Claims the next run by itself.
pub(crate) async fn claim(
    database: &Database,
    worker: &str,
    order: Order,
    tickers: Option<&[Ticker]>,
) -> Result<Option<ClaimedRun>, StoreError> {
    let first = |candidates: &[QueuedRun]| candidates.iter().take(1).map(|run| run.id).collect();
    Ok(runs::claim_pack(database, worker, LEASE, order, tickers, None, first).await?.pop())
}

/// Whether the lease could be renewed.
pub(crate) async fn renew(database: &Database, run: &ClaimedRun) -> Result<bool, StoreError> {
    Ok(runs::renew(database, std::slice::from_ref(run), LEASE).await? == [run.id])
}

/// Whether this worker still held the run.
pub(crate) async fn fail(database: &Database, run: &ClaimedRun, failure: &Failure) -> Result<bool, StoreError> {
    Ok(runs::record_failure(database, std::slice::from_ref(run), failure).await? == 1)
}

/// Whether this worker still held the run.
pub(crate) async fn finish(
    tx: &mut ServiceTx,
    run: &ClaimedRun,
    covered: Option<Range>,
    rows: u64,
) -> Result<bool, StoreError> {
    runs::finish(tx, &[Outcome { run, covered, rows, requests: 1 }], "test/sip").await
}

/// Stores bars of the run's series; returns the number of rows written.
pub(crate) async fn store_bars(tx: &mut ServiceTx, run: &ClaimedRun, bars: &[ShapedBar]) -> Result<u64, StoreError> {
    let series = SeriesBars { symbol_id: run.symbol_id, timeframe: run.timeframe, bars };
    Ok(bars::store(tx, "test/sip", &[series]).await?[0])
}

/// The bars that the calendar expects in `range`, all with the same prices.
pub(crate) fn expected(definition: &Definition, range: Range) -> Vec<ShapedBar> {
    // Daily and weekly bars start before the session in which their gap begins.
    let around = range_of(range.from() - (7 * 24).hours(), range.to());
    let buckets = Grid::by_rules(definition.calendar).buckets(definition.timeframe, around);
    buckets.into_iter().filter(|b| b.to() > range.from()).map(|b| flat(b.from(), 100.0)).collect()
}

/// A final bar without any price change.
pub(crate) fn flat(start: Timestamp, price: f64) -> ShapedBar {
    let bar = Bar {
        start,
        open: price,
        high: price,
        low: price,
        close: price,
        volume: 10.0,
        vwap: Some(price),
        trade_count: Some(3),
    };
    ShapedBar { bar, is_final: true }
}

pub(crate) async fn become_user(tx: &mut Transaction<'_, Postgres>, user: Uuid) {
    sqlx::query("select set_config('request.jwt.claims', $1, true), set_config('role', 'authenticated', true)")
        .bind(serde_json::json!({ "sub": user, "role": "authenticated" }).to_string())
        .execute(&mut **tx)
        .await
        .unwrap();
}

pub(crate) async fn rows_in(tx: &mut Transaction<'_, Postgres>, sql: &str) -> Result<Vec<String>, sqlx::Error> {
    let wrapped = format!("with q as ({sql}) select q::text from q");
    sqlx::query_scalar(AssertSqlSafe(wrapped)).fetch_all(&mut **tx).await
}

pub(crate) fn code_of(error: &sqlx::Error) -> String {
    error.as_database_error().and_then(|e| e.code()).unwrap_or_else(|| panic!("{error}")).into_owned()
}

pub(crate) fn refused(result: Result<tracking::Synced, StoreError>) -> String {
    match result {
        Err(StoreError::Refused(message)) => message,
        other => panic!("not refused: {other:?}"),
    }
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

pub(crate) fn range(from: &str, to: &str) -> Range {
    range_of(at(from), at(to))
}

pub(crate) fn range_of(from: Timestamp, to: Timestamp) -> Range {
    Range::new(from, to).unwrap()
}
