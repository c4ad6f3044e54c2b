-- The last session read once more after it has ended, for trades that were reported late; and what final bars changed.

-- How long after its close a session is read once more. Null: never, as of markets that never close.
alter table barkeep.market_calendars add column reread_after interval check (reread_after > interval '0');
update barkeep.market_calendars set reread_after = interval '1 hour' where calendar = 'XNYS';

-- Sessions of which something was read before late trades were in.
create table barkeep.rereads (
    symbol text not null references public.symbols (ticker) on update cascade on delete cascade,
    timeframe text not null,
    -- On the market's clock.
    due_at timestamptz not null,
    ranges tstzmultirange not null,
    primary key (symbol, timeframe, due_at)
);

-- How many final bars of the series have changed since: late trades, corrections, another provider's word.
alter table public.coverage_status add column corrections bigint not null default 0;

-- Of series that were answered for: sessions that ended less than an hour ago, or haven't yet, are read once more; those
-- whose turn that was have had it. Returns how many final bars have changed in this transaction.
create function barkeep.note_rereads(
    p_symbols text[], p_timeframes text[], p_froms timestamptz[], p_tos timestamptz[]
) returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_now timestamptz := barkeep.market_now();
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

    -- The few sessions that are of now, before any series is looked at: most answers are of older ones.
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
    update public.job_definitions d set next_due_at = least(d.next_due_at, n.due_at)
    from noted n
    where d.symbol = n.symbol and d.timeframe = n.timeframe and d.next_due_at > n.due_at;

    return coalesce(nullif(current_setting('barkeep.corrections', true), ''), '0')::bigint;
end
$$;

-- What is covered and queued all the same is such a session. Nobody waits for it: it is background work.
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

-- A session that is stored but couldn't be read once more is no failure to be shown: an hour later it is tried again, for
-- a day.
create function barkeep.reread_failed() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_again timestamptz := barkeep.market_now() + interval '1 hour';
begin
    new.status := 'cancelled';
    new.error_message := 'Reading it once more failed: ' || coalesce(new.error_message, 'no reason given');
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
    update public.job_definitions d set next_due_at = least(d.next_due_at, v_again) where d.id = new.job_def_id;
    return new;
end
$$;

create trigger job_runs_reread_failed
before update on public.job_runs
for each row when (new.status = 'failed' and new.triggered_by = 'reread')
execute function barkeep.reread_failed();

-- Counts final bars that become others, whatever made them: by series, and for whoever stores in this transaction.
create function barkeep.count_corrections() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_count bigint;
begin
    with changed as (
        select b.symbol_id, b.timeframe, count(*) as n
        from was b
        join became a on a.symbol_id = b.symbol_id and a.timeframe = b.timeframe and a.ts = b.ts
        where b.data_status = 'final'
            and (a.open, a.high, a.low, a.close, a.volume, a.vwap, a.trade_count)
                is distinct from (b.open, b.high, b.low, b.close, b.volume, b.vwap, b.trade_count)
        group by b.symbol_id, b.timeframe
    ),
    counted as (
        update public.coverage_status c set corrections = c.corrections + changed.n
        from changed join public.symbols s on s.id = changed.symbol_id
        where c.symbol = s.ticker and c.timeframe = changed.timeframe
    )
    select coalesce(sum(n), 0) into v_count from changed;
    if v_count > 0 then
        perform set_config('barkeep.corrections', (
            v_count + coalesce(nullif(current_setting('barkeep.corrections', true), ''), '0')::bigint
        )::text, true);
    end if;
    return null;
end
$$;

create trigger ohlc_bars_corrections
after update on public.ohlc_bars_v2
referencing old table as was new table as became
for each statement execute function barkeep.count_corrections();

revoke all on barkeep.rereads from public, anon, authenticated;
grant select, insert, update, delete on barkeep.rereads to service_role;
alter table barkeep.rereads enable row level security;
alter table barkeep.rereads force row level security;
do $$
declare
    f regprocedure;
begin
    execute format(
        'create policy service on barkeep.rereads for all to service_role, %I using (true) with check (true)',
        current_user
    );
    for f in
        select p.oid::regprocedure from pg_proc p
        where p.pronamespace = 'barkeep'::regnamespace
            and p.proname in ('note_rereads', 'reread_is_queued', 'reread_failed', 'count_corrections')
    loop
        execute format('revoke all on function %s from public, anon, authenticated', f);
        execute format('grant execute on function %s to service_role', f);
    end loop;
end
$$;
