-- The queue: slices to fetch, and failed runs to retry.

create table public.job_runs (
    id uuid primary key default gen_random_uuid(),
    job_def_id uuid not null references public.job_definitions on delete cascade,
    symbol text not null,
    timeframe text not null,
    job_type text not null,
    slice_from timestamptz not null,
    slice_to timestamptz not null,
    -- failed: not retried until it is queued again (automatically by barkeep.readmit_failed, or on request by
    -- barkeep.retry_failed). Only success and cancelled are terminal.
    status text not null default 'queued' check (status in ('queued', 'running', 'success', 'failed', 'cancelled')),
    progress_percent int not null default 0 check (progress_percent between 0 and 100),
    rows_written bigint not null default 0,
    provider text,
    -- How often it was claimed; together with worker it fences the outcome.
    attempt int not null default 0,
    -- Failures that it or its request is to blame for: five end it as failed.
    failures int not null default 0,
    -- How often its provider gave it no answer and answered others, and when it last gave none.
    unanswered int not null default 0,
    unanswered_at timestamptz,
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
create index job_runs_queued_symbol on public.job_runs (symbol) where status = 'queued';
create index job_runs_queued_end on public.job_runs (slice_to, by_interest desc, rank_at) where status = 'queued';
create index job_runs_lease on public.job_runs (lease_until) where status = 'running';
create index job_runs_series on public.job_runs (symbol, timeframe, created_at desc);
create index job_runs_open on public.job_runs (job_def_id) where status in ('queued', 'running', 'failed');
create index job_runs_created on public.job_runs (created_at desc);

-- Serialises planning and enqueueing of one series until the transaction ends.
create function barkeep.lock_series(p_symbol text, p_timeframe text) returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
    select pg_advisory_xact_lock(hashtextextended('barkeep series ' || p_symbol || ' ' || p_timeframe, 0))
$$;

-- Those of p_definitions that are due and enabled, locked with their series until the transaction ends, in the order in
-- which all transactions lock them. Another planner may have been faster.
create function barkeep.lock_due(p_definitions uuid[]) returns table (id uuid, window_days int)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_series record;
begin
    for v_series in
        select d.symbol, d.timeframe from public.job_definitions d where d.id = any (p_definitions)
        order by d.symbol, d.timeframe
    loop
        perform barkeep.lock_series(v_series.symbol, v_series.timeframe);
    end loop;
    return query
    select d.id, d.window_days from public.job_definitions d
    where d.id = any (p_definitions)
        and d.enabled and d.suspended_at is null and d.next_due_at <= barkeep.market_now()
    order by d.id
    for no key update;
end
$$;

-- Queues slices of a definition, [{"from": ..., "to": ...}, ...], except for ranges that are queued or running already
-- or have a failed run that waits for its retry: slices never overlap, and unavailable ranges are not requested on
-- every tick. Nothing is queued for a definition that is paused or suspended.
create function public.enqueue_job_slices(
    p_job_def_id uuid, p_symbol text, p_timeframe text, p_job_type text, p_slices jsonb,
    p_triggered_by text default 'cron'
) returns table (inserted_count int)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_definition public.job_definitions;
    v_taken tstzmultirange;
    v_count int;
begin
    perform barkeep.lock_series(p_symbol, p_timeframe);
    -- Locked, so that a concurrent change of its interest finds the new runs and ranks them too.
    select * into v_definition
    from public.job_definitions d
    where d.id = p_job_def_id
        and d.symbol = p_symbol and d.timeframe = p_timeframe and d.job_type = p_job_type
        and d.enabled and d.suspended_at is null
    for no key update;
    if not found then
        return query select 0;
        return;
    end if;
    select coalesce(range_agg(tstzrange(r.slice_from, r.slice_to)), '{}') into v_taken
    from public.job_runs r
    where r.job_def_id = p_job_def_id
        and r.status in ('queued', 'running', 'failed');

    insert into public.job_runs (
        job_def_id, symbol, timeframe, job_type, slice_from, slice_to, triggered_by, priority, by_interest, rank_at
    )
    with slices as (
        select e.n, tstzrange(
            coalesce(e.j ->> 'from', e.j ->> 'slice_from')::timestamptz,
            coalesce(e.j ->> 'to', e.j ->> 'slice_to')::timestamptz
        ) as slice
        from jsonb_array_elements(p_slices) with ordinality as e (j, n)
    ),
    fresh as (
        select tstzmultirange(s.slice) - v_taken - coalesce(
            range_agg(s.slice) over (order by s.n rows between unbounded preceding and 1 preceding), '{}'
        ) as pieces
        from slices s
    )
    select v_definition.id, v_definition.symbol, v_definition.timeframe, v_definition.job_type, lower(piece),
        upper(piece), p_triggered_by, v_definition.priority, v_definition.by_interest,
        now() - v_definition.priority * interval '6 seconds'
    from fresh cross join unnest(fresh.pieces) as piece;
    get diagnostics v_count = row_count;
    return query select v_count;
end
$$;

-- A requeued run takes its place by the current interest; without any it is cancelled. Changes of interest don't update
-- running runs.
create function barkeep.requeue() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_definition public.job_definitions;
begin
    select * into v_definition from public.job_definitions where id = new.job_def_id;
    new.priority := v_definition.priority;
    new.by_interest := v_definition.by_interest;
    new.rank_at := new.created_at - v_definition.priority * interval '6 seconds';
    if not v_definition.enabled or v_definition.suspended_at is not null then
        new.status := 'cancelled';
        new.error_message := coalesce(v_definition.suspended_reason, 'No user tracks this series any more');
        new.finished_at := clock_timestamp();
    end if;
    return new;
end
$$;

create trigger job_runs_requeue
before update on public.job_runs
for each row when (new.status = 'queued' and old.status <> 'queued')
execute function barkeep.requeue();

-- Queues failed runs again, of p_symbols or all: for each range the newest that isn't queued, running or covered by
-- another run meanwhile. Returns their number.
create function barkeep.retry_failed(p_symbols text[] default null) returns int
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_series record;
    v_taken tstzmultirange;
    v_covered tstzmultirange;
    v_run record;
    v_count int := 0;
begin
    for v_series in
        select distinct r.symbol, r.timeframe, r.job_def_id
        from public.job_runs r
        join public.job_definitions d on d.id = r.job_def_id and d.enabled and d.suspended_at is null
        where r.status = 'failed' and (p_symbols is null or r.symbol = any (p_symbols))
        order by r.symbol, r.timeframe
    loop
        perform barkeep.lock_series(v_series.symbol, v_series.timeframe);
        select coalesce(range_agg(tstzrange(r.slice_from, r.slice_to)), '{}') into v_taken
        from public.job_runs r
        where r.job_def_id = v_series.job_def_id and r.status in ('queued', 'running');
        select c.covered into v_covered
        from public.coverage_status c
        where c.symbol = v_series.symbol and c.timeframe = v_series.timeframe;
        for v_run in
            select r.id, tstzrange(r.slice_from, r.slice_to) as slice
            from public.job_runs r
            where r.job_def_id = v_series.job_def_id and r.status = 'failed'
            order by r.finished_at desc, r.id
        loop
            if not v_taken && v_run.slice and not coalesce(v_covered @> v_run.slice, false) then
                update public.job_runs
                set status = 'queued', failures = 0, unanswered = 0, attempt = 0, run_after = clock_timestamp(), finished_at = null,
                    updated_at = clock_timestamp()
                where id = v_run.id;
                v_taken := v_taken + tstzmultirange(v_run.slice);
                v_count := v_count + 1;
            end if;
        end loop;
    end loop;
    return v_count;
end
$$;

-- Queues failed runs again after some time: after a day if the request was refused or its workers were lost, else after
-- five minutes. One more failure and they wait again, so runs recover from an outage by themselves at little cost.
create function barkeep.readmit_failed() returns int
language sql
set search_path = pg_catalog, pg_temp
as $$
    with ripe as (
        select r.id
        from public.job_runs r
        join public.job_definitions d on d.id = r.job_def_id and d.enabled and d.suspended_at is null
        where r.status = 'failed'
            and r.finished_at < clock_timestamp() - case
                when r.error_code in ('refused', 'unavailable', 'worker_lost') then interval '1 day'
                else interval '5 minutes'
            end
            -- Another run may have been queued for the same range since.
            and not exists (
                select from public.job_runs o
                where o.job_def_id = r.job_def_id and o.id <> r.id
                    and tstzrange(o.slice_from, o.slice_to) && tstzrange(r.slice_from, r.slice_to)
                    and (o.status in ('queued', 'running')
                        or (o.status = 'failed' and (o.finished_at, o.id) > (r.finished_at, r.id)))
            )
            and not coalesce((
                select c.covered @> tstzrange(r.slice_from, r.slice_to)
                from public.coverage_status c
                where c.symbol = r.symbol and c.timeframe = r.timeframe
            ), false)
        for update of r skip locked
    ),
    readmitted as (
        update public.job_runs r
        set status = 'queued', failures = least(r.failures, 4), run_after = clock_timestamp(), finished_at = null,
            updated_at = clock_timestamp()
        from ripe
        where r.id = ripe.id
        returning r.id
    )
    select count(*)::int from readmitted
$$;
