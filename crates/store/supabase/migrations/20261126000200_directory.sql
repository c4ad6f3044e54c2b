-- What there is to be asked for, whether anybody wants it or not. `symbols` are those that somebody wanted.

create table barkeep.directory (
    ticker text primary key
    constraint directory_ticker_form check (ticker ~ '^[A-Z0-9]([A-Z0-9.-]{0,14}[A-Z0-9])?$'),
    -- The symbol that is made of it keeps it, so that what a search showed stays true.
    id uuid not null unique default gen_random_uuid(),
    asset_type text not null check (asset_type in ('stock', 'etf', 'crypto')),
    name text not null default '',
    exchange text not null default '',
    -- Nothing is ever deleted: what trades no more has history all the same, and people know it by its name.
    active boolean not null default true,
    -- When a provider's list first lacked it; null where that isn't known.
    delisted_at timestamptz,
    -- What it is called now.
    renamed_to text,
    -- How well known, 1 before 2; null: no better than any other.
    rank int,
    -- The provider whose list has it, or 'built-in'.
    source text not null,
    updated_at timestamptz not null default now(),
    constraint directory_pairs_are_crypto check ((asset_type = 'crypto') = (barkeep.asset_type_of(ticker) = 'crypto')),
    constraint directory_active_is_not_delisted check (not active or (delisted_at is null and renamed_to is null))
);

-- Whose list was taken when, by asset class.
create table barkeep.directory_lists (
    asset_class text primary key check (asset_class in ('stock', 'crypto')),
    source text not null,
    asked_at timestamptz not null default now(),
    entries int not null default 0,
    taken_at timestamptz
);

-- Rises with every change that a search could show, so that an index kept in a process knows when it is old.
create table barkeep.directory_version (
    only_one boolean primary key default true check (only_one),
    version bigint not null default 0,
    changed_by xid8 not null default pg_current_xact_id()
);
insert into barkeep.directory_version default values;

alter table public.symbols
-- When a provider's list first lacked it. Its bars are kept, and nothing is asked for after it.
add column delisted_at timestamptz,
-- By the trigger below.
alter column id drop default;

-- Every exchange and market of US stocks and funds keeps New York's hours; pairs trade round the clock.
create function barkeep.calendar_of(p_asset_type text, p_exchange text) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select case when p_asset_type = 'crypto' or p_exchange = 'CRYPTO' then '24x7' else 'XNYS' end
$$;

-- A new symbol is what the directory says, as far as whoever makes it doesn't say otherwise.
create function barkeep.symbol_from_directory() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_entry barkeep.directory;
begin
    select * into v_entry from barkeep.directory d where d.ticker = new.ticker;
    new.id := coalesce(new.id, v_entry.id, gen_random_uuid());
    if v_entry.ticker is null then
        return new;
    end if;
    if new.asset_type = 'stock' and v_entry.asset_type <> 'stock' then
        new.asset_type := v_entry.asset_type;
        new.calendar := barkeep.calendar_of(v_entry.asset_type, v_entry.exchange);
    end if;
    new.description := coalesce(nullif(new.description, ''), v_entry.name);
    new.exchange := coalesce(nullif(new.exchange, ''), v_entry.exchange);
    new.delisted_at := coalesce(new.delisted_at, v_entry.delisted_at);
    return new;
end
$$;

create trigger symbol_from_directory
before insert on public.symbols
for each row execute function barkeep.symbol_from_directory();

-- At the end of the transaction, after every other lock: nobody who waits for this row holds what its holder wants. Once a
-- transaction. As its owner: a transaction ends in whatever role its last statement ran.
create function barkeep.directory_changed() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    update barkeep.directory_version
    set version = version + 1, changed_by = pg_current_xact_id()
    where changed_by <> pg_current_xact_id();
    return null;
end
$$;

-- A symbol that was made of the directory's entry shows nothing new.
create function barkeep.symbol_came() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if not exists (select from barkeep.directory d where d.ticker = new.ticker and d.id = new.id) then
        update barkeep.directory_version
        set version = version + 1, changed_by = pg_current_xact_id()
        where changed_by <> pg_current_xact_id();
    end if;
    return null;
end
$$;

create constraint trigger directory_grew
after insert or delete on barkeep.directory
deferrable initially deferred
for each row execute function barkeep.directory_changed();

create constraint trigger directory_changed
after update on barkeep.directory
deferrable initially deferred
for each row
when (
    (old.ticker, old.id, old.asset_type, old.name, old.exchange, old.active, old.renamed_to, old.rank)
    is distinct from
    (new.ticker, new.id, new.asset_type, new.name, new.exchange, new.active, new.renamed_to, new.rank)
)
execute function barkeep.directory_changed();

create constraint trigger directory_symbol_came
after insert on public.symbols
deferrable initially deferred
for each row execute function barkeep.symbol_came();

create constraint trigger directory_symbol_went
after delete on public.symbols
deferrable initially deferred
for each row execute function barkeep.directory_changed();

create constraint trigger directory_symbol_changed
after update on public.symbols
deferrable initially deferred
for each row
when (
    (old.ticker, old.id, old.asset_type, old.description, old.exchange, old.active, old.listing, old.delisted_at)
    is distinct from
    (new.ticker, new.id, new.asset_type, new.description, new.exchange, new.active, new.listing, new.delisted_at)
)
execute function barkeep.directory_changed();

-- As before, with the window of what is delisted ending there.
create or replace function public.get_coverage_gaps(p_symbol text, p_timeframe text, p_window_days int default 7)
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

-- Coverage of a symbol, three timeframes or more. The first eight columns are what clients decode.
-- expected_bars: what the calendar expects in the window up to the last final bar, less what the provider can't give;
-- stored_bars: final bars there; missing_bars: expected bars in gaps; the rest had no trade (answered, no bar).
-- The window of what is delisted ends there.
create or replace function public.get_symbol_timeframe_coverage(p_symbol text)
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
            when w.suspended_at is not null then case when s.delisted_at is null then 'unknown' else 'delisted' end
            when not w.enabled then 'paused'
            when r.failed > 0 then 'failing'
            when g.missing > 0 then 'filling'
            when s.delisted_at is not null then 'delisted'
            when s.listing <> 'listed'
                and not exists (select from public.ohlc_bars_v2 o where o.symbol_id = s.id) then 'unchecked'
            else 'complete'
        end,
        coalesce(
            w.suspended_reason, r.error_message, q.reason, c.unavailable_reason,
            'not listed since ' || s.delisted_at::date
                || coalesce((select ', now ' || d.renamed_to from barkeep.directory d where d.ticker = s.ticker), '')
        )
    from shown w
    left join symbol s on true
    left join public.coverage_status c on c.symbol = s.ticker and c.timeframe = w.timeframe
    -- Once a series, and not at all for a symbol that isn't there: without the offset the planner pulls the call up into
    -- whatever uses its result, bar by bar.
    left join lateral (
        select barkeep.window_of(s.calendar, w.timeframe, w.window_days) * tstzrange(null, s.delisted_at) as span
        where s.id is not null
        offset 0
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

-- No provider knows the symbol: nothing more is asked for it until a later look says otherwise.
-- What was listed once is no unknown symbol.
create or replace function barkeep.suspend_symbol(p_symbol text, p_reason text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    perform barkeep.lock_interest(array[p_symbol]);
    -- In one order, whoever changes several of them.
    perform from public.job_definitions d where d.symbol = p_symbol order by d.id for no key update;
    update public.symbols
    set listing = case when delisted_at is null then 'unknown' else listing end,
        listing_checked_at = now(), updated_at = now()
    where ticker = p_symbol;
    update public.job_definitions
    set suspended_at = now(), suspended_reason = p_reason, updated_at = now()
    where symbol = p_symbol;
    update public.job_runs
    set status = 'cancelled', error_code = 'unknown_symbol', error_message = p_reason, finished_at = clock_timestamp(),
        updated_at = clock_timestamp()
    where symbol = p_symbol and status = 'queued';
    perform pg_notify('barkeep_events', '');
end
$$;

-- Access to what is new here: everything is taken away, then the little that is needed is granted.

do $$
declare
    t regclass;
begin
    foreach t in array array['barkeep.directory', 'barkeep.directory_lists', 'barkeep.directory_version']::regclass[] loop
        execute format('revoke all on %s from public, anon, authenticated', t);
        execute format('grant select, insert, update, delete on %s to service_role', t);
        execute format('alter table %s enable row level security', t);
        execute format('alter table %s force row level security', t);
        execute format(
            'create policy service on %s for all to service_role, %I using (true) with check (true)', t, current_user
        );
    end loop;
end
$$;

-- A search runs as whoever searches. So does what tells people of their coverage.
grant select on barkeep.directory, barkeep.directory_version to authenticated;
create policy readable on barkeep.directory for select to authenticated using (true);
create policy readable on barkeep.directory_version for select to authenticated using (true);

do $$
declare
    f regprocedure;
begin
    for f in
        select p.oid::regprocedure from pg_proc p
        where p.pronamespace = 'barkeep'::regnamespace
            and (p.proname in ('symbol_from_directory', 'directory_changed', 'symbol_came')
                or p.oid = 'barkeep.calendar_of(text, text)'::regprocedure)
    loop
        execute format('revoke all on function %s from public, anon, authenticated', f);
        execute format('grant execute on function %s to service_role', f);
    end loop;
end
$$;
