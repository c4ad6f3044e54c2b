-- What people want (user_symbol_tracking) and what is kept for it (job_definitions).

create table public.job_definitions (
    id uuid primary key default gen_random_uuid(),
    symbol text not null references public.symbols (ticker) on update cascade on delete cascade,
    timeframe text not null check (timeframe in ('m1', 'm5', 'm15', 'm30', 'h1', 'h4', 'd1', 'w1')),
    job_type text not null check (job_type in ('fetch_intraday', 'fetch_historical')),
    window_days int not null check (window_days between 1 and 36600),
    -- The highest live interest in it by anybody, or base_priority.
    priority int not null default 0 check (priority between 0 and 1000),
    enabled boolean not null default true,
    -- Kept up in the background at this priority though nobody asks; null: only while somebody is interested.
    base_priority int check (base_priority between 0 and 1000),
    by_interest boolean not null default false,
    suspended_at timestamptz,
    suspended_reason text,
    -- On the market's clock: not looked at before.
    next_due_at timestamptz not null default 'epoch' check (isfinite(next_due_at)),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    unique (symbol, timeframe, job_type)
);
create index job_definitions_due on public.job_definitions (next_due_at) where enabled and suspended_at is null;

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
