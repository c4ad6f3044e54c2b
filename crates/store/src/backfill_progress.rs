//! The progress of some symbols' runs, as a backfill shows it.

use market::Ticker;
use sqlx::Row;

use crate::{Database, StoreError, instant::Instant, statement::query};

/// The state of the queue for some symbols.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    pub queued: i64,
    /// Of those, the ones whose bars can't be used before a later time: nothing is to be waited for.
    pub postponed: i64,
    pub running: i64,
    /// Ended at the given instant or later.
    pub succeeded: i64,
    pub failed: i64,
    pub rows: i64,
    pub requests: i64,
    /// The last error of the first queued run, if it had one.
    pub waiting_for: Option<String>,
    /// The provider has rejected the credentials at the given instant or later.
    pub refused: bool,
}

/// The state of the runs of `tickers`; ended runs count if they ended at `since` (wall time) or later.
///
/// # Errors
/// If the database is unreachable.
pub async fn for_symbols(
    database: &Database,
    tickers: &[Ticker],
    since: jiff::Timestamp,
) -> Result<Progress, StoreError> {
    let mut tx = database.begin().await?;
    let row = query(
        "select count(*) filter (where status = 'queued'),
            count(*) filter (where status = 'running'),
            count(*) filter (where status = 'success' and finished_at >= $2),
            count(*) filter (where status = 'failed' and finished_at >= $2),
            coalesce(sum(rows_written) filter (where finished_at >= $2), 0)::bigint,
            coalesce(sum(requests) filter (where updated_at >= $2), 0)::bigint,
            max(error_message) filter (where status = 'queued' and updated_at >= $2),
            coalesce(bool_or(status = 'queued' and error_code = 'credentials' and updated_at >= $2), false),
            count(*) filter (where status = 'queued' and error_code = 'postponed' and run_after > clock_timestamp())
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
        postponed: row.try_get(8)?,
    })
}
