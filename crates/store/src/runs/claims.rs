//! Claims and leases.

use std::{collections::HashMap, time::Duration};

use market::{AssetClass, Ticker};
use sqlx::Row;
use uuid::Uuid;

use super::{ClaimedRun, Order, QueuedRun, attempts, ids, queued};
use crate::{
    Database, ServiceTx, StoreError,
    statement::{interval, query, query_scalar},
};

/// Claims runs for `worker` to fetch with one request: the next by `order`, and of the other candidates those that
/// `choose` returns. It gets the next run first, then the others, the most suitable first; or nothing if the queue is
/// empty. `tickers` restricts it to their runs, `only` to a class. Returns the claimed runs, in the chosen order.
///
/// # Errors
/// If the database is unreachable.
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
            // Foreground and background in separate transactions, so that one does not wait for the other's lock.
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

/// Renews the leases; returns the runs that this worker still holds. The others went to other workers, and their
/// fetched bars must not be stored.
///
/// # Errors
/// If the database is unreachable.
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

/// Locks the runs until the transaction ends, to write their bars: returns those that this worker still holds.
/// Nothing may be written for the others.
///
/// # Errors
/// If the database is unreachable.
pub async fn lock(tx: &mut ServiceTx, runs: &[&ClaimedRun]) -> Result<Vec<Uuid>, StoreError> {
    let Some(first) = runs.first() else { return Ok(Vec::new()) };
    Ok(query_scalar("select barkeep.lock_runs($1, $2, $3)")
        .bind(&first.worker)
        .bind(runs.iter().map(|run| run.id).collect::<Vec<_>>())
        .bind(runs.iter().map(|run| run.attempt).collect::<Vec<_>>())
        .fetch_all(&mut **tx)
        .await?)
}

/// Requeues the runs whose lease ran out, and those of workers whose name begins with `dead_workers`. Returns their
/// number.
///
/// # Errors
/// If the database is unreachable.
pub async fn release(database: &Database, dead_workers: Option<&str>) -> Result<i32, StoreError> {
    let mut tx = database.begin().await?;
    let freed = query_scalar("select barkeep.release_leases($1)").bind(dead_workers).fetch_one(&mut *tx).await?;
    tx.commit().await?;
    Ok(freed)
}

/// Makes runs that wait for better credentials claimable now: a process that starts may have them. Returns their
/// number.
///
/// # Errors
/// If the database is unreachable.
pub async fn retry_waiting(database: &Database) -> Result<u64, StoreError> {
    let mut tx = database.begin().await?;
    let freed = query(
        "update public.job_runs
        set run_after = clock_timestamp(), error_code = null, error_message = null, updated_at = clock_timestamp()
        where status = 'queued' and error_code in ('credentials', 'postponed')",
    )
    .execute(&mut *tx)
    .await?
    .rows_affected();
    tx.commit().await?;
    Ok(freed)
}
