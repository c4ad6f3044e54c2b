-- The state of all timeframes: ten queries, one after the other.
--
--   psql "$(barkeep db url)" -f monitor_multi_timeframe.sql
--   psql "$DATABASE_URL" -v symbol=TSLA -f monitor_multi_timeframe.sql
--
-- Run it as the database's owner or as service_role: others see their own only. Whatever is counted is counted before
-- it is joined, so no number is multiplied by the rows beside it.

\if :{?symbol}
\else
\set symbol AAPL
\endif

\echo '== 1. Coverage per symbol =='
with bars as (
    select o.symbol_id, o.timeframe, count(*) as bars, min(o.ts) as earliest, max(o.ts) as latest
    from public.ohlc_bars_v2 o
    group by o.symbol_id, o.timeframe
)
select d.symbol, d.timeframe, coalesce(b.bars, 0) as bars, b.earliest, b.latest, c.from_ts as covered_from,
    c.to_ts as covered_to, c.last_success_at as last_fetch
from public.job_definitions d
join public.symbols s on s.ticker = d.symbol
left join bars b on b.symbol_id = s.id and b.timeframe = d.timeframe
left join public.coverage_status c on c.symbol = d.symbol and c.timeframe = d.timeframe
where d.enabled
order by d.symbol, barkeep.window_days(d.timeframe), d.timeframe;

\echo '== 2. Runs of the last hour =='
select timeframe, total_jobs, queued, running, success, failed, total_bars_written, avg_duration_seconds
from public.get_timeframe_job_stats(1);

\echo '== 3. Definitions by timeframe =='
select d.timeframe, count(*) as definitions, count(*) filter (where d.enabled) as enabled,
    count(*) filter (where d.by_interest) as asked_for, count(*) filter (where d.suspended_at is not null) as suspended,
    min(d.priority) filter (where d.enabled) as lowest_priority, max(d.priority) as highest_priority
from public.job_definitions d
group by d.timeframe
order by barkeep.window_days(d.timeframe), d.timeframe;

\echo '== 4. Coverage summary =='
with gaps as (
    select d.timeframe, d.symbol,
        (select count(*) from public.get_coverage_gaps(d.symbol, d.timeframe, d.window_days)) as gaps,
        (select coalesce(sum(g.gap_hours), 0)
        from public.get_coverage_gaps(d.symbol, d.timeframe, d.window_days) g) as hours
    from public.job_definitions d
    where d.enabled
)
select g.timeframe, count(*) as series, count(*) filter (where g.gaps = 0) as without_gaps, sum(g.gaps) as gaps,
    sum(g.hours) as missing_market_hours
from gaps g
group by g.timeframe
order by barkeep.window_days(g.timeframe), g.timeframe;

\echo '== 5. Tracking summary =='
select t.source, max(t.priority) as priority, count(distinct t.user_id) as users,
    count(distinct t.symbol_id) as symbols, count(*) as entries, max(t.updated_at) as latest
from public.user_symbol_tracking t
group by t.source
order by max(t.priority) desc;

\echo '== 6. One symbol in detail:' :symbol '=='
select timeframe, state, bars_count, expected_bars, stored_bars, missing_bars, completeness, earliest_bar, latest_bar,
    last_fetch, job_enabled, job_priority, reason
from public.get_symbol_timeframe_coverage(:'symbol');

\echo '== 7. Recent failures =='
select r.symbol, r.timeframe, r.slice_from, r.slice_to, r.failures, r.error_code, r.error_message, r.finished_at
from public.job_runs r
where r.status = 'failed' and r.finished_at > now() - interval '1 day'
order by r.finished_at desc
limit 20;

\echo '== 8. Top-priority symbols still waiting =='
select r.symbol, max(r.priority) as priority, bool_or(r.by_interest) as asked_for,
    count(*) filter (where r.status = 'queued') as queued, count(*) filter (where r.status = 'running') as running,
    min(r.created_at) as waiting_since, max(r.error_message) as waiting_for
from public.job_runs r
where r.status in ('queued', 'running')
group by r.symbol
order by bool_or(r.by_interest) desc, max(r.priority) desc, min(r.created_at), r.symbol
limit 20;

\echo '== 9. Progress of watchlist symbols =='
with watched as (
    select s.ticker, count(distinct t.user_id) as watched_by
    from public.user_symbol_tracking t
    join public.symbols s on s.id = t.symbol_id
    where t.source = 'watchlist'
    group by s.ticker
)
select w.ticker as symbol, w.watched_by, c.series, c.complete, c.expected, c.missing,
    case when c.expected > 0 then round(100 * (1 - c.missing / c.expected), 1) end as percent
from watched w
cross join lateral (
    select count(*) filter (where f.job_enabled) as series,
        count(*) filter (where f.job_enabled and f.state = 'complete') as complete,
        coalesce(sum(f.expected_bars) filter (where f.job_enabled), 0) as expected,
        coalesce(sum(f.missing_bars) filter (where f.job_enabled), 0) as missing
    from public.get_symbol_timeframe_coverage(w.ticker) f
) c
order by percent nulls first, w.ticker;

\echo '== 10. Health =='
with runs as (
    select count(*) filter (where r.status = 'queued') as queued,
        count(*) filter (where r.status = 'running') as running,
        count(*) filter (where r.status = 'running' and r.lease_until < now()) as lost,
        count(*) filter (where r.status = 'success' and r.finished_at > now() - interval '1 hour') as success,
        count(*) filter (where r.status = 'failed' and r.finished_at > now() - interval '1 hour') as failed,
        min(r.created_at) filter (where r.status = 'queued' and r.by_interest) as asked_for_since,
        max(r.error_message) filter (where r.status = 'queued' and r.error_code = 'credentials') as refused
    from public.job_runs r
    where r.status in ('queued', 'running') or r.finished_at > now() - interval '1 hour'
),
provider as (
    select h.provider || ' has been failing since ' || to_char(h.failing_since at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS')
            || ' UTC: ' || coalesce(h.last_error, 'no answer') as failing
    from barkeep.provider_health h
    where h.failures >= 3 and h.last_failed_at > now() - interval '10 minutes'
    order by h.failing_since
    limit 1
),
scheduler as (
    select h.last_seen, h.status from public.orchestrator_heartbeat h where h.name = 'orchestrator-tick'
)
select
    case
        when s.last_seen is null then 'down: the scheduler never ran; start "barkeep up"'
        when s.last_seen < now() - interval '3 minutes' then 'down: the scheduler is not running; start "barkeep up"'
        when s.status = 'failing' then 'failing: the scheduler runs and can''t plan; see its log'
        when r.refused is not null then 'stopped: ' || r.refused
        when p.failing is not null and r.queued + r.running > 0 then 'failing: ' || p.failing
        when r.lost > 0 then 'degraded: workers died; their runs are taken over within 90 s'
        when r.failed > r.success then 'degraded: more runs fail than succeed; see 7'
        when r.asked_for_since < now() - interval '15 minutes' then 'behind: people wait for more than 15 minutes'
        when r.queued + r.running > 0 then 'working'
        else 'healthy'
    end as verdict,
    s.last_seen as scheduler_seen, r.queued, r.running, r.lost, r.success as success_last_hour,
    r.failed as failed_last_hour, r.asked_for_since as waiting_since
from runs r
left join scheduler s on true
left join provider p on true;
