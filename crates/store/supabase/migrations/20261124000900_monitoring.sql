-- What people ask about their data. All run as the caller: row level security shows everyone their own.

-- Coverage of a symbol, three timeframes or more. The first eight columns are what clients decode.
-- expected_bars: what the calendar expects in the window up to the last final bar, less what the provider can't give;
-- stored_bars: final bars there; missing_bars: expected bars in gaps; the rest had no trade (answered, no bar).
create function public.get_symbol_timeframe_coverage(p_symbol text)
returns table (
    timeframe text, bars_count bigint, earliest_bar timestamptz, latest_bar timestamptz, coverage_days numeric,
    last_fetch timestamptz, job_enabled bool, job_priority int,
    expected_bars bigint, stored_bars bigint, missing_bars bigint, completeness numeric, state text, reason text
)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    with symbol as (
        select * from public.symbols where ticker = barkeep.canonical_ticker(p_symbol)
    ),
    shown as (
        select f.n, f.timeframe, d.id as def_id, d.enabled, d.priority, d.suspended_at, d.suspended_reason,
            coalesce(d.window_days, barkeep.window_days(f.timeframe)) as window_days
        from unnest('{m1,m5,m15,m30,h1,h4,d1,w1}'::text[]) with ordinality as f (timeframe, n)
        left join public.job_definitions d
            on d.symbol = barkeep.canonical_ticker(p_symbol)
            and d.timeframe = f.timeframe and d.job_type = barkeep.job_type(f.timeframe)
        where f.timeframe in ('m15', 'h1', 'h4') or d.id is not null
    )
    select
        w.timeframe, coalesce(b.bars, 0), b.earliest, b.latest,
        coalesce(round((extract(epoch from b.latest - b.earliest) / 86400)::numeric, 2), 0),
        c.last_success_at, coalesce(w.enabled, false), coalesce(w.priority, 0),
        coalesce(e.expected, 0), coalesce(b.stored, 0), coalesce(g.missing, 0),
        case when coalesce(e.expected, 0) = 0 then 0
            else round(1 - g.missing::numeric / e.expected, 4) end,
        case
            when s.id is null or w.def_id is null then 'not tracked'
            when w.suspended_at is not null then 'unknown'
            when not w.enabled then 'paused'
            when r.failed > 0 then 'failing'
            when g.missing > 0 then 'filling'
            when s.listing <> 'listed'
                and not exists (select from public.ohlc_bars_v2 o where o.symbol_id = s.id) then 'unchecked'
            else 'complete'
        end,
        coalesce(w.suspended_reason, r.error_message, q.reason, c.unavailable_reason)
    from shown w
    left join symbol s on true
    left join public.coverage_status c on c.symbol = s.ticker and c.timeframe = w.timeframe
    -- Once a series, and not at all for a symbol that isn't there: without the offset the planner pulls the call up into
    -- whatever uses its result, bar by bar.
    left join lateral (
        select barkeep.window_of(s.calendar, w.timeframe, w.window_days) as span where s.id is not null offset 0
    ) v on true
    left join lateral (
        select count(*) as bars, min(o.ts) as earliest, max(o.ts) as latest,
            count(*) filter (
                where o.data_status = 'final' and o.ts < upper(v.span)
                    and o.ts >= case
                        when w.timeframe = 'd1' then date_trunc('day', lower(v.span), k.time_zone)
                        when w.timeframe = 'w1' then date_trunc('week', lower(v.span), k.time_zone)
                        else lower(v.span)
                    end
            ) as stored
        from public.ohlc_bars_v2 o, barkeep.market_calendars k
        where o.symbol_id = s.id and o.timeframe = w.timeframe and k.calendar = s.calendar
    ) b on true
    left join lateral (
        select coalesce(sum(barkeep.expected_bars(s.calendar, w.timeframe, lower(part), upper(part))), 0)::bigint
            as expected
        from unnest(tstzmultirange(v.span) - coalesce(c.unavailable, '{}')) as part
    ) e on true
    left join lateral (
        select coalesce(sum(barkeep.expected_bars(s.calendar, w.timeframe, gap.gap_from, gap.gap_to)), 0)::bigint
            as missing
        from public.get_coverage_gaps(s.ticker, w.timeframe, w.window_days) gap
    ) g on true
    left join lateral (
        -- Also why queued runs wait, where something went wrong before.
        select count(*) filter (where j.status = 'failed') as failed, max(j.error_message) as error_message
        from public.job_runs j
        where j.job_def_id = w.def_id
            and (j.status = 'failed' or (j.status = 'queued' and j.error_code <> 'stopped'))
    ) r on true
    left join lateral (
        select format('%s bars of the provider can''t be true and are not stored (barkeep.quarantined_bars)', count(*))
            as reason
        from barkeep.quarantined_bars x
        where x.symbol = s.ticker and x.ts >= lower(v.span) and x.series = w.timeframe
        having count(*) > 0
    ) q on true
    order by w.n
$$;

create function public.get_timeframe_job_stats(p_hours int default 1)
returns table (
    timeframe text, total_jobs bigint, queued bigint, running bigint, success bigint, failed bigint,
    total_bars_written bigint, avg_duration_seconds numeric
)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select r.timeframe, count(*),
        count(*) filter (where r.status = 'queued'),
        count(*) filter (where r.status = 'running'),
        count(*) filter (where r.status = 'success'),
        count(*) filter (where r.status = 'failed'),
        coalesce(sum(r.rows_written), 0)::bigint,
        round(avg(extract(epoch from r.finished_at - r.started_at)) filter (where r.status = 'success'), 3)
    from public.job_runs r
    where r.created_at > now() - make_interval(hours => p_hours)
    group by r.timeframe
    order by r.timeframe
$$;

create function public.get_user_tracked_symbols_status(p_user_id uuid)
returns table (
    symbol text, source text, priority int, tracked_at timestamptz, m15_bars bigint, h1_bars bigint, h4_bars bigint,
    jobs_pending bigint, jobs_running bigint
)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select s.ticker, t.source, t.priority, t.created_at, bars.m15, bars.h1, bars.h4, jobs.pending, jobs.running
    from public.user_symbol_tracking t
    join public.symbols s on s.id = t.symbol_id
    cross join lateral (
        select count(*) filter (where o.timeframe = 'm15') as m15,
            count(*) filter (where o.timeframe = 'h1') as h1,
            count(*) filter (where o.timeframe = 'h4') as h4
        from public.ohlc_bars_v2 o
        where o.symbol_id = s.id and o.timeframe in ('m15', 'h1', 'h4')
    ) bars
    cross join lateral (
        select count(*) filter (where r.status = 'queued') as pending,
            count(*) filter (where r.status = 'running') as running
        from public.job_runs r
        where r.symbol = s.ticker and r.status in ('queued', 'running')
    ) jobs
    where t.user_id = p_user_id
    order by t.priority desc, s.ticker
$$;

-- The same for text; what is no uuid is an unknown user.
create function public.get_user_tracked_symbols_status(p_user_id text)
returns table (
    symbol text, source text, priority int, tracked_at timestamptz, m15_bars bigint, h1_bars bigint, h4_bars bigint,
    jobs_pending bigint, jobs_running bigint
)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select * from public.get_user_tracked_symbols_status(
        case when p_user_id ~ '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$' then p_user_id::uuid end
    )
$$;
