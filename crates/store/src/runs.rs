//! The queue: slices in, claims out, outcomes fenced.
//!
//! A claim is a lease. Whoever lets it run out can no longer write: every outcome names worker and attempt, and is
//! refused where they aren't the current ones.

use std::time::Duration;

use market::{Calendar, Range, Ticker, Timeframe};
use sqlx::{
    Row,
    postgres::{PgRow, types::PgInterval},
};
use uuid::Uuid;

use crate::{
    Database, ServiceTx, StoreError,
    definitions::Definition,
    instant::Instant,
    row::{parsed, range},
    statement::{query, query_scalar},
};

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

/// Queues slices of a definition, less what is queued, running or lately failed. Returns how many rows it made.
///
/// # Errors
/// Where the database refuses or is gone.
pub async fn enqueue(
    tx: &mut ServiceTx,
    definition: &Definition,
    slices: &[Range],
    triggered_by: &str,
) -> Result<i32, StoreError> {
    let slices: Vec<_> = slices.iter().map(|s| serde_json::json!({ "from": s.from(), "to": s.to() })).collect();
    Ok(query_scalar("select inserted_count from public.enqueue_job_slices($1, $2, $3, barkeep.job_type($3), $4, $5)")
        .bind(definition.id)
        .bind(definition.ticker.as_str())
        .bind(definition.timeframe.as_str())
        .bind(serde_json::Value::from(slices))
        .bind(triggered_by)
        .fetch_one(&mut **tx)
        .await?)
}

/// Claims the next run for `worker`: by interest first, or background work first for the slot that is kept for it.
/// `tickers` narrows it to theirs.
///
/// # Errors
/// Where the database is gone.
pub async fn claim(
    database: &Database,
    worker: &str,
    lease: Duration,
    background_first: bool,
    tickers: Option<&[Ticker]>,
) -> Result<Option<ClaimedRun>, StoreError> {
    let mut tx = database.begin().await?;
    let row = query(
        "select r.id, r.worker, r.attempt, r.failures, r.symbol, s.id, r.timeframe, s.calendar, r.slice_from, r.slice_to
        from barkeep.claim_runs($1, 1, $2, $3, $4) r
        join public.symbols s on s.ticker = r.symbol",
    )
    .bind(worker)
    .bind(interval(lease))
    .bind(background_first)
    .bind(tickers.map(|tickers| tickers.iter().map(Ticker::as_str).collect::<Vec<_>>()))
    .fetch_optional(&mut *tx)
    .await?;
    let run = row.as_ref().map(claimed).transpose()?;
    tx.commit().await?;
    Ok(run)
}

/// Renews the lease. `false`: it went to another meanwhile, and what was fetched is worth nothing any more.
///
/// # Errors
/// Where the database is gone.
pub async fn renew(database: &Database, run: &ClaimedRun, lease: Duration) -> Result<bool, StoreError> {
    let mut tx = database.begin().await?;
    let renewed = query(
        "update public.job_runs
        set lease_until = clock_timestamp() + $4, updated_at = clock_timestamp()
        where id = $1 and worker = $2 and attempt = $3 and status = 'running' and lease_until > clock_timestamp()",
    )
    .bind(run.id)
    .bind(&run.worker)
    .bind(run.attempt)
    .bind(interval(lease))
    .execute(&mut *tx)
    .await?
    .rows_affected();
    tx.commit().await?;
    Ok(renewed == 1)
}

/// Ends the run well and records what it covers, in the transaction that stored its bars. `answered`: the part of the
/// slice that the provider answered for.
///
/// `false`: the lease went to another meanwhile; the caller rolls back the bars written with it.
///
/// # Errors
/// Where the database refuses or is gone.
pub async fn finish(
    tx: &mut ServiceTx,
    run: &ClaimedRun,
    answered: Option<Range>,
    rows: u64,
    provenance: &str,
    requests: u32,
) -> Result<bool, StoreError> {
    Ok(query_scalar("select barkeep.finish_run($1, $2, $3, tstzrange($4, $5), $6, $7, $8)")
        .bind(run.id)
        .bind(&run.worker)
        .bind(run.attempt)
        // An empty range where nothing was answered: both ends the same.
        .bind(Instant(answered.map_or(run.slice.from(), |a| a.from())))
        .bind(Instant(answered.map_or(run.slice.from(), |a| a.to())))
        .bind(i64::try_from(rows).unwrap_or(i64::MAX))
        .bind(provenance)
        .bind(i32::try_from(requests).unwrap_or(i32::MAX))
        .fetch_one(&mut **tx)
        .await?)
}

/// Puts the run back, or ends it as failed. `false`: the lease went to another meanwhile.
///
/// # Errors
/// Where the database refuses or is gone.
pub async fn fail(database: &Database, run: &ClaimedRun, failure: &Failure) -> Result<bool, StoreError> {
    let mut tx = database.begin().await?;
    let held = query_scalar("select barkeep.fail_run($1, $2, $3, $4, $5, $6, $7, $8, $9)")
        .bind(run.id)
        .bind(&run.worker)
        .bind(run.attempt)
        .bind(failure.code)
        .bind(&failure.message)
        .bind(interval(failure.retry_after))
        .bind(failure.counts)
        .bind(failure.terminal)
        .bind(i32::try_from(failure.requests).unwrap_or(i32::MAX))
        .fetch_one(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(held)
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

/// The state of the queue for some symbols.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    pub queued: i64,
    pub running: i64,
    /// Ended since the given instant.
    pub succeeded: i64,
    pub failed: i64,
    pub rows: i64,
    pub requests: i64,
    /// Why the first queued run waits, where something went wrong before.
    pub waiting_for: Option<String>,
    /// The provider has refused our credentials since then.
    pub refused: bool,
}

/// How the runs of `tickers` stand; of ended ones those that ended at `since` (wall time) or later.
///
/// # Errors
/// Where the database is gone.
pub async fn progress(database: &Database, tickers: &[Ticker], since: jiff::Timestamp) -> Result<Progress, StoreError> {
    let mut tx = database.begin().await?;
    let row = query(
        "select count(*) filter (where status = 'queued'),
            count(*) filter (where status = 'running'),
            count(*) filter (where status = 'success' and finished_at >= $2),
            count(*) filter (where status = 'failed' and finished_at >= $2),
            coalesce(sum(rows_written) filter (where finished_at >= $2), 0)::bigint,
            coalesce(sum(requests) filter (where updated_at >= $2), 0)::bigint,
            max(error_message) filter (where status = 'queued' and updated_at >= $2),
            coalesce(bool_or(status = 'queued' and error_code = 'credentials' and updated_at >= $2), false)
        from public.job_runs
        where symbol = any ($1) and (status in ('queued', 'running') or updated_at >= $2)",
    )
    .bind(tickers.iter().map(Ticker::as_str).collect::<Vec<_>>())
    .bind(Instant(since))
    .fetch_one(&mut *tx)
    .await?;
    Ok(Progress {
        queued: row.try_get(0)?,
        running: row.try_get(1)?,
        succeeded: row.try_get(2)?,
        failed: row.try_get(3)?,
        rows: row.try_get(4)?,
        requests: row.try_get(5)?,
        waiting_for: row.try_get(6)?,
        refused: row.try_get(7)?,
    })
}

fn claimed(row: &PgRow) -> Result<ClaimedRun, StoreError> {
    Ok(ClaimedRun {
        id: row.try_get(0)?,
        worker: row.try_get(1)?,
        attempt: row.try_get(2)?,
        failures: row.try_get(3)?,
        ticker: parsed(row, 4)?,
        symbol_id: row.try_get(5)?,
        timeframe: parsed(row, 6)?,
        calendar: parsed(row, 7)?,
        slice: range(row, 8)?,
    })
}

fn interval(duration: Duration) -> PgInterval {
    PgInterval { months: 0, days: 0, microseconds: i64::try_from(duration.as_micros()).unwrap_or(i64::MAX) }
}
