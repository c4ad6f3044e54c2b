-- Rereads: the last session is fetched once more after it has ended, for trades that were reported late.

-- For series with new coverage: sessions that ended less than an hour ago, or have not ended yet, are scheduled for a
-- reread; those that were due for their reread have had it. Returns how many final bars have changed in this
-- transaction.
create function barkeep.note_rereads(
    p_symbols text[], p_timeframes text[], p_froms timestamptz[], p_tos timestamptz[]
) returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_now timestamptz := barkeep.market_now();
    v_noted int;
begin
    if exists (select from barkeep.rereads r where r.symbol = any (p_symbols) and r.due_at <= v_now) then
        update barkeep.rereads r
        set ranges = r.ranges - a.ranges
        from (
            select u.s, u.t, range_agg(tstzrange(u.f, u.e)) as ranges
            from unnest(p_symbols, p_timeframes, p_froms, p_tos) as u (s, t, f, e)
            where u.f < u.e
            group by u.s, u.t
        ) a
        where r.symbol = a.s and r.timeframe = a.t and r.due_at <= v_now and r.ranges && a.ranges;
        delete from barkeep.rereads where symbol = any (p_symbols) and isempty(ranges);
    end if;

    -- The few current sessions first, before any series: most responses are of older ones.
    with of_now as materialized (
        select m.*
        from barkeep.market_calendars k
        cross join lateral (
            select s.calendar, s.open_at, s.close_at, s.close_at + k.reread_after as due_at
            from barkeep.market_sessions s
            where s.calendar = k.calendar
                and s.open_at <= v_now and s.open_at > v_now - k.reread_after - interval '24 hours'
            offset 0
        ) m
        where m.due_at > v_now
    ),
    noted as (
        insert into barkeep.rereads (symbol, timeframe, due_at, ranges)
        select distinct u.s, u.t, m.due_at, tstzmultirange(tstzrange(m.open_at, m.close_at))
        from of_now m
        join unnest(p_symbols, p_timeframes, p_froms, p_tos) as u (s, t, f, e)
            on m.open_at < u.e and m.close_at > u.f and u.f < u.e
        join public.symbols s on s.ticker = u.s and s.calendar = m.calendar
        on conflict (symbol, timeframe, due_at) do nothing
        returning symbol, timeframe, due_at
    )
    select count(barkeep.make_due(n.definitions, 'a session is due for a reread', n.due_at)) into v_noted
    from (
        select noted.due_at, array_agg(d.id) as definitions
        from noted join public.job_definitions d on d.symbol = noted.symbol and d.timeframe = noted.timeframe
        group by noted.due_at
    ) n;

    return coalesce(nullif(current_setting('barkeep.corrections', true), ''), '0')::bigint;
end
$$;

-- A slice that is queued although it is covered is a reread. No user waits for it: it is background work.
create function barkeep.reread_is_queued() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    if exists (
        select from barkeep.rereads r
        join public.coverage_status c on c.symbol = r.symbol and c.timeframe = r.timeframe
        where r.symbol = new.symbol and r.timeframe = new.timeframe and r.due_at <= barkeep.market_now()
            and r.ranges && tstzrange(new.slice_from, new.slice_to)
            and c.covered @> tstzrange(new.slice_from, new.slice_to)
    ) then
        new.by_interest := false;
        new.triggered_by := 'reread';
    end if;
    return new;
end
$$;

create trigger job_runs_reread
before insert on public.job_runs
for each row execute function barkeep.reread_is_queued();

-- A failed reread of a stored session is not shown as a failure: it is retried every hour for a day.
create function barkeep.reread_failed() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_again timestamptz := barkeep.market_now() + interval '1 hour';
begin
    new.status := 'cancelled';
    new.error_message := 'The reread failed: ' || coalesce(new.error_message, 'no reason given');
    with over as (
        delete from barkeep.rereads r
        where r.symbol = new.symbol and r.timeframe = new.timeframe and r.due_at <= barkeep.market_now()
            and r.ranges && tstzrange(new.slice_from, new.slice_to)
        returning r.ranges
    )
    insert into barkeep.rereads (symbol, timeframe, due_at, ranges)
    select new.symbol, new.timeframe, v_again, range_agg(over.ranges)
    from over
    where upper(over.ranges) > barkeep.market_now() - interval '1 day'
    having count(*) > 0
    on conflict (symbol, timeframe, due_at) do update set ranges = rereads.ranges + excluded.ranges;
    perform barkeep.make_due(array[new.job_def_id], 'a reread failed', v_again);
    return new;
end
$$;

create trigger job_runs_reread_failed
before update on public.job_runs
for each row when (new.status = 'failed' and new.triggered_by = 'reread')
execute function barkeep.reread_failed();
