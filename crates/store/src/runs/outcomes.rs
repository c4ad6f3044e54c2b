//! How runs end, and how they come back.

use market::{Range, Ticker};
use uuid::Uuid;

use super::{ClaimedRun, Failure, Outcome, attempts, ids};
use crate::{
    Database, ServiceTx, StoreError,
    definitions::{Which, due_now},
    instant::Instant,
    statement::{interval, query_scalar},
};

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
        let ends = outcomes.iter().map(|o| Instant(o.covered.map_or(o.run.slice.from(), end)));
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

/// Notes a failure of the runs: they go back to the queue or, where it was the last that they are allowed, end as failed. The first has the failure's requests to count. Returns how many this worker
/// still had.
///
/// # Errors
/// Where the database refuses or is gone.
pub async fn record_failure(database: &Database, runs: &[ClaimedRun], failure: &Failure) -> Result<u64, StoreError> {
    let Some(first) = runs.first() else { return Ok(0) };
    let mut tx = database.begin().await?;
    let held: i64 = query_scalar(
        "select count(*) filter (where barkeep.record_failure(
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

/// Cancels runs that this worker has, and makes their series due: planning sees anew what can be had.
///
/// # Errors
/// Where the database refuses or is gone.
pub async fn plan_again(database: &Database, runs: &[ClaimedRun]) -> Result<(), StoreError> {
    let mut tx = database.begin().await?;
    let definitions: Vec<Uuid> = query_scalar(
        "update public.job_runs r
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
        returning r.job_def_id",
    )
    .bind(ids(runs))
    .bind(runs.iter().map(|run| run.worker.as_str()).collect::<Vec<_>>())
    .bind(attempts(runs))
    .fetch_all(&mut *tx)
    .await?;
    due_now(&mut tx, Which::These(&definitions), "no provider had all of it").await?;
    tx.commit().await?;
    Ok(())
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
