//! Outcomes of runs, and retries of failed ones.

use market::{Range, Ticker};
use uuid::Uuid;

use super::{Blame, ClaimedRun, Failure, Outcome, attempts, ids};
use crate::{
    Database, ServiceTx, StoreError,
    definitions::{Which, due_now},
    instant::Instant,
    statement::{interval, query_scalar},
};

/// Marks the runs as successful and records what they cover, in the transaction that stored their bars.
///
/// `false`: one of them went to another worker meanwhile; the caller must roll back.
///
/// # Errors
/// If the database rejects the statement or is unreachable.
pub async fn finish(tx: &mut ServiceTx, outcomes: &[Outcome<'_>], provenance: &str) -> Result<bool, StoreError> {
    let Some(first) = outcomes.first() else { return Ok(true) };
    // An empty range, with equal ends, if nothing is covered.
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

/// Records a failure of the runs: they are requeued or, if it was their last try, end as failed. The failure's
/// requests are counted with the first. Returns how many of the runs this worker still held.
///
/// # Errors
/// If the database rejects the statement or is unreachable.
pub async fn record_failure(database: &Database, runs: &[ClaimedRun], failure: &Failure) -> Result<u64, StoreError> {
    let Some(first) = runs.first() else { return Ok(0) };
    let mut tx = database.begin().await?;
    let held: i64 = query_scalar(
        "select count(*) filter (where barkeep.record_failure(
            u.id, $1, u.attempt, $4, $5, $6, $7, $8, $9, $10, case when u.n = 1 then $11 else 0 end
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
    .bind(failure.blame == Blame::Request)
    .bind(match &failure.blame {
        Blame::Unanswered { account, .. } => Some(account),
        Blame::Nobody | Blame::Request => None,
    })
    .bind(matches!(failure.blame, Blame::Unanswered { in_part: true, .. }))
    .bind(failure.terminal)
    .bind(i32::try_from(failure.requests).unwrap_or(i32::MAX))
    .fetch_one(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(u64::try_from(held).unwrap_or(0))
}

/// Cancels runs that this worker holds, and makes their series due: planning determines again what is available.
///
/// # Errors
/// If the database rejects the statement or is unreachable.
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
    due_now(&mut tx, Which::These(&definitions), "no provider could supply the whole slice").await?;
    tx.commit().await?;
    Ok(())
}

/// Queues failed runs again, of `tickers` or all, if their slices are still missing and not queued or running.
/// Returns their number.
///
/// # Errors
/// If the database is unreachable.
pub async fn retry_failed(database: &Database, tickers: Option<&[Ticker]>) -> Result<u64, StoreError> {
    let mut tx = database.begin().await?;
    let queued: i32 = query_scalar("select barkeep.retry_failed($1)")
        .bind(tickers.map(|tickers| tickers.iter().map(Ticker::as_str).collect::<Vec<_>>()))
        .fetch_one(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(u64::try_from(queued).unwrap_or(0))
}

/// Queues failed runs again that are due for it: five minutes after a failure of the provider, a day after a refusal.
/// Returns their number.
///
/// # Errors
/// If the database is unreachable.
pub async fn readmit_failed(database: &Database) -> Result<i32, StoreError> {
    let mut tx = database.begin().await?;
    let queued = query_scalar("select barkeep.readmit_failed()").fetch_one(&mut *tx).await?;
    tx.commit().await?;
    Ok(queued)
}
