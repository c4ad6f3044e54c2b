-- Coverage of many symbols at once, for pages that show many: what series have in common is computed once, and gaps are
-- computed only where something is missing. Run as the caller: row level security shows users only their own series.

-- Three timeframes or more of each symbol, in the order given: see get_symbol_timeframe_coverage for the columns.
-- expected_bars: what the calendar expects in the window up to the last final bar, less what is unavailable;
-- stored_bars: final bars there; missing_bars: expected bars in gaps; the rest had no trade (covered, no bar). The
-- window of a delisted symbol ends at its delisting.
create function barkeep.coverage_of_symbols(p_symbols text[])
returns table (
    n bigint, place bigint, timeframe text, bars_count bigint, earliest_bar timestamptz, latest_bar timestamptz,
    coverage_days numeric, last_fetch timestamptz, job_enabled bool, job_priority int,
    expected_bars bigint, stored_bars bigint, missing_bars bigint, completeness numeric, state text, reason text
)
language sql stable
set search_path = pg_catalog, pg_temp
set jit = off
as $$
    with symbol as materialized (
        select p.n, s.id, s.ticker, s.calendar, s.delisted_at, s.listing, barkeep.canonical_ticker(p.symbol) as name
        from unnest(p_symbols) with ordinality as p (symbol, n)
        left join public.symbols s on s.ticker = barkeep.canonical_ticker(p.symbol)
    ),
    shown as materialized (
        select s.n, f.n as place, s.id, s.ticker, s.calendar, s.delisted_at, s.listing, f.timeframe, d.id as def_id,
            d.enabled, d.priority, d.suspended_at, d.suspended_reason,
            coalesce(d.window_days, barkeep.window_days(f.timeframe)) as window_days
        from symbol s
        cross join unnest('{m1,m5,m15,m30,h1,h4,d1,w1}'::text[]) with ordinality as f (timeframe, n)
        left join public.job_definitions d
            on d.symbol = s.name and d.timeframe = f.timeframe and d.job_type = barkeep.job_type(f.timeframe)
        where f.timeframe in ('m15', 'h1', 'h4') or d.id is not null
    ),
    -- The same for most series: computed once each.
    common as materialized (
        select k.calendar, k.timeframe, k.window_days, w.span,
            case when not isempty(w.span) then
                barkeep.expected_bars(k.calendar, k.timeframe, lower(w.span), upper(w.span))
            end as expected
        from (select distinct calendar, timeframe, window_days from shown where id is not null) k
        cross join lateral (select barkeep.window_of(k.calendar, k.timeframe, k.window_days) as span offset 0) w
    )
    select
        w.n, w.place, w.timeframe, coalesce(b.bars, 0), b.earliest, b.latest,
        coalesce(round((extract(epoch from b.latest - b.earliest) / 86400)::numeric, 2), 0),
        c.last_success_at, coalesce(w.enabled, false), coalesce(w.priority, 0),
        coalesce(e.expected, 0), coalesce(b.stored, 0), coalesce(g.missing, 0),
        case when coalesce(e.expected, 0) = 0 then 0 else round(1 - coalesce(g.missing, 0)::numeric / e.expected, 4) end,
        case
            when w.id is null or w.def_id is null then 'not tracked'
            when w.suspended_at is not null then case when w.delisted_at is null then 'unknown' else 'delisted' end
            when not w.enabled then 'paused'
            when r.failed > 0 then 'failing'
            when g.missing > 0 and not k.provided then 'failing'
            when g.missing > 0 then 'filling'
            when w.delisted_at is not null then 'delisted'
            when w.listing <> 'listed' and not barkeep.bars_exist(w.id) then 'unchecked'
            else 'complete'
        end,
        coalesce(
            w.suspended_reason,
            case when g.missing > 0 and not k.provided then 'no provider is set up for ' || case w.calendar when '24x7' then 'crypto' else 'stocks' end end,
            r.error_message, q.reason, c.unavailable_reason,
            'not listed since ' || w.delisted_at::date
                || coalesce((select ', now ' || d.renamed_to from barkeep.directory d where d.ticker = w.ticker), '')
        )
    from shown w
    left join barkeep.market_calendars k on k.calendar = w.calendar
    left join common m
        on m.calendar = w.calendar and m.timeframe = w.timeframe and m.window_days = w.window_days and w.id is not null
    left join public.coverage_status c on c.symbol = w.ticker and c.timeframe = w.timeframe
    left join lateral (
        select m.span * tstzrange(null, w.delisted_at) as span where w.id is not null offset 0
    ) v on true
    left join lateral barkeep.bars_stored(w.id, w.timeframe, w.calendar, v.span) b on true
    left join lateral (
        select case
            when v.span = m.span and (c.unavailable is null or not c.unavailable && v.span) then m.expected
            else (
                select coalesce(sum(barkeep.expected_bars(w.calendar, w.timeframe, lower(part), upper(part))), 0)::bigint
                from unnest(tstzmultirange(v.span) - coalesce(c.unavailable, '{}')) as part
            )
        end as expected
        where w.id is not null
        offset 0
    ) e on true
    left join lateral (
        -- A completely covered window has no gap; get_coverage_gaps defines what one is.
        select case
            when v.span <@ (c.covered + c.unavailable) and not exists (
                select from barkeep.empty_sessions x
                where x.symbol = w.ticker and x.timeframe = w.timeframe and x.recheck_at <= barkeep.market_now()
            ) then 0
            else (
                select coalesce(
                    sum(barkeep.expected_bars(w.calendar, w.timeframe, gap.gap_from, gap.gap_to)), 0
                )::bigint
                from public.get_coverage_gaps(w.ticker, w.timeframe, w.window_days) gap
            )
        end as missing
        where w.id is not null
        offset 0
    ) g on true
    left join lateral (
        -- Also the last error of queued runs.
        select count(*) filter (where j.status = 'failed') as failed, max(j.error_message) as error_message
        from public.job_runs j
        where j.job_def_id = w.def_id
            and (j.status = 'failed' or (j.status = 'queued' and j.error_code <> 'stopped'))
    ) r on true
    left join lateral (
        select format('%s invalid bars from the provider are quarantined (barkeep.quarantined_bars)', count(*))
            as reason
        from barkeep.quarantined_bars x
        where x.symbol = w.ticker and x.ts >= lower(v.span) and x.series = w.timeframe
        having count(*) > 0
    ) q on true
    order by w.n, w.place
$$;

-- Coverage of a symbol. The first eight columns are what clients decode.
create function public.get_symbol_timeframe_coverage(p_symbol text)
returns table (
    timeframe text, bars_count bigint, earliest_bar timestamptz, latest_bar timestamptz, coverage_days numeric,
    last_fetch timestamptz, job_enabled bool, job_priority int,
    expected_bars bigint, stored_bars bigint, missing_bars bigint, completeness numeric, state text, reason text
)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select c.timeframe, c.bars_count, c.earliest_bar, c.latest_bar, c.coverage_days, c.last_fetch, c.job_enabled,
        c.job_priority, c.expected_bars, c.stored_bars, c.missing_bars, c.completeness, c.state, c.reason
    from barkeep.coverage_of_symbols(array[p_symbol]) c
    order by c.place
$$;
