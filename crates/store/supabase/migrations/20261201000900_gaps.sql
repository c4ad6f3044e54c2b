-- Gaps.

-- The window of a series as whole sessions: from the open of the first session on or after the day p_window_days ago
-- (for w1, of the first session of that week; before the calendar's first session, from that one) to the end of its
-- last final bar.
create function barkeep.window_of(p_calendar text, p_timeframe text, p_window_days int) returns tstzrange
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now timestamptz := barkeep.market_now();
    v_day date;
    v_from timestamptz;
    v_to timestamptz;
begin
    select ((v_now at time zone c.time_zone) - make_interval(days => p_window_days))::date,
        barkeep.final_until(c.calendar, p_timeframe, v_now - c.grace)
    into v_day, v_to
    from barkeep.market_calendars c where c.calendar = p_calendar;
    if p_timeframe = 'w1' then
        v_day := date_trunc('week', v_day)::date;
    end if;
    -- Without sessions every series would look complete.
    if not exists (select from barkeep.market_sessions where calendar = p_calendar and open_at > v_now)
        or not exists (select from barkeep.market_sessions where calendar = p_calendar and open_at <= v_now)
    then
        raise exception 'The sessions of calendar % do not reach %', p_calendar, v_now
        using hint = 'Run "barkeep migrate", which fills barkeep.market_sessions from the calendar.';
    end if;
    -- By date: min(open_at) would read every earlier session.
    select open_at into v_from from barkeep.market_sessions
    where calendar = p_calendar and session_date >= v_day
    order by session_date
    limit 1;
    if v_to is null or v_from >= v_to then
        return 'empty';
    end if;
    return tstzrange(v_from, v_to);
end
$$;

-- The one definition of a gap: the series' window minus what is covered, minus what is unavailable, with closed hours
-- removed at both ends. Adjacent missing sessions are one gap. Empty sessions count as covered until they are due to be
-- requested once more. The window of a delisted symbol ends at its delisting. gap_hours counts open sessions only.
create function public.get_coverage_gaps(p_symbol text, p_timeframe text, p_window_days int default 7)
returns table (gap_from timestamptz, gap_to timestamptz, gap_hours numeric)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_calendar text;
    v_delisted_at timestamptz;
    v_window tstzrange;
    v_answered tstzmultirange;
begin
    select s.calendar, s.delisted_at into v_calendar, v_delisted_at
    from public.symbols s where s.ticker = barkeep.canonical_ticker(p_symbol);
    if not found or barkeep.window_days(p_timeframe) is null then
        return;
    end if;
    v_window := barkeep.window_of(v_calendar, p_timeframe, p_window_days) * tstzrange(null, v_delisted_at);
    select c.covered - coalesce((
        select range_agg(e.ranges) from barkeep.empty_sessions e
        where e.symbol = c.symbol and e.timeframe = c.timeframe and e.recheck_at <= barkeep.market_now()
    ), '{}') + c.unavailable
    into v_answered
    from public.coverage_status c
    where c.symbol = barkeep.canonical_ticker(p_symbol) and c.timeframe = p_timeframe;

    return query
    select trimmed.f, trimmed.t,
        round((
            select sum(extract(epoch from least(s.close_at, trimmed.t) - greatest(s.open_at, trimmed.f)))
            from barkeep.market_sessions s
            where s.calendar = v_calendar and s.close_at > trimmed.f and s.open_at < trimmed.t
                and s.open_at > trimmed.f - interval '24 hours'
        ) / 3600, 2)
    from unnest(tstzmultirange(v_window) - coalesce(v_answered, '{}')) as missing (r)
    cross join lateral (
        select
            greatest(lower(missing.r), (
                select min(s.open_at) from barkeep.market_sessions s
                where s.calendar = v_calendar
                    and s.close_at = (
                        select min(n.close_at) from barkeep.market_sessions n
                        where n.calendar = v_calendar and n.close_at > lower(missing.r)
                    )
            )) as f,
            least(upper(missing.r), (
                select max(s.close_at) from barkeep.market_sessions s
                where s.calendar = v_calendar
                    and s.open_at = (
                        select max(n.open_at) from barkeep.market_sessions n
                        where n.calendar = v_calendar and n.open_at < upper(missing.r)
                    )
            )) as t
    ) trimmed
    where trimmed.f < trimmed.t
    order by trimmed.f;
end
$$;
