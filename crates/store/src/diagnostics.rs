//! What can be wrong with a database, as facts, for commands that tell users how to fix it.
//!
//! Out: [`Diagnostics`]. Each field covers a defect that a system of this kind has had. Changes nothing: trial calls
//! are rolled back.

use jiff::Timestamp;
use sqlx::Row;

use crate::{
    Database, StoreError, bars,
    row::{instant, instant_or_none},
    statement::{query, query_scalar},
};

/// Tables of the schema `public`.
const PUBLIC: [&str; 7] = [
    "public.symbols",
    "public.user_symbol_tracking",
    "public.job_definitions",
    "public.job_runs",
    "public.coverage_status",
    bars::TABLE,
    "public.orchestrator_heartbeat",
];

/// Findings about the database.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnostics {
    /// As reported by the server: `15.18`.
    pub server_version: String,
    /// The instant from which the market's clock runs; `None` on wall time.
    pub as_of: Option<Timestamp>,
    /// Triggers that are missing or disabled.
    pub triggers_missing: Vec<String>,
    pub symbols: i64,
    /// Tables without enabled and forced row level security.
    pub open_tables: Vec<String>,
    /// Tables that anonymous clients may write, or read although they shouldn't.
    pub anonymous_may: Vec<String>,
    /// Tracked series without a definition.
    pub definitions_missing: i64,
    /// Definitions whose priority differs from that of their highest live interest.
    pub wrong_priorities: i64,
    /// Queued runs whose rank differs from their definition's.
    pub wrong_ranks: i64,
    /// Pairs of queued or running slices of one series that overlap.
    pub overlaps: i64,
    /// Queued slices without a minute of an open session.
    pub slices_in_closed_hours: i64,
    /// Running runs whose lease ran out longer ago than it takes to requeue them.
    pub stale_runs: i64,
    /// Series with bars from before electronic trading, or from the future.
    pub series_out_of_time: i64,
    /// Series with bars that should have become final days ago.
    pub stale_provisional: i64,
    /// Functions used by external queries that fail, with the reason.
    pub broken_functions: Vec<String>,
    /// The end of the known sessions, of the calendar where it comes first.
    pub sessions_until: Option<Timestamp>,
    /// Whether `cron.job` lists the scheduler's job.
    pub schedule_shown: bool,
    /// Rows of interest, how many users they belong to, and when the last was added.
    pub tracking_rows: i64,
    pub tracking_users: i64,
    pub last_sync: Option<Timestamp>,
    /// Tracked symbols that no provider knows.
    pub unknown_symbols: Vec<String>,
    /// Quarantined bars.
    pub quarantined: i64,
}

/// The server's wall clock.
///
/// # Errors
/// If the database is unreachable.
pub async fn clock(database: &Database) -> Result<Timestamp, StoreError> {
    let mut tx = database.begin().await?;
    instant(&query("select clock_timestamp()").fetch_one(&mut *tx).await?, 0)
}

/// Runs all checks.
///
/// # Errors
/// If the database is unreachable or not migrated.
pub async fn collect(database: &Database) -> Result<Diagnostics, StoreError> {
    let broken_functions = broken_functions(database).await?;
    let mut tx = database.begin().await?;
    let names: Vec<String> = query_scalar(
        "select t.name from unnest(array['trigger_auto_create_jobs', 'trigger_auto_create_jobs_on_update',
            'trigger_auto_create_jobs_on_delete', 'job_runs_requeue', 'coverage_shrank_on_update',
            'coverage_shrank_on_delete']) as t (name)
        where not exists (
            select from pg_trigger g where g.tgname = t.name and g.tgenabled in ('O', 'A') and not g.tgisinternal
        )",
    )
    .fetch_all(&mut *tx)
    .await?;
    let open_tables: Vec<String> = query_scalar(
        "select c.oid::regclass::text from pg_class c
        where c.relkind in ('r', 'p')
            and (c.relnamespace = 'barkeep'::regnamespace
                or c.relnamespace = 'public'::regnamespace
                    and (c.oid = any ($1::text[]::regclass[]) or c.oid in (select inhrelid from pg_inherits where inhparent = $2::regclass)))
            and not (c.relrowsecurity and c.relforcerowsecurity)
        order by 1",
    )
    .bind(&PUBLIC[..])
    .bind(bars::TABLE)
    .fetch_all(&mut *tx)
    .await?;
    let anonymous_may: Vec<String> = query_scalar(
        "select t.name || ' (' || p.privilege || ')'
        from unnest($1::text[]) as t (name)
        cross join unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE']) as p (privilege)
        where has_table_privilege('anon', t.name, p.privilege)
        order by 1",
    )
    .bind(&PUBLIC[..])
    .fetch_all(&mut *tx)
    .await?;
    let unknown_symbols: Vec<String> = query_scalar(
        "select distinct s.ticker from public.symbols s
        join public.job_definitions d on d.symbol = s.ticker and d.enabled
        where s.listing = 'unknown'
        order by s.ticker limit 20",
    )
    .fetch_all(&mut *tx)
    .await?;
    let row = query(
        "select current_setting('server_version'),
            (select as_of from barkeep.market_clock),
            (select count(*) from public.symbols where active),
            (select count(*)
                from public.user_symbol_tracking t
                join public.symbols s on s.id = t.symbol_id
                cross join unnest(t.timeframes) f
                where not exists (
                    select from public.job_definitions d where d.symbol = s.ticker and d.timeframe = f
                )),
            (select count(*)
                from public.job_definitions d
                join public.symbols s on s.ticker = d.symbol and s.active
                cross join lateral (
                    select max(t.priority) as interest from public.user_symbol_tracking t
                    where t.symbol_id = s.id and d.timeframe = any (t.timeframes)
                        and barkeep.is_live(t.source, t.updated_at)
                ) w
                where d.priority <> coalesce(w.interest, d.base_priority, 0) and (d.enabled or w.interest is not null)
                    and d.updated_at < now() - interval '5 minutes'),
            (select count(*)
                from public.job_runs r join public.job_definitions d on d.id = r.job_def_id
                where r.status = 'queued'
                    and (r.priority, r.by_interest) is distinct from (d.priority, d.by_interest)),
            (select count(*)
                from public.job_runs a
                join public.job_runs b on b.job_def_id = a.job_def_id and b.id > a.id
                    and b.slice_from < a.slice_to and b.slice_to > a.slice_from
                where a.status in ('queued', 'running') and b.status in ('queued', 'running')),
            (select count(*)
                from public.job_runs r join public.symbols s on s.ticker = r.symbol
                where r.status = 'queued' and not exists (
                    select from barkeep.market_sessions m
                    where m.calendar = s.calendar and m.open_at < r.slice_to and m.close_at > r.slice_from
                        and m.open_at > r.slice_from - interval '24 hours'
                )),
            (select count(*) from public.job_runs
                where status = 'running' and lease_until < clock_timestamp() - interval '60 seconds'),
            (select count(*)
                from public.job_definitions d
                join public.symbols s on s.ticker = d.symbol
                cross join lateral (
                    select min(b.ts) as first, max(b.ts) as last from barkeep.bars(s.id, d.timeframe, null, null) b
                ) b
                where b.first < timestamptz '1980-01-01'
                    or b.last > greatest(now(), barkeep.market_now()) + interval '1 day'),
            (select count(*)
                from public.job_definitions d
                join public.symbols s on s.ticker = d.symbol
                where d.enabled and d.timeframe <> 'w1' and exists (
                    select from barkeep.bars(
                        s.id, d.timeframe, barkeep.market_now() - interval '15 days',
                        barkeep.market_now() - interval '5 days'
                    ) b
                    where not b.is_final
                )),
            (select min(last) from (
                select max(close_at) as last from barkeep.market_sessions group by calendar
            ) c),
            (select count(*) from public.user_symbol_tracking),
            (select count(distinct user_id) from public.user_symbol_tracking),
            (select max(updated_at) from public.user_symbol_tracking),
            (select count(*) from barkeep.quarantined_bars),
            to_regclass('cron.job') is not null",
    )
    .fetch_one(&mut *tx)
    .await?;
    let schedule_shown = match row.try_get(16)? {
        true => {
            query_scalar("select exists (select from cron.job where jobname = 'orchestrator-tick')")
                .fetch_one(&mut *tx)
                .await?
        }
        false => false,
    };
    Ok(Diagnostics {
        server_version: row.try_get(0)?,
        as_of: instant_or_none(&row, 1)?,
        triggers_missing: names,
        symbols: row.try_get(2)?,
        open_tables,
        anonymous_may,
        definitions_missing: row.try_get(3)?,
        wrong_priorities: row.try_get(4)?,
        wrong_ranks: row.try_get(5)?,
        overlaps: row.try_get(6)?,
        slices_in_closed_hours: row.try_get(7)?,
        stale_runs: row.try_get(8)?,
        series_out_of_time: row.try_get(9)?,
        stale_provisional: row.try_get(10)?,
        broken_functions,
        sessions_until: instant_or_none(&row, 11)?,
        schedule_shown,
        tracking_rows: row.try_get(12)?,
        tracking_users: row.try_get(13)?,
        last_sync: instant_or_none(&row, 14)?,
        unknown_symbols,
        quarantined: row.try_get(15)?,
    })
}

/// Calls each function that external queries use; their effects are rolled back.
async fn broken_functions(database: &Database) -> Result<Vec<String>, StoreError> {
    let mut broken = Vec::new();
    for (name, call) in [
        ("claim_queued_job", "select * from public.claim_queued_job()"),
        ("reset_stale_running_jobs", "select * from public.reset_stale_running_jobs(60, 5)"),
        ("get_coverage_gaps", "select * from public.get_coverage_gaps('AAPL', 'h1', 7)"),
        ("get_symbol_timeframe_coverage", "select * from public.get_symbol_timeframe_coverage('AAPL')"),
        ("get_timeframe_job_stats", "select * from public.get_timeframe_job_stats(1)"),
        ("get_user_tracked_symbols_status", "select * from public.get_user_tracked_symbols_status('nobody')"),
    ] {
        let mut tx = database.begin().await?;
        let called = query(call).fetch_all(&mut *tx).await;
        match called.map_err(StoreError::from) {
            Ok(_) => {}
            Err(error) if error.is_unreachable() => return Err(error),
            Err(error) => broken.push(format!("{name}: {error}")),
        }
        tx.rollback().await?;
    }
    Ok(broken)
}
