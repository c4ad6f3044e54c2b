-- Changed sessions: an unscheduled holiday, an early close, regular or extended hours.

-- Replaces the sessions of a calendar and updates everything that they affect. Time that wasn't open before is removed
-- from coverage, and with it the last bar of a session that now ends earlier, which is a different bar now. Time that
-- is closed now can't be missing: coverage is extended through it, and runs queued only for it are cancelled. Series
-- whose windows reach back to any of it are due. Stored bars are kept: bars_outside is how many of them are outside of
-- all sessions now. If sessions open at another time (regular or extended hours), bars off the new grid or outside of
-- all sessions are deleted, and what replaces them is fetched again. The caller holds the exclusive lock on the
-- sessions.
create function barkeep.replace_sessions(
    p_calendar text, p_dates text[], p_opens timestamptz[], p_closes timestamptz[], p_earlies boolean[]
) returns table (days_changed int, bars_outside bigint)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_opened tstzmultirange;
    v_closed tstzmultirange;
    v_moved tstzmultirange;
    v_off_grid text[];
    v_anew text[];
    v_changed int;
    v_outside bigint := 0;
    v_symbols uuid[];
begin
    with new as (
        select d::date as day, o, c
        from unnest(p_dates, p_opens, p_closes) as n (d, o, c)
    ),
    changed as (
        select
            case when new.o is null then '{}' else tstzmultirange(tstzrange(new.o, new.c)) end as hours_after,
            case when m.open_at is null then '{}' else tstzmultirange(tstzrange(m.open_at, m.close_at)) end as hours_before,
            new.o - m.open_at as later
        from new
        full join (select * from barkeep.market_sessions where calendar = p_calendar) m on m.session_date = new.day
        where (new.o, new.c) is distinct from (m.open_at, m.close_at)
    )
    select range_agg(hours_after - hours_before), range_agg(hours_before - hours_after), count(*),
        range_agg(hours_after + hours_before) filter (where later <> interval '0')
    into v_opened, v_closed, v_changed, v_moved
    from changed;
    if v_changed = 0 then
        return query select 0, 0::bigint;
        return;
    end if;
    v_opened := coalesce(v_opened, '{}');
    v_closed := coalesce(v_closed, '{}');
    -- Their bars began at the open, which is 5 h 30 min earlier or later now.
    v_off_grid := case when v_moved is null then '{}' else array['h1', 'h4'] end;
    v_anew := case
        when isempty(v_opened) then v_off_grid
        when v_moved is not null then array['m1', 'm5', 'm15', 'm30', 'h1', 'h4']
        else '{}'
    end;

    delete from barkeep.market_sessions where calendar = p_calendar;
    insert into barkeep.market_sessions (calendar, session_date, open_at, close_at, early)
    select p_calendar, d::date, o, c, e
    from unnest(p_dates, p_opens, p_closes, p_earlies) as s (d, o, c, e);

    -- Runs before coverage before definitions, the order in which all transactions lock them.
    update public.job_runs r
    set status = 'cancelled', error_code = null, error_message = 'The market is closed in this slice',
        finished_at = clock_timestamp(), updated_at = clock_timestamp()
    from (
        select r.id from public.job_runs r
        join public.symbols s on s.ticker = r.symbol and s.calendar = p_calendar
        where r.status in ('queued', 'failed') and v_closed && tstzrange(r.slice_from, r.slice_to)
            and not exists (
                select from barkeep.market_sessions m
                where m.calendar = p_calendar and m.close_at > r.slice_from and m.open_at < r.slice_to
                    and m.open_at > r.slice_from - interval '24 hours'
            )
        order by r.id
        for update of r
    ) closed
    where r.id = closed.id;

    -- Slices were cut by the old grid: running ones too are planned again, and their workers' outcomes rejected.
    update public.job_runs r
    set status = 'cancelled', error_code = null, error_message = 'Session opening times have changed',
        finished_at = clock_timestamp(), updated_at = clock_timestamp()
    from (
        select r.id from public.job_runs r
        join public.symbols s on s.ticker = r.symbol and s.calendar = p_calendar
        where r.status in ('queued', 'failed', 'running') and r.timeframe = any (v_anew)
        order by r.id
        for update of r
    ) cut
    where r.id = cut.id;

    if v_moved is not null then
        v_symbols := array(select s.id from public.symbols s where s.calendar = p_calendar);
        perform barkeep.delete_bars(v_symbols, v_off_grid, v_moved);
        perform barkeep.delete_bars(v_symbols, '{m1,m5,m15,m30}', v_closed);
    end if;

    update barkeep.empty_sessions e
    set ranges = e.ranges - v_closed - v_opened
    from public.symbols s
    where s.ticker = e.symbol and s.calendar = p_calendar and e.ranges && (v_closed + v_opened);
    delete from barkeep.empty_sessions where isempty(ranges);

    with cut as (
        -- By timeframe the last bars of sessions that now end earlier, within a bar.
        select f.timeframe, range_agg(tstzrange(date_bin(f.step, m.close_at, m.open_at), m.close_at)) as ranges
        from (
            select t.timeframe, barkeep.timeframe_step(t.timeframe) as step
            from unnest(array['m1', 'm5', 'm15', 'm30', 'h1', 'h4']) as t (timeframe)
        ) f
        join barkeep.market_sessions m on m.calendar = p_calendar
            and m.close_at in (select lower(r) from unnest(v_closed) as r)
            and date_bin(f.step, m.close_at, m.open_at) < m.close_at
        group by f.timeframe
    ),
    next as (
        select c.symbol, c.timeframe, case
            -- What has to be fetched for every day is fetched as one range: nights would cut it into hundreds.
            when c.timeframe = any (v_anew) then c.covered - tstzmultirange(tstzrange(lower(v_moved), upper(v_moved)))
            -- Daily and weekly bars are the same in any hours.
            when v_moved is not null and c.timeframe in ('d1', 'w1') then c.covered
            else c.covered - v_opened - coalesce(cut.ranges, '{}') + coalesce((
            -- Only where it fills the time between covered sessions, or continues one.
            select range_agg(r) from unnest(v_closed) as r
            where c.covered && tstzrange(lower(r) - interval '1 microsecond', upper(r) + interval '1 microsecond')
            ), '{}')
        end as covered
        from public.coverage_status c
        join public.symbols s on s.ticker = c.symbol and s.calendar = p_calendar
        left join cut on cut.timeframe = c.timeframe
    )
    update public.coverage_status c
    set covered = next.covered, from_ts = lower(next.covered), to_ts = upper(next.covered),
        -- A provider without extended hours may have regular ones.
        unavailable = c.unavailable - coalesce(v_moved, '{}'), updated_at = now()
    from next
    where next.symbol = c.symbol and next.timeframe = c.timeframe
        and (next.covered <> c.covered or c.unavailable && v_moved);

    -- Series without coverage of it too, and series whose next bar is due at another time now.
    perform barkeep.make_due(array(
        select d.id from public.job_definitions d
        join public.symbols s on s.ticker = d.symbol and s.calendar = p_calendar
        where d.enabled
            and upper(v_opened + v_closed) > barkeep.market_now() - make_interval(days => d.window_days + 8)
    ), 'its sessions have changed');

    -- By series, for the index. A daily bar begins at its midnight, before the session.
    if not isempty(v_closed) and v_moved is null then
        select coalesce(sum(found.n), 0) into v_outside
        from public.symbols s
        join barkeep.market_calendars k on k.calendar = s.calendar
        cross join unnest(array['m1', 'm5', 'm15', 'm30', 'h1', 'h4', 'd1']) as t (timeframe)
        cross join unnest(v_closed) as closed (r)
        cross join lateral (
            select date_trunc('day', lower(closed.r), k.time_zone) as at
        ) midnight
        cross join lateral (
            select count(*) as n
            from barkeep.bars(
                s.id, t.timeframe,
                case when t.timeframe = 'd1' then midnight.at else lower(closed.r) end,
                case when t.timeframe = 'd1' then midnight.at + interval '1 microsecond' else upper(closed.r) end
            )
        ) found
        where s.calendar = p_calendar
            and (t.timeframe <> 'd1' or not exists (
                select from barkeep.market_sessions m
                where m.calendar = p_calendar and m.session_date = (lower(closed.r) at time zone k.time_zone)::date
            ));
    end if;
    perform pg_notify('barkeep_wake', '');
    return query select v_changed, v_outside;
end
$$;
