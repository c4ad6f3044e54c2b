-- Definitions: the series that are kept, one per symbol and timeframe.

create table public.job_definitions (
    id uuid primary key default gen_random_uuid(),
    symbol text not null references public.symbols (ticker) on update cascade on delete cascade,
    timeframe text not null check (timeframe in ('m1', 'm5', 'm15', 'm30', 'h1', 'h4', 'd1', 'w1')),
    job_type text not null check (job_type in ('fetch_intraday', 'fetch_historical')),
    window_days int not null check (window_days between 1 and 36600),
    -- The highest live interest of any user, or base_priority.
    priority int not null default 0 check (priority between 0 and 1000),
    enabled boolean not null default true,
    -- Kept in the background at this priority without any interest; null: only while there is interest.
    base_priority int check (base_priority between 0 and 1000),
    by_interest boolean not null default false,
    suspended_at timestamptz,
    suspended_reason text,
    -- On the market's clock: not planned before.
    next_due_at timestamptz not null default 'epoch' check (isfinite(next_due_at)),
    -- Why it is due before its next bar; null: it isn't.
    due_reason text default 'new series',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    unique (symbol, timeframe, job_type)
);
create index job_definitions_due on public.job_definitions (next_due_at) where enabled and suspended_at is null;

create function barkeep.window_days(p_timeframe text) returns int
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select case p_timeframe
        when 'm1' then 7
        when 'm5' then 14
        when 'm15' then 30
        when 'm30' then 60
        when 'h1' then 90
        when 'h4' then 365
        when 'd1' then 730
        when 'w1' then 730
    end
$$;

create function barkeep.job_type(p_timeframe text) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select case when p_timeframe in ('d1', 'w1') then 'fetch_historical' else 'fetch_intraday' end
$$;

-- Makes series due at p_at on the market's clock, or at once if that is omitted: the only way to have the planner plan
-- a series before its next bar (from Rust: definitions::due_now). p_reason is kept in due_reason until the series is
-- planned. A series that is due by then anyway is not changed. Returns how many became due sooner.
create function barkeep.make_due(p_definitions uuid[], p_reason text, p_at timestamptz default 'epoch') returns int
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_sooner int;
begin
    -- Locked first, by a separate statement: a planner that holds one is about to set its next due time. Always in this
    -- order, for every transaction that changes several of them.
    perform from public.job_definitions d where d.id = any (p_definitions) order by d.id for no key update;
    update public.job_definitions d
    set next_due_at = p_at, due_reason = p_reason
    where d.id = any (p_definitions) and d.next_due_at > p_at;
    get diagnostics v_sooner = row_count;
    return v_sooner;
end
$$;
