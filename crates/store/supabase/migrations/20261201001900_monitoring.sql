-- Heartbeats, verification results, and functions for monitoring.

create table public.orchestrator_heartbeat (
    name text primary key,
    last_seen timestamptz,
    status text not null default 'never ran',
    message text,
    -- What the last round did, for callers that requested it.
    rounds bigint not null default 0,
    results jsonb,
    updated_at timestamptz not null default now()
);

insert into public.orchestrator_heartbeat (name) values ('orchestrator-tick');

-- Every running process sends a heartbeat every 20 s. Deleted when it ends, or a day after its last heartbeat.
create table barkeep.processes (
    -- The prefix of its worker names.
    name text primary key,
    parts text[] not null check (cardinality(parts) > 0 and parts <@ '{serve,plan,work,backfill}'::text[]),
    host text not null,
    pid int not null,
    version text not null,
    slots int not null default 0,
    -- Where its server listens.
    address text,
    -- Whether it receives notifications; null: not known yet.
    hears boolean,
    started_at timestamptz not null default now(),
    last_seen timestamptz not null default now()
);

-- Results of the last verification of each series: by `barkeep verify`, and a light one each night.
create table barkeep.verifications (
    symbol text not null references public.symbols (ticker) on update cascade on delete cascade,
    timeframe text not null,
    checked_at timestamptz not null default now(),
    -- Bars checked, and how many of them were fetched again.
    checked bigint not null,
    sampled bigint not null,
    -- Kind, start of the bar, and message of each finding.
    findings jsonb not null,
    primary key (symbol, timeframe)
);

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
        select (select count(*) from barkeep.bars(s.id, 'm15', null, null)) as m15,
            (select count(*) from barkeep.bars(s.id, 'h1', null, null)) as h1,
            (select count(*) from barkeep.bars(s.id, 'h4', null, null)) as h4
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

-- The same for text; what is not a uuid is an unknown user.
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
