-- Claims: which worker fetches which runs, and until when. A pack is several runs that one request can serve.

-- The next run of the queue, foreground or background, locked, and the candidates for its pack: runs of the same
-- symbol, the nearest first; then runs of other symbols that end where one of those does; then the next ones of the
-- queue. All have the same calendar, and the same number of failures: runs that fail repeatedly are packed with one
-- another, in ever smaller packs. p_symbols restricts them, and p_crypto to pairs or to other symbols.
--
-- Foreground claims are serialised until the transaction ends, and background claims likewise: concurrent ones would
-- split the packs. Foreground claims never wait for background claims.
create function barkeep.pack_candidates(p_by_interest boolean, p_symbols text[], p_crypto boolean)
returns table (
    place text, id uuid, symbol text, symbol_id uuid, calendar text, timeframe text, slice_from timestamptz,
    slice_to timestamptz, by_interest boolean, priority int, failures int
)
language plpgsql
set search_path = pg_catalog, pg_temp
-- Statistics of a queue are always outdated: it may just have grown, or be empty. Its table is never scanned
-- sequentially.
set enable_seqscan = off
set jit = off
as $$
#variable_conflict use_column
declare
    v_head public.job_runs;
    v_calendar text;
    v_own uuid[];
    v_alike uuid[];
    v_next uuid[];
    v_at timestamptz;
begin
    -- If there is no such run, no lock is taken.
    if not exists (
        select from public.job_runs r
        where r.status = 'queued' and r.by_interest = p_by_interest and r.run_after <= clock_timestamp()
            and (p_symbols is null or r.symbol = any (p_symbols))
            and (p_crypto is null or (barkeep.asset_type_of(r.symbol) = 'crypto') = p_crypto)
    ) then
        return;
    end if;
    perform pg_advisory_xact_lock(
        hashtextextended(case when p_by_interest then 'barkeep claim, interest' else 'barkeep claim' end, 0)
    );
    v_at := clock_timestamp();
    select r.* into v_head from public.job_runs r
    where r.status = 'queued' and r.by_interest = p_by_interest and r.run_after <= v_at
        and (p_symbols is null or r.symbol = any (p_symbols))
        and (p_crypto is null or (barkeep.asset_type_of(r.symbol) = 'crypto') = p_crypto)
    order by r.rank_at, r.slice_to desc, r.id
    limit 1
    for update skip locked;
    if not found then
        return;
    end if;
    select s.calendar into v_calendar from public.symbols s where s.ticker = v_head.symbol;

    select array_agg(o.id order by o.away, o.slice_to desc, o.timeframe) into v_own
    from (
        select r.id, r.slice_to, r.timeframe,
            greatest(r.slice_from - v_head.slice_to, v_head.slice_from - r.slice_to) as away
        from public.job_runs r
        where r.status = 'queued' and r.symbol = v_head.symbol and r.id <> v_head.id
            and r.run_after <= v_at and r.failures = v_head.failures
        order by away, r.slice_to desc, r.timeframe
        limit 200
    ) o;

    select array_agg(a.id order by a.by_interest desc, a.rank_at, a.id) into v_alike
    from (
        select r.id, r.by_interest, r.rank_at from public.job_runs r
        where r.status = 'queued' and r.symbol <> v_head.symbol
            and r.run_after <= v_at and r.failures = v_head.failures
            and (p_symbols is null or r.symbol = any (p_symbols))
            and r.slice_to in (
                select v_head.slice_to
                union
                select o.slice_to from public.job_runs o
                where o.id = any (v_own) and o.slice_from < v_head.slice_to and o.slice_to > v_head.slice_from
            )
        order by r.by_interest desc, r.rank_at, r.id
        limit 1000
    ) a;

    select array_agg(q.id) into v_next
    from (
        select r.id from public.job_runs r
        where r.status = 'queued' and r.run_after <= v_at
            and (p_symbols is null or r.symbol = any (p_symbols))
        order by r.by_interest desc, r.rank_at, r.slice_to desc, r.id
        limit 100
    ) q;

    -- Selected by id first, for the same reason: rather than by symbol.
    return query
    with runs as materialized (
        select r.* from public.job_runs r
        where r.id = any (array[v_head.id] || v_own || v_alike || v_next)
    )
    select p.place, r.id, r.symbol, s.id, s.calendar, r.timeframe, r.slice_from, r.slice_to, r.by_interest, r.priority,
        r.failures
    from (
        select distinct on (c.id) c.place, c.id, c.rank, c.n
        from (
            select 'head' as place, v_head.id as id, 0 as rank, 1::bigint as n
            union all
            select 'own', o.id, 1, o.n from unnest(v_own) with ordinality as o (id, n)
            union all
            select 'alike', a.id, 2, a.n from unnest(v_alike) with ordinality as a (id, n)
            union all
            select 'next', q.id, 3, q.n from unnest(v_next) with ordinality as q (id, n)
        ) c
        order by c.id, c.rank
    ) p
    join runs r on r.id = p.id
    join public.symbols s on s.ticker = r.symbol
    where s.calendar = v_calendar and r.failures = v_head.failures
    order by p.rank, p.n;
end
$$;

-- Claims those of p_runs that are still queued, for p_worker.
create function barkeep.claim_chosen(p_worker text, p_lease interval, p_runs uuid[]) returns setof public.job_runs
language sql
set search_path = pg_catalog, pg_temp
as $$
    with free as (
        select r.id from public.job_runs r
        where r.id = any (p_runs) and r.status = 'queued'
        order by r.id
        for update skip locked
    )
    update public.job_runs r
    set status = 'running', attempt = r.attempt + 1, worker = p_worker, started_at = clock_timestamp(),
        lease_until = clock_timestamp() + p_lease, error_message = null, error_code = null,
        updated_at = clock_timestamp()
    from free
    where r.id = free.id
    returning r.*
$$;

-- Claims up to p_limit queued runs for p_worker: foreground before background (or the other way round, for the one slot
-- in five reserved for the background), by rank, the newest slice first. p_symbols restricts them. One after the other,
-- since with a limit unknown to the planner PostgreSQL would scan the whole table.
create function barkeep.claim_runs(
    p_worker text, p_limit int, p_lease interval, p_background_first boolean, p_symbols text[]
) returns setof public.job_runs
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_id uuid;
begin
    for n in 1..p_limit loop
        if p_background_first then
            select r.id into v_id from public.job_runs r
            where r.status = 'queued' and r.run_after <= clock_timestamp()
                and (p_symbols is null or r.symbol = any (p_symbols))
            order by r.by_interest, r.rank_at, r.slice_to desc, r.id
            limit 1
            for update skip locked;
        else
            select r.id into v_id from public.job_runs r
            where r.status = 'queued' and r.run_after <= clock_timestamp()
                and (p_symbols is null or r.symbol = any (p_symbols))
            order by r.by_interest desc, r.rank_at, r.slice_to desc, r.id
            limit 1
            for update skip locked;
        end if;
        exit when not found;
        return query
        update public.job_runs r
        set status = 'running', attempt = r.attempt + 1, worker = p_worker, started_at = clock_timestamp(),
            lease_until = clock_timestamp() + p_lease, error_message = null, error_code = null,
            updated_at = clock_timestamp()
        where r.id = v_id
        returning r.*;
    end loop;
end
$$;

-- For workers other than Barkeep's own: claims the next run with a lease of ten minutes.
create function public.claim_queued_job()
returns table (
    job_run_id uuid, symbol text, timeframe text, job_type text, slice_from timestamptz, slice_to timestamptz
)
language sql
set search_path = pg_catalog, pg_temp
as $$
    select r.id, r.symbol, r.timeframe, r.job_type, r.slice_from, r.slice_to
    from barkeep.claim_runs('claim_queued_job', 1, interval '10 minutes', false, null) r
$$;

-- Renews the leases of p_runs that p_worker still holds, and returns their ids.
create function barkeep.renew_leases(p_worker text, p_lease interval, p_runs uuid[], p_attempts int[])
returns setof uuid
language sql
set search_path = pg_catalog, pg_temp
as $$
    with held as (
        select r.id
        from unnest(p_runs, p_attempts) as u (id, attempt)
        join public.job_runs r on r.id = u.id
        where r.worker = p_worker and r.attempt = u.attempt and r.status = 'running'
            and r.lease_until > clock_timestamp()
        order by r.id
        for update of r
    )
    update public.job_runs r
    set lease_until = clock_timestamp() + p_lease, updated_at = clock_timestamp()
    from held
    where r.id = held.id
    returning r.id
$$;

-- Requeues the runs of lost workers; after 25 claims a run whose workers all were lost fails. p_worker_prefix: workers
-- known to be dead, regardless of their leases.
create function barkeep.release_leases(p_worker_prefix text default null) returns int
language sql
set search_path = pg_catalog, pg_temp
as $$
    with freed as (
        update public.job_runs
        set status = case when attempt >= 25 then 'failed' else 'queued' end,
            error_code = case when attempt >= 25 then 'worker_lost' end,
            error_message = case
                when attempt >= 25 then 'No worker finished it in 25 claims; "barkeep backfill" with the symbol queues it again'
            end,
            finished_at = case when attempt >= 25 then clock_timestamp() end,
            worker = null, lease_until = null, run_after = clock_timestamp(), updated_at = clock_timestamp()
        where status = 'running'
            and (lease_until < clock_timestamp() or starts_with(worker, p_worker_prefix))
        returning id
    )
    select count(*)::int from freed
$$;

-- The previous system's name for the same, for operators' scripts: runs that have been running for p_minutes or lost
-- their lease.
create function public.reset_stale_running_jobs(p_minutes int default 60, p_max_attempts int default 5)
returns table (reset_count int)
language sql
set search_path = pg_catalog, pg_temp
as $$
    with freed as (
        update public.job_runs r
        set status = case when r.failures >= p_max_attempts then 'failed' else 'queued' end,
            finished_at = case when r.failures >= p_max_attempts then clock_timestamp() end,
            error_code = case when r.failures >= p_max_attempts then 'worker_lost' else r.error_code end,
            error_message = case
                when r.failures >= p_max_attempts then 'Its worker was lost, and it had failed too often before'
                else r.error_message
            end,
            worker = null, lease_until = null, run_after = clock_timestamp(), updated_at = clock_timestamp()
        where r.status = 'running'
            and (r.lease_until < clock_timestamp()
                or r.started_at < clock_timestamp() - make_interval(mins => p_minutes))
        returning r.id
    )
    select count(*)::int from freed
$$;
