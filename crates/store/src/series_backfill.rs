//! The backfill of one series: what is missing, and what is queued for it.

use jiff::Timestamp;
use market::{Ticker, Timeframe};
use sqlx::Row;
use uuid::Uuid;

use crate::{Database, StoreError, row::instant_or_none, statement::query};

#[derive(Clone, Debug, PartialEq)]
pub struct SeriesBackfill {
    pub definition: Uuid,
    pub suspended: bool,
    /// Covered from and to, market time; `None` if nothing is.
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    pub last_success_at: Option<Timestamp>,
    /// Gaps in the requested window.
    pub gaps: i64,
    pub queued: i64,
    pub running: i64,
    pub failed: i64,
    /// Successful runs within the last day.
    pub succeeded: i64,
    pub rows: i64,
}

/// The series as visible to `user`, who tracks it; gaps of the last `window_days`, within its window. `None`: there
/// is no such definition.
///
/// # Errors
/// If the database is unreachable or not migrated.
pub async fn for_series(
    database: &Database,
    user: Uuid,
    ticker: &Ticker,
    timeframe: Timeframe,
    window_days: i32,
) -> Result<Option<SeriesBackfill>, StoreError> {
    let mut tx = database.begin_as(user).await?.0;
    let row = query(
        "select d.id, d.suspended_at is not null, c.from_ts, c.to_ts, c.last_success_at,
            (select count(*) from public.get_coverage_gaps(d.symbol, d.timeframe, least($3, d.window_days))),
            r.queued, r.running, r.failed, r.succeeded, r.rows
        from public.job_definitions d
        left join public.coverage_status c on c.symbol = d.symbol and c.timeframe = d.timeframe
        cross join lateral (
            select count(*) filter (where j.status = 'queued') as queued,
                count(*) filter (where j.status = 'running') as running,
                count(*) filter (where j.status = 'failed') as failed,
                count(*) filter (where j.status = 'success') as succeeded,
                coalesce(sum(j.rows_written), 0)::bigint as rows
            from public.job_runs j
            where j.job_def_id = d.id
                and (j.status in ('queued', 'running', 'failed')
                    or (j.status = 'success' and j.finished_at > now() - interval '1 day'))
        ) r
        where d.symbol = $1 and d.timeframe = $2 and d.job_type = barkeep.job_type($2)",
    )
    .bind(ticker.as_str())
    .bind(timeframe.as_str())
    .bind(window_days)
    .fetch_optional(&mut *tx)
    .await?;
    row.map(|row| {
        Ok(SeriesBackfill {
            definition: row.try_get(0)?,
            suspended: row.try_get(1)?,
            from: instant_or_none(&row, 2)?,
            to: instant_or_none(&row, 3)?,
            last_success_at: instant_or_none(&row, 4)?,
            gaps: row.try_get(5)?,
            queued: row.try_get(6)?,
            running: row.try_get(7)?,
            failed: row.try_get(8)?,
            succeeded: row.try_get(9)?,
            rows: row.try_get(10)?,
        })
    })
    .transpose()
}
