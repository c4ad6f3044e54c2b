-- The queue, and what has been answered.

create table public.job_runs (
    id uuid primary key default gen_random_uuid(),
    job_def_id uuid not null references public.job_definitions on delete cascade,
    symbol text not null,
    timeframe text not null,
    job_type text not null,
    slice_from timestamptz not null,
    slice_to timestamptz not null,
    status text not null default 'queued' check (status in ('queued', 'running', 'success', 'failed', 'cancelled')),
    progress_percent int not null default 0 check (progress_percent between 0 and 100),
    rows_written bigint not null default 0,
    provider text,
    -- How often it was claimed; with worker it fences the outcome.
    attempt int not null default 0,
    -- How often the provider failed it: five, and it is failed for good.
    failures int not null default 0,
    error_message text,
    error_code text,
    triggered_by text not null default 'cron',
    requests int not null default 0,
    priority int not null default 0,
    by_interest boolean not null default false,
    -- created_at - priority * 6 s: 300 goes before 100 unless the 100 has waited 20 minutes longer. A plain column,
    -- rewritten when interest changes: timestamptz arithmetic is not immutable, so it can't be generated.
    rank_at timestamptz not null default now(),
    run_after timestamptz not null default now(),
    worker text,
    lease_until timestamptz,
    started_at timestamptz,
    finished_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    check (slice_from < slice_to)
);
create index job_runs_claim on public.job_runs (by_interest desc, rank_at, slice_to desc, id) where status = 'queued';
create index job_runs_claim_background on public.job_runs (by_interest, rank_at, slice_to desc, id)
where status = 'queued';
create index job_runs_lease on public.job_runs (lease_until) where status = 'running';
create index job_runs_series on public.job_runs (symbol, timeframe, created_at desc);
create index job_runs_open on public.job_runs (job_def_id) where status in ('queued', 'running', 'failed');
create index job_runs_created on public.job_runs (created_at desc);

create table public.coverage_status (
    symbol text not null references public.symbols (ticker) on update cascade on delete cascade,
    timeframe text not null,
    -- The outer bounds of `covered`.
    from_ts timestamptz,
    to_ts timestamptz,
    -- What a provider has answered for, with bars or with verified emptiness; runs on through closed hours.
    covered tstzmultirange not null default '{}',
    -- What the provider can't give, and why.
    unavailable tstzmultirange not null default '{}',
    unavailable_reason text,
    last_success_at timestamptz,
    last_rows_written bigint not null default 0,
    last_provider text,
    updated_at timestamptz not null default now(),
    primary key (symbol, timeframe)
);
create index coverage_status_updated on public.coverage_status (updated_at);

-- Whole sessions that came back without a bar: covered, but asked for once more before that is believed.
create table barkeep.empty_sessions (
    symbol text not null references public.symbols (ticker) on update cascade on delete cascade,
    timeframe text not null,
    -- On the market's clock.
    recheck_at timestamptz not null,
    ranges tstzmultirange not null,
    primary key (symbol, timeframe, recheck_at)
);
