-- Interest in, definitions out: what users track, the trigger, and the one function behind every way to track symbols.

create table public.user_symbol_tracking (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null references auth.users (id) on delete cascade,
    symbol_id uuid not null references public.symbols (id) on delete cascade,
    source text not null,
    priority int not null,
    timeframes text[] not null default '{m15,h1,h4}' check (
        cardinality(timeframes) > 0 and timeframes <@ '{m1,m5,m15,m30,h1,h4,d1,w1}'::text[]
    ),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint user_symbol_tracking_once unique (user_id, symbol_id, source),
    constraint user_symbol_tracking_source check (source in ('watchlist', 'chart_view', 'recent_search')),
    constraint user_symbol_tracking_priority check (
        priority = case source when 'watchlist' then 300 when 'chart_view' then 200 when 'recent_search' then 100 end
    )
);
create index user_symbol_tracking_symbol on public.user_symbol_tracking (symbol_id);
create index user_symbol_tracking_expiry on public.user_symbol_tracking (updated_at) where source <> 'watchlist';

create function barkeep.source_priority(p_source text) returns int
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select case p_source when 'watchlist' then 300 when 'chart_view' then 200 when 'recent_search' then 100 end
$$;

-- A watchlist lives until it is removed, a chart view 30 days, a search 7.
create function barkeep.is_live(p_source text, p_updated_at timestamptz) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select p_source = 'watchlist'
        or p_updated_at > now() - case p_source when 'chart_view' then interval '30 days' else interval '7 days' end
$$;

create function barkeep.symbols_allowed(p_user uuid) returns int
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select case p_user when '00000000-0000-4000-8000-00000000a000' then 50 else 500 end
$$;

-- Serialises the changes of one user.
create function barkeep.lock_user(p_user uuid) returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
    select pg_advisory_xact_lock(hashtextextended('barkeep user ' || p_user, 0))
$$;

-- Serialises concurrent changes of the same symbols, in one order so that they can't deadlock.
create function barkeep.lock_interest(p_symbols text[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_symbol text;
begin
    for v_symbol in select distinct s from unnest(p_symbols) s order by s loop
        perform pg_advisory_xact_lock(hashtextextended('barkeep interest ' || v_symbol, 0));
    end loop;
end
$$;

-- Updates priority, enabled and the order of the queue from the live interest. Callers hold the interest locks of the
-- symbols.
create function barkeep.refresh_definitions(p_symbols text[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_resumed uuid[];
begin
    -- Locks rows in one order, as every transaction that changes several of them does.
    perform from public.job_definitions d where d.symbol = any (p_symbols) order by d.id for no key update;
    with wanted as (
        select d.id, d.enabled, s.active, d.base_priority, max(t.priority) as interest
        from public.job_definitions d
        join public.symbols s on s.ticker = d.symbol
        left join public.user_symbol_tracking t
            on t.symbol_id = s.id
            and d.timeframe = any (t.timeframes)
            and barkeep.is_live(t.source, t.updated_at)
        where d.symbol = any (p_symbols)
        group by d.id, s.active
    ),
    settled as (
        select w.id, w.enabled as was_enabled,
            coalesce(w.interest, w.base_priority, 0) as priority,
            w.active and coalesce(w.interest, w.base_priority) is not null as enabled,
            w.interest is not null as by_interest
        from wanted w
    ),
    changed as (
        update public.job_definitions d
        set priority = n.priority, enabled = n.enabled, by_interest = n.by_interest, updated_at = now()
        from settled n
        where d.id = n.id
            and (d.priority, d.enabled, d.by_interest) is distinct from (n.priority, n.enabled, n.by_interest)
    )
    select array_agg(n.id) into v_resumed from settled n where n.enabled and not n.was_enabled;
    -- They were not planned while they were paused.
    perform barkeep.make_due(v_resumed, 'it is tracked again');

    update public.job_runs r
    set priority = d.priority,
        by_interest = d.by_interest,
        rank_at = r.created_at - d.priority * interval '6 seconds',
        status = case when d.enabled then r.status else 'cancelled' end,
        error_message = case when d.enabled then r.error_message else 'No user tracks this series any more' end,
        finished_at = case when d.enabled then r.finished_at else now() end,
        updated_at = now()
    from public.job_definitions d
    where d.symbol = any (p_symbols)
        and r.job_def_id = d.id
        and r.status = 'queued'
        and (not d.enabled or (r.priority, r.by_interest) is distinct from (d.priority, d.by_interest));
end
$$;

-- Creates one definition per symbol and wanted timeframe, then updates them from all users' interest. Runs as its
-- owner: users may only write what they track.
create function public.auto_create_jobs_for_tracked_symbols() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_symbols text[];
    v_user uuid;
begin
    if tg_op = 'INSERT' then
        -- Users are capped, so that one user can't fill the queue for all.
        for v_user in select distinct user_id from changed order by user_id loop
            perform barkeep.lock_user(v_user);
            if (select count(distinct symbol_id) from public.user_symbol_tracking where user_id = v_user)
                > barkeep.symbols_allowed(v_user)
            then
                raise exception 'At most % symbols per user', barkeep.symbols_allowed(v_user)
                using errcode = 'BK001', hint = 'Remove some symbols first.';
            end if;
        end loop;
    end if;

    select array_agg(distinct s.ticker) into v_symbols
    from changed c join public.symbols s on s.id = c.symbol_id;
    if v_symbols is null then
        return null;
    end if;
    perform barkeep.lock_interest(v_symbols);

    if tg_op <> 'DELETE' then
        insert into public.job_definitions (symbol, timeframe, job_type, window_days, enabled)
        select distinct s.ticker, f.timeframe, barkeep.job_type(f.timeframe), barkeep.window_days(f.timeframe), s.active
        from changed c
        join public.symbols s on s.id = c.symbol_id
        cross join unnest(c.timeframes) as f (timeframe)
        order by 1, 2
        on conflict (symbol, timeframe, job_type) do nothing;
    end if;
    perform barkeep.refresh_definitions(v_symbols);
    -- A hint without content: a process that misses it finds the same at its next tick.
    perform pg_notify('barkeep_wake', '');
    return null;
end
$$;

create trigger trigger_auto_create_jobs
after insert on public.user_symbol_tracking
referencing new table as changed
for each statement execute function public.auto_create_jobs_for_tracked_symbols();

create trigger trigger_auto_create_jobs_on_update
after update on public.user_symbol_tracking
referencing new table as changed
for each statement execute function public.auto_create_jobs_for_tracked_symbols();

create trigger trigger_auto_create_jobs_on_delete
after delete on public.user_symbol_tracking
referencing old table as changed
for each statement execute function public.auto_create_jobs_for_tracked_symbols();

-- Tracks p_symbols for the caller: symbols, tracking, definitions and order of the queue, all or nothing, in one round
-- trip. The caller is identified by auth.uid() alone. Returns the seven fields that clients decode.
create function public.sync_user_symbols(
    p_symbols text[], p_source text, p_timeframes text[] default '{m15,h1,h4}'
) returns jsonb
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_user uuid := auth.uid();
    v_tickers text[];
    v_bad text;
    v_updated int;
begin
    if v_user is null then
        raise exception 'Not signed in' using errcode = '28000', hint = 'Send a token whose sub is a user.';
    end if;
    if coalesce(cardinality(p_symbols), 0) = 0 then
        raise exception 'No symbols provided' using errcode = '22023';
    end if;
    if barkeep.source_priority(p_source) is null then
        raise exception 'Invalid source. Must be: watchlist, recent_search, or chart_view' using errcode = '22023';
    end if;
    select f into v_bad from unnest(p_timeframes) f where barkeep.window_days(f) is null limit 1;
    if found or coalesce(cardinality(p_timeframes), 0) = 0 then
        raise exception 'Invalid timeframe: %', coalesce(v_bad, 'none given')
        using errcode = '22023', hint = 'Valid timeframes are m1, m5, m15, m30, h1, h4, d1 and w1.';
    end if;
    select s into v_bad from unnest(p_symbols) s where barkeep.canonical_ticker(s) is null limit 1;
    if found then
        raise exception 'Invalid symbol: %', coalesce(left(v_bad, 40), 'null') using errcode = '22023';
    end if;
    select array_agg(t order by t) into v_tickers
    from (select distinct barkeep.canonical_ticker(s) as t from unnest(p_symbols) s) d;
    -- The trigger enforces the limit; this check keeps one call from taking all of the server's locks.
    if cardinality(v_tickers) > barkeep.symbols_allowed(v_user) then
        raise exception 'At most % symbols per user', barkeep.symbols_allowed(v_user) using errcode = 'BK001';
    end if;

    -- The user before the symbols, as in the trigger.
    perform barkeep.lock_user(v_user);
    perform barkeep.lock_interest(v_tickers);
    insert into public.symbols (ticker, asset_type, calendar)
    select t, barkeep.asset_type_of(t), barkeep.calendar_of(barkeep.asset_type_of(t))
    from unnest(v_tickers) t
    on conflict (ticker) do nothing;

    insert into public.user_symbol_tracking as held (user_id, symbol_id, source, priority, timeframes)
    select v_user, s.id, p_source, barkeep.source_priority(p_source), w.timeframes
    from public.symbols s
    cross join (select array_agg(distinct f) as timeframes from unnest(p_timeframes) f) w
    where s.ticker = any (v_tickers)
    order by s.ticker
    on conflict (user_id, symbol_id, source) do update
    set timeframes = (select array_agg(distinct f) from unnest(held.timeframes || excluded.timeframes) f),
        updated_at = now();

    select count(*) into v_updated
    from public.job_definitions d
    where d.symbol = any (v_tickers) and d.timeframe = any (p_timeframes);

    return jsonb_build_object(
        'success', true,
        'symbols_tracked', cardinality(v_tickers),
        'symbols_requested', cardinality(p_symbols),
        'timeframes', (select count(distinct f) from unnest(p_timeframes) f),
        'jobs_updated', v_updated,
        'priority', barkeep.source_priority(p_source),
        'source', p_source
    );
end
$$;

-- Removes the caller's interest in p_symbols: from one source, or from all if p_source is null. Returns the number of
-- symbols.
create function public.untrack_user_symbols(p_symbols text[], p_source text default null) returns int
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_tickers text[];
    v_gone int;
begin
    select array_agg(s.ticker) into v_tickers
    from public.user_symbol_tracking t
    join public.symbols s on s.id = t.symbol_id
    where t.user_id = auth.uid() and s.ticker in (select barkeep.canonical_ticker(p) from unnest(p_symbols) p);
    -- Before the rows, as a concurrent call that tracks the same symbols does.
    perform barkeep.lock_interest(v_tickers);
    with gone as (
        delete from public.user_symbol_tracking t
        using public.symbols s
        where t.user_id = auth.uid()
            and t.symbol_id = s.id
            and s.ticker = any (v_tickers)
            and (p_source is null or t.source = p_source)
        returning t.symbol_id
    )
    select count(distinct symbol_id) into v_gone from gone;
    return v_gone;
end
$$;

-- Removes expired interest. Returns the number of rows.
create function barkeep.expire_interest() returns int
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_tickers text[];
    v_gone int;
begin
    select array_agg(s.ticker) into v_tickers
    from public.user_symbol_tracking t
    join public.symbols s on s.id = t.symbol_id
    where not barkeep.is_live(t.source, t.updated_at);
    if v_tickers is null then
        return 0;
    end if;
    perform barkeep.lock_interest(v_tickers);
    delete from public.user_symbol_tracking t
    using public.symbols s
    where t.symbol_id = s.id and s.ticker = any (v_tickers) and not barkeep.is_live(t.source, t.updated_at);
    get diagnostics v_gone = row_count;
    return v_gone;
end
$$;
