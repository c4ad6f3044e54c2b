//! The queue: slices in, claims out, outcomes fenced.
//!
//! A claim is a lease. Whoever lets it run out can no longer write: every outcome names worker and attempt, and is
//! refused where they aren't the current ones.

use std::{collections::HashMap, time::Duration};

use market::{AssetClass, Calendar, Range, Ticker, Timeframe};
use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

use crate::{
    Database, ServiceTx, StoreError,
    definitions::Definition,
    instant::Instant,
    row::{parsed, range},
    statement::{interval, query, query_scalar},
};

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// What people asked for, then background work.
    InterestFirst,
    /// Nothing else than what people asked for.
    InterestOnly,
    /// The share that is kept for background work: that first.
    BackgroundFirst,
}

impl Order {
    /// Whether by interest, one kind after the other.
    fn kinds(self) -> &'static [bool] {
        match self {
            Self::InterestFirst => &[true, false],
            Self::InterestOnly => &[true],
            Self::BackgroundFirst => &[false, true],
        }
    }
}

/// Why a run is looked at for a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Its turn has come.
    Head,
    /// Another run of the head's symbol.
    Own,
    /// Of another symbol, and ends where the head or one of its own does.
    Alike,
    /// Its turn comes next.
    Next,
}

/// A run that could be claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedRun {
    pub place: Place,
    pub id: Uuid,
    pub ticker: Ticker,
    pub symbol_id: Uuid,
    pub calendar: Calendar,
    pub timeframe: Timeframe,
    pub slice: Range,
    pub by_interest: bool,
    pub priority: i32,
    pub failures: i32,
}

/// A run that this worker holds until its lease ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedRun {
    pub id: Uuid,
    pub worker: String,
    pub attempt: i32,
    pub failures: i32,
    pub ticker: Ticker,
    pub symbol_id: Uuid,
    pub timeframe: Timeframe,
    pub calendar: Calendar,
    pub slice: Range,
    pub by_interest: bool,
}

impl ClaimedRun {
    /// As it stood in the queue, as far as is known.
    pub fn as_queued(&self) -> QueuedRun {
        QueuedRun {
            place: Place::Head,
            id: self.id,
            ticker: self.ticker.clone(),
            symbol_id: self.symbol_id,
            calendar: self.calendar,
            timeframe: self.timeframe,
            slice: self.slice,
            by_interest: self.by_interest,
            priority: 0,
            failures: self.failures,
        }
    }
}

/// What a run brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome<'a> {
    pub run: &'a ClaimedRun,
    /// The part of the slice that the provider answered for. `None`: nothing of it could be asked for yet.
    pub answered: Option<Range>,
    pub rows: u64,
    /// Requests that are this run's to count: of a pack the first run has them all.
    pub requests: u32,
}

/// How a run that brought nothing goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub code: &'static str,
    pub message: String,
    pub retry_after: Duration,
    /// The provider or its answer is to blame: five of these end the run.
    pub counts: bool,
    /// No use in trying again.
    pub terminal: bool,
    pub requests: u32,
}

/// Slices to be queued for a definition, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slices<'a> {
    pub definition: &'a Definition,
    pub slices: Vec<Range>,
    pub triggered_by: &'a str,
}

/// Queues slices, less what is queued, running or lately failed. Returns how many rows it made.
///
/// # Errors
/// Where the database refuses or is gone.
pub async fn enqueue(tx: &mut ServiceTx, wanted: &[Slices<'_>]) -> Result<u64, StoreError> {
    let slices = wanted.iter().map(|w| {
        w.slices.iter().map(|s| serde_json::json!({ "from": s.from(), "to": s.to() })).collect::<serde_json::Value>()
    });
    // In the order in which series are locked.
    let queued: i64 = query_scalar(
        "select coalesce(sum((
            select e.inserted_count
            from public.enqueue_job_slices(w.id, w.symbol, w.timeframe, barkeep.job_type(w.timeframe), w.slices, w.by) e
        )), 0)
        from (
            select * from unnest($1::uuid[], $2::text[], $3::text[], $4::jsonb[], $5::text[])
                as u (id, symbol, timeframe, slices, by)
            order by u.symbol, u.timeframe
        ) w",
    )
    .bind(wanted.iter().map(|w| w.definition.id).collect::<Vec<_>>())
    .bind(wanted.iter().map(|w| w.definition.ticker.as_str()).collect::<Vec<_>>())
    .bind(wanted.iter().map(|w| w.definition.timeframe.as_str()).collect::<Vec<_>>())
    .bind(slices.collect::<Vec<_>>())
    .bind(wanted.iter().map(|w| w.triggered_by).collect::<Vec<_>>())
    .fetch_one(&mut **tx)
    .await?;
    Ok(u64::try_from(queued).unwrap_or(0))
}

/// Claims runs for `worker`, to be fetched together: the next by `order`, and of what could go along with it what
/// `choose` says. It gets the next run first, then the others, the likeliest first; empty where nothing is queued.
/// `tickers` narrows it to theirs, `only` to a class. Returns what was claimed, in the order chosen.
///
/// # Errors
/// Where the database is gone.
pub async fn claim_pack(
    database: &Database,
    worker: &str,
    lease: Duration,
    order: Order,
    tickers: Option<&[Ticker]>,
    only: Option<AssetClass>,
    choose: impl FnOnce(&[QueuedRun]) -> Vec<Uuid>,
) -> Result<Vec<ClaimedRun>, StoreError> {
    let tickers = tickers.map(|tickers| tickers.iter().map(Ticker::as_str).collect::<Vec<_>>());
    let (mut tx, rows) = 'found: {
        for by_interest in order.kinds() {
            // Each kind in a transaction of its own: who holds the turn of one must not wait for the other's.
            let mut tx = database.begin().await?;
            let rows = query(
                "select place, id, symbol, symbol_id, calendar, timeframe, slice_from, slice_to, by_interest, priority,
                    failures
                from barkeep.pack_candidates($1, $2, $3)",
            )
            .bind(by_interest)
            .bind(&tickers)
            .bind(only.map(|class| class == AssetClass::Crypto))
            .fetch_all(&mut *tx)
            .await?;
            if !rows.is_empty() {
                break 'found (tx, rows);
            }
        }
        return Ok(Vec::new());
    };
    let candidates = rows.iter().map(queued).collect::<Result<Vec<_>, _>>()?;
    let chosen = choose(&candidates);
    let rows = query("select id, worker, attempt from barkeep.claim_chosen($1, $2, $3)")
        .bind(worker)
        .bind(interval(lease))
        .bind(&chosen)
        .fetch_all(&mut *tx)
        .await?;
    tx.commit().await?;
    let mut claims = HashMap::new();
    for row in &rows {
        claims.insert(row.try_get::<Uuid, _>(0)?, (row.try_get::<String, _>(1)?, row.try_get::<i32, _>(2)?));
    }
    let candidates: HashMap<Uuid, QueuedRun> = candidates.into_iter().map(|run| (run.id, run)).collect();
    let claimed = |id: &Uuid| {
        let ((worker, attempt), run) = (claims.remove(id)?, candidates.get(id)?.clone());
        Some(ClaimedRun {
            id: run.id,
            worker,
            attempt,
            failures: run.failures,
            ticker: run.ticker,
            symbol_id: run.symbol_id,
            timeframe: run.timeframe,
            calendar: run.calendar,
            slice: run.slice,
            by_interest: run.by_interest,
        })
    };
    Ok(chosen.iter().filter_map(claimed).collect())
}

/// Every run that is queued now, in the order in which they would be claimed first, as the head's candidates. At most
/// `limit`.
///
/// # Errors
/// Where the database is gone.
pub async fn all_queued(database: &Database, limit: i64) -> Result<Vec<QueuedRun>, StoreError> {
    let mut tx = database.begin().await?;
    let rows = query(
        "select 'next', r.id, r.symbol, s.id, s.calendar, r.timeframe, r.slice_from, r.slice_to, r.by_interest,
            r.priority, r.failures
        from public.job_runs r
        join public.symbols s on s.ticker = r.symbol
        where r.status = 'queued'
        order by r.by_interest desc, r.rank_at, r.slice_to desc, r.id
        limit $1",
    )
    .bind(limit)
    .fetch_all(&mut *tx)
    .await?;
    rows.iter().map(queued).collect()
}

/// Renews the leases; returns the runs that this worker still has. The others went to somebody else, and what was fetched
/// for them is worth nothing any more.
///
/// # Errors
/// Where the database is gone.
pub async fn renew(database: &Database, runs: &[ClaimedRun], lease: Duration) -> Result<Vec<Uuid>, StoreError> {
    let Some(first) = runs.first() else { return Ok(Vec::new()) };
    let mut tx = database.begin().await?;
    let held = query_scalar("select barkeep.renew_leases($1, $2, $3, $4)")
        .bind(&first.worker)
        .bind(interval(lease))
        .bind(ids(runs))
        .bind(attempts(runs))
        .fetch_all(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(held)
}

/// Holds the runs until the transaction ends, to write what they brought: returns those that this worker still has. For
/// the others nothing may be written.
///
/// # Errors
/// Where the database is gone.
pub async fn hold(tx: &mut ServiceTx, runs: &[&ClaimedRun]) -> Result<Vec<Uuid>, StoreError> {
    let Some(first) = runs.first() else { return Ok(Vec::new()) };
    Ok(query_scalar("select barkeep.hold_runs($1, $2, $3)")
        .bind(&first.worker)
        .bind(runs.iter().map(|run| run.id).collect::<Vec<_>>())
        .bind(runs.iter().map(|run| run.attempt).collect::<Vec<_>>())
        .fetch_all(&mut **tx)
        .await?)
}

/// Ends the runs well and records what they cover, in the transaction that stored their bars.
///
/// `false`: one of them went to somebody else meanwhile; the caller rolls everything back.
///
/// # Errors
/// Where the database refuses or is gone.
pub async fn finish(tx: &mut ServiceTx, outcomes: &[Outcome<'_>], provenance: &str) -> Result<bool, StoreError> {
    let Some(first) = outcomes.first() else { return Ok(true) };
    // An empty range where nothing was answered: both ends the same.
    let answered = |end: fn(Range) -> jiff::Timestamp| {
        let ends = outcomes.iter().map(|o| Instant(o.answered.map_or(o.run.slice.from(), end)));
        ends.collect::<Vec<_>>()
    };
    Ok(query_scalar("select barkeep.finish_runs($1, $2, $3, $4, $5, $6, $7, $8)")
        .bind(&first.run.worker)
        .bind(outcomes.iter().map(|o| o.run.id).collect::<Vec<_>>())
        .bind(outcomes.iter().map(|o| o.run.attempt).collect::<Vec<_>>())
        .bind(answered(|range| range.from()))
        .bind(answered(|range| range.to()))
        .bind(outcomes.iter().map(|o| i64::try_from(o.rows).unwrap_or(i64::MAX)).collect::<Vec<_>>())
        .bind(outcomes.iter().map(|o| i32::try_from(o.requests).unwrap_or(i32::MAX)).collect::<Vec<_>>())
        .bind(provenance)
        .fetch_one(&mut **tx)
        .await?)
}

/// Puts the runs back, or ends them as failed. The first has the failure's requests to count. Returns how many this worker
/// still had.
///
/// # Errors
/// Where the database refuses or is gone.
pub async fn fail(database: &Database, runs: &[ClaimedRun], failure: &Failure) -> Result<u64, StoreError> {
    let Some(first) = runs.first() else { return Ok(0) };
    let mut tx = database.begin().await?;
    let held: i64 = query_scalar(
        "select count(*) filter (where barkeep.fail_run(
            u.id, $1, u.attempt, $4, $5, $6, $7, $8, case when u.n = 1 then $9 else 0 end
        ))
        from (
            select * from unnest($2::uuid[], $3::int[]) with ordinality as a (id, attempt, n) order by a.id
        ) u",
    )
    .bind(&first.worker)
    .bind(ids(runs))
    .bind(attempts(runs))
    .bind(failure.code)
    .bind(&failure.message)
    .bind(interval(failure.retry_after))
    .bind(failure.counts)
    .bind(failure.terminal)
    .bind(i32::try_from(failure.requests).unwrap_or(i32::MAX))
    .fetch_one(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(u64::try_from(held).unwrap_or(0))
}

fn ids(runs: &[ClaimedRun]) -> Vec<Uuid> {
    runs.iter().map(|run| run.id).collect()
}

fn attempts(runs: &[ClaimedRun]) -> Vec<i32> {
    runs.iter().map(|run| run.attempt).collect()
}

/// Cancels runs that this worker has, and makes their series due: planning sees anew what can be had.
///
/// # Errors
/// Where the database refuses or is gone.
pub async fn plan_again(database: &Database, runs: &[ClaimedRun]) -> Result<(), StoreError> {
    let mut tx = database.begin().await?;
    query(
        "with cancelled as (
            update public.job_runs r
            set status = 'cancelled', error_code = 'unavailable', error_message = 'no provider has all of it any more',
                worker = null, lease_until = null, finished_at = clock_timestamp(), updated_at = clock_timestamp()
            from (
                select h.id from public.job_runs h
                join unnest($1::uuid[], $2::text[], $3::int[]) as u (id, worker, attempt) on u.id = h.id
                where h.status = 'running' and h.worker = u.worker and h.attempt = u.attempt
                order by h.id
                for update of h
            ) held
            where r.id = held.id
            returning r.job_def_id
        )
        update public.job_definitions d set next_due_at = 'epoch'
        from (
            select c.id from public.job_definitions c
            where c.id in (select job_def_id from cancelled)
            order by c.id for no key update
        ) due
        where d.id = due.id",
    )
    .bind(ids(runs))
    .bind(runs.iter().map(|run| run.worker.as_str()).collect::<Vec<_>>())
    .bind(attempts(runs))
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(())
}

/// Frees the runs whose lease has ended, and those of workers whose name begins with `dead_workers`. Returns how many.
///
/// # Errors
/// Where the database is gone.
pub async fn release(database: &Database, dead_workers: Option<&str>) -> Result<i32, StoreError> {
    let mut tx = database.begin().await?;
    let freed = query_scalar("select barkeep.release_leases($1)").bind(dead_workers).fetch_one(&mut *tx).await?;
    tx.commit().await?;
    Ok(freed)
}

/// Queues failed runs again, for `tickers` or for all, where what they were to fetch is still missing and not under way.
/// Returns how many.
///
/// # Errors
/// Where the database is gone.
pub async fn retry_failed(database: &Database, tickers: Option<&[Ticker]>) -> Result<u64, StoreError> {
    let mut tx = database.begin().await?;
    let queued: i32 = query_scalar("select barkeep.retry_failed($1)")
        .bind(tickers.map(|tickers| tickers.iter().map(Ticker::as_str).collect::<Vec<_>>()))
        .fetch_one(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(u64::try_from(queued).unwrap_or(0))
}

/// Lets runs that wait for better credentials go at once: whoever starts may bring them. Returns how many.
///
/// # Errors
/// Where the database is gone.
pub async fn try_credentials_again(database: &Database) -> Result<u64, StoreError> {
    let mut tx = database.begin().await?;
    let freed = query(
        "update public.job_runs
        set run_after = clock_timestamp(), error_code = null, error_message = null, updated_at = clock_timestamp()
        where status = 'queued' and error_code = 'credentials'",
    )
    .execute(&mut *tx)
    .await?
    .rows_affected();
    tx.commit().await?;
    Ok(freed)
}

/// Queues failed runs again whose time has come: five minutes after the provider failed, a day after it refused. Returns
/// how many.
///
/// # Errors
/// Where the database is gone.
pub async fn readmit_failed(database: &Database) -> Result<i32, StoreError> {
    let mut tx = database.begin().await?;
    let queued = query_scalar("select barkeep.readmit_failed()").fetch_one(&mut *tx).await?;
    tx.commit().await?;
    Ok(queued)
}

fn queued(row: &PgRow) -> Result<QueuedRun, StoreError> {
    Ok(QueuedRun {
        place: match row.try_get(0)? {
            "head" => Place::Head,
            "own" => Place::Own,
            "alike" => Place::Alike,
            _ => Place::Next,
        },
        id: row.try_get(1)?,
        ticker: parsed(row, 2)?,
        symbol_id: row.try_get(3)?,
        calendar: parsed(row, 4)?,
        timeframe: parsed(row, 5)?,
        slice: range(row, 6)?,
        by_interest: row.try_get(8)?,
        priority: row.try_get(9)?,
        failures: row.try_get(10)?,
    })
}
