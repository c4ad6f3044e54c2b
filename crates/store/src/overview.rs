//! The work as users see it: runs, totals, gaps, and each user's watchlist.

use jiff::Timestamp;
use market::{Range, Ticker, Timeframe};
use serde::Serialize;
use sqlx::{Row, postgres::PgRow};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    Database, ServiceTx, StoreError,
    row::{instant, instant_or_none, parsed, range},
    statement::{query, query_scalar},
};

/// A run as shown to users. Instants are UTC wall time, except for the slice, which is market time.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Run {
    pub id: Uuid,
    #[schema(value_type = String)]
    pub symbol: Ticker,
    #[schema(value_type = String)]
    pub timeframe: Timeframe,
    pub job_type: String,
    #[schema(value_type = String, format = DateTime)]
    pub slice_from: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub slice_to: Timestamp,
    /// `queued`, `running`, `success`, `failed` or `cancelled`.
    pub status: String,
    pub progress_percent: i32,
    pub rows_written: i64,
    pub provider: Option<String>,
    /// How often it was claimed, and how often the provider failed.
    pub attempt: i32,
    pub failures: i32,
    pub error_code: Option<String>,
    pub error_message: Option<String>,
    /// `interest`, `schedule`, or the caller that queued it.
    pub triggered_by: String,
    pub priority: i32,
    pub by_interest: bool,
    /// The run is not claimed before this.
    #[schema(value_type = String, format = DateTime)]
    pub run_after: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub finished_at: Option<Timestamp>,
}

/// Which runs to return.
#[derive(Clone, Debug, Default)]
pub struct RunFilter<'a> {
    /// All if empty.
    pub statuses: &'a [&'a str],
    pub tickers: Option<&'a [Ticker]>,
    /// At most this many; the default is none.
    pub limit: i64,
}

/// The runs visible to `user`, or all for the service: queued ones in the order of the queue, others the latest
/// first.
///
/// # Errors
/// If the database is unreachable or not migrated.
pub async fn runs(database: &Database, user: Option<Uuid>, which: &RunFilter<'_>) -> Result<Vec<Run>, StoreError> {
    let mut tx = begin(database, user).await?;
    let rows = query(
        "select id, symbol, timeframe, job_type, slice_from, slice_to, status, progress_percent, rows_written, provider,
            attempt, failures, error_code, error_message, triggered_by, priority, by_interest, run_after, created_at,
            started_at, finished_at
        from public.job_runs
        where (cardinality($1::text[]) = 0 or status = any ($1)) and ($2::text[] is null or symbol = any ($2))
        order by status = 'running' desc, status = 'queued' desc,
            case when status = 'queued' then by_interest end desc, case when status = 'queued' then rank_at end,
            case when status = 'queued' then slice_to end desc,
            coalesce(finished_at, started_at, created_at) desc, id
        limit $3",
    )
    .bind(which.statuses)
    .bind(names(which.tickers))
    .bind(which.limit)
    .fetch_all(&mut *tx)
    .await?;
    rows.iter().map(run).collect()
}

/// Totals of the queue.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Totals {
    pub queued: i64,
    /// Those of the foreground.
    pub queued_by_interest: i64,
    pub running: i64,
    pub failed: i64,
    /// Ended within the last hour.
    pub success_last_hour: i64,
    pub failed_last_hour: i64,
    pub rows_last_hour: i64,
    /// When the longest waiting foreground run was queued.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub waiting_since: Option<Timestamp>,
    /// Running runs whose lease ran out: their worker is dead.
    pub lost: i64,
    /// Enabled series, and those of them that are due for planning.
    pub series: i64,
    pub due: i64,
    pub suspended: i64,
}

/// The totals of what is visible to `user`, or of all for the service.
///
/// # Errors
/// If the database is unreachable or not migrated.
pub async fn totals(database: &Database, user: Option<Uuid>) -> Result<Totals, StoreError> {
    let mut tx = begin(database, user).await?;
    let row = query(
        "with open as (
            select count(*) filter (where status = 'queued') as queued,
                count(*) filter (where status = 'queued' and by_interest) as asked,
                count(*) filter (where status = 'running') as running,
                count(*) filter (where status = 'failed') as failed,
                min(created_at) filter (where status = 'queued' and by_interest) as waiting_since,
                count(*) filter (where status = 'running' and lease_until < now()) as lost
            from public.job_runs
            where status in ('queued', 'running', 'failed')
        ),
        ended as (
            select count(*) filter (where status = 'success') as success,
                count(*) filter (where status = 'failed') as failed,
                coalesce(sum(rows_written), 0)::bigint as rows
            from public.job_runs
            where status in ('success', 'failed') and finished_at > now() - interval '1 hour'
        ),
        series as (
            select count(*) filter (where enabled and suspended_at is null) as kept,
                count(*) filter (where enabled and suspended_at is null and next_due_at <= barkeep.market_now()) as due,
                count(*) filter (where suspended_at is not null) as suspended
            from public.job_definitions
        )
        select o.queued, o.asked, o.running, o.failed, e.success, e.failed, e.rows, o.waiting_since, o.lost, s.kept, s.due,
            s.suspended
        from open o, ended e, series s",
    )
    .fetch_one(&mut *tx)
    .await?;
    Ok(Totals {
        queued: row.try_get(0)?,
        queued_by_interest: row.try_get(1)?,
        running: row.try_get(2)?,
        failed: row.try_get(3)?,
        success_last_hour: row.try_get(4)?,
        failed_last_hour: row.try_get(5)?,
        rows_last_hour: row.try_get(6)?,
        waiting_since: instant_or_none(&row, 7)?,
        lost: row.try_get(8)?,
        series: row.try_get(9)?,
        due: row.try_get(10)?,
        suspended: row.try_get(11)?,
    })
}

/// How many runs were claimed at `since` (wall time) or later.
///
/// # Errors
/// If the database is unreachable or not migrated.
pub async fn claimed_since(database: &Database, since: Timestamp) -> Result<i64, StoreError> {
    let mut tx = database.begin().await?;
    Ok(query_scalar("select count(*) from public.job_runs where started_at >= $1")
        .bind(crate::instant::Instant(since))
        .fetch_one(&mut *tx)
        .await?)
}

/// Half-open, as JSON.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the shape of a range in the API's description")]
struct Span {
    #[schema(value_type = String, format = DateTime)]
    from: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    to: Timestamp,
}

/// A gap of a series, in market time.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Gap {
    #[schema(value_type = String)]
    pub symbol: Ticker,
    #[schema(value_type = String)]
    pub timeframe: Timeframe,
    #[serde(flatten)]
    #[schema(value_type = Span)]
    pub range: Range,
    /// Hours of open sessions in it.
    pub hours: f64,
    /// Bars that the calendar expects in it.
    pub bars: i64,
    /// What is queued or running for it, or why nothing is.
    pub state: String,
    pub reason: Option<String>,
}

/// The gaps of all enabled series, or of those of `tickers`, at most `limit`.
///
/// # Errors
/// If the database is unreachable, or its sessions don't reach that far.
pub async fn gaps(database: &Database, tickers: Option<&[Ticker]>, limit: i64) -> Result<Vec<Gap>, StoreError> {
    let mut tx = database.begin().await?;
    let rows = query(
        "select d.symbol, d.timeframe, g.gap_from, g.gap_to, g.gap_hours::float8,
            barkeep.expected_bars(s.calendar, d.timeframe, g.gap_from, g.gap_to),
            case
                when d.suspended_at is not null then 'suspended'
                when r.running > 0 then 'running'
                when r.queued > 0 then 'queued'
                when r.failed > 0 then 'failed'
                else 'not queued'
            end,
            coalesce(d.suspended_reason, r.error_message)
        from public.job_definitions d
        join public.symbols s on s.ticker = d.symbol
        cross join lateral public.get_coverage_gaps(d.symbol, d.timeframe, d.window_days) g
        cross join lateral (
            select count(*) filter (where j.status = 'running') as running,
                count(*) filter (where j.status = 'queued') as queued,
                count(*) filter (where j.status = 'failed') as failed,
                max(j.error_message) as error_message
            from public.job_runs j
            where j.job_def_id = d.id and j.status in ('queued', 'running', 'failed')
                and j.slice_from < g.gap_to and j.slice_to > g.gap_from
        ) r
        where d.enabled and ($1::text[] is null or d.symbol = any ($1))
        order by d.symbol, d.timeframe, g.gap_from
        limit $2",
    )
    .bind(names(tickers))
    .bind(limit)
    .fetch_all(&mut *tx)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Gap {
                symbol: parsed(row, 0)?,
                timeframe: parsed(row, 1)?,
                range: range(row, 2)?,
                hours: row.try_get(4)?,
                bars: row.try_get(5)?,
                state: row.try_get(6)?,
                reason: row.try_get(7)?,
            })
        })
        .collect()
}

/// A symbol on a user's watchlist.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Watched {
    #[schema(value_type = String)]
    pub symbol: Ticker,
    pub name: String,
    pub asset_type: String,
    #[schema(value_type = Vec<String>)]
    pub timeframes: Vec<Timeframe>,
    #[schema(value_type = String, format = DateTime)]
    pub added_at: Timestamp,
}

/// The user's watchlist, in its order.
///
/// # Errors
/// If the database is unreachable or not migrated.
pub async fn watchlist(database: &Database, user: Uuid) -> Result<Vec<Watched>, StoreError> {
    let mut tx = database.begin_as(user).await?.0;
    let rows = query(
        "select s.ticker, s.description, s.asset_type,
            (select jsonb_agg(f.f order by f.n) from (
                select k.f, k.n from unnest('{m1,m5,m15,m30,h1,h4,d1,w1}'::text[]) with ordinality as k (f, n)
                where k.f = any (t.timeframes)
            ) f),
            t.created_at
        from public.user_symbol_tracking t
        join public.symbols s on s.id = t.symbol_id
        where t.source = 'watchlist' and t.user_id = $1
        order by t.created_at, s.ticker",
    )
    .bind(user)
    .fetch_all(&mut *tx)
    .await?;
    rows.iter()
        .map(|row| {
            let sqlx::types::Json(timeframes): sqlx::types::Json<Vec<Timeframe>> = row.try_get(3)?;
            Ok(Watched {
                symbol: parsed(row, 0)?,
                name: row.try_get(1)?,
                asset_type: row.try_get(2)?,
                timeframes,
                added_at: instant(row, 4)?,
            })
        })
        .collect()
}

/// The user's searches that have not expired, the latest first.
///
/// # Errors
/// If the database is unreachable or not migrated.
pub async fn recent_searches(database: &Database, user: Uuid, limit: i64) -> Result<Vec<Ticker>, StoreError> {
    let mut tx = database.begin_as(user).await?.0;
    let rows = query(
        "select s.ticker
        from public.user_symbol_tracking t
        join public.symbols s on s.id = t.symbol_id
        where t.user_id = $1 and t.source = 'recent_search'
        order by t.updated_at desc, s.ticker
        limit $2",
    )
    .bind(user)
    .bind(limit)
    .fetch_all(&mut *tx)
    .await?;
    rows.iter().map(|row| parsed(row, 0)).collect()
}

/// Successful runs per minute, of those visible to `user`: over the last five minutes, or over as many of them as
/// there was work in.
///
/// # Errors
/// If the database is unreachable or not migrated.
pub async fn pace(database: &Database, user: Uuid) -> Result<f64, StoreError> {
    let mut tx = database.begin_as(user).await?.0;
    Ok(query_scalar(
        "select coalesce(count(*) * 60.0 / greatest(extract(epoch from now() - min(r.started_at)), 1.0), 0)::float8
        from public.job_runs r
        where r.status = 'success' and r.finished_at > now() - interval '5 minutes'",
    )
    .fetch_one(&mut *tx)
    .await?)
}

/// Everything that the user tracks, from any source, by name.
///
/// # Errors
/// If the database is unreachable or not migrated.
pub async fn tracked(database: &Database, user: Uuid) -> Result<Vec<Ticker>, StoreError> {
    let mut tx = database.begin_as(user).await?.0;
    let rows = query(
        "select distinct s.ticker
        from public.user_symbol_tracking t
        join public.symbols s on s.id = t.symbol_id
        where t.user_id = $1
        order by s.ticker",
    )
    .bind(user)
    .fetch_all(&mut *tx)
    .await?;
    rows.iter().map(|row| parsed(row, 0)).collect()
}

/// Those of `tickers` that have a definition.
///
/// # Errors
/// If the database is unreachable or not migrated.
pub async fn kept(database: &Database, tickers: &[Ticker]) -> Result<Vec<Ticker>, StoreError> {
    let mut tx = database.begin().await?;
    let rows = query("select distinct symbol from public.job_definitions where symbol = any ($1)")
        .bind(names(Some(tickers)))
        .fetch_all(&mut *tx)
        .await?;
    rows.iter().map(|row| parsed(row, 0)).collect()
}

async fn begin(database: &Database, user: Option<Uuid>) -> Result<ServiceTx, StoreError> {
    match user {
        Some(user) => Ok(database.begin_as(user).await?.0),
        None => database.begin().await,
    }
}

fn names(tickers: Option<&[Ticker]>) -> Option<Vec<&str>> {
    tickers.map(|tickers| tickers.iter().map(Ticker::as_str).collect())
}

fn run(row: &PgRow) -> Result<Run, StoreError> {
    Ok(Run {
        id: row.try_get(0)?,
        symbol: parsed(row, 1)?,
        timeframe: parsed(row, 2)?,
        job_type: row.try_get(3)?,
        slice_from: instant(row, 4)?,
        slice_to: instant(row, 5)?,
        status: row.try_get(6)?,
        progress_percent: row.try_get(7)?,
        rows_written: row.try_get(8)?,
        provider: row.try_get(9)?,
        attempt: row.try_get(10)?,
        failures: row.try_get(11)?,
        error_code: row.try_get(12)?,
        error_message: row.try_get(13)?,
        triggered_by: row.try_get(14)?,
        priority: row.try_get(15)?,
        by_interest: row.try_get(16)?,
        run_after: instant(row, 17)?,
        created_at: instant(row, 18)?,
        started_at: instant_or_none(row, 19)?,
        finished_at: instant_or_none(row, 20)?,
    })
}
