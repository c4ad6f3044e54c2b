-- Outcomes of runs, and their effects. Nothing here notifies for each run: the callers do, at most a few times a
-- second.

-- Whether the caller still holds the run's lease: the fence that an outcome must pass.
create function barkeep.has_lease(p_run public.job_runs, p_worker text, p_attempt int) returns boolean
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
    select p_run.status = 'running' and p_run.worker = p_worker and p_run.attempt = p_attempt
        and p_run.lease_until > clock_timestamp()
$$;

-- Locks what the outcome of p_runs changes, in the order of all transactions: series, runs, definitions. Returns those
-- that p_worker still holds: nothing may be written for the others.
create function barkeep.lock_runs(p_worker text, p_runs uuid[], p_attempts int[]) returns setof uuid
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_series record;
    v_held uuid[];
begin
    for v_series in
        select distinct r.symbol, r.timeframe from public.job_runs r where r.id = any (p_runs)
        order by r.symbol, r.timeframe
    loop
        perform barkeep.lock_series(v_series.symbol, v_series.timeframe);
    end loop;
    with locked as (
        select r.id, r as run from public.job_runs r where r.id = any (p_runs) order by r.id for update
    )
    select array_agg(l.id) into v_held
    from locked l
    join unnest(p_runs, p_attempts) as u (id, attempt) on u.id = l.id
    where barkeep.has_lease(l.run, p_worker, u.attempt);
    perform from public.job_definitions d
    where d.id in (select r.job_def_id from public.job_runs r where r.id = any (v_held))
    order by d.id
    for no key update;
    return query select unnest(v_held);
end
$$;

-- Records the runs' outcomes and their coverage, in the transaction that stored their bars and locked them (lock_runs).
-- False: p_worker doesn't hold one of them any more, and the caller must roll back. p_from to p_to is the covered part
-- of a slice; equal if nothing is covered.
create function barkeep.finish_runs(
    p_worker text, p_runs uuid[], p_attempts int[], p_from timestamptz[], p_to timestamptz[], p_rows bigint[],
    p_requests int[], p_provider text
) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
-- For arrays of any length; none of these tables is ever scanned sequentially.
set enable_seqscan = off
set jit = off
as $$
#variable_conflict use_column
declare
    v_now timestamptz := barkeep.market_now();
    v_ended int;
begin
    update public.job_runs r
    set status = 'success', progress_percent = 100, rows_written = u.n, provider = p_provider,
        requests = r.requests + u.requests, lease_until = null, finished_at = clock_timestamp(),
        updated_at = clock_timestamp()
    from unnest(p_runs, p_attempts, p_rows, p_requests) as u (id, attempt, n, requests)
    where r.id = u.id and barkeep.has_lease(r, p_worker, u.attempt);
    get diagnostics v_ended = row_count;
    if v_ended < cardinality(p_runs) then
        return false;
    end if;

    insert into public.coverage_status (symbol, timeframe)
    select distinct r.symbol, r.timeframe from public.job_runs r where r.id = any (p_runs)
    order by 1, 2
    on conflict (symbol, timeframe) do nothing;

    with answered as materialized (
        select r.symbol, r.timeframe, s.id as symbol_id, s.calendar, k.time_zone, sum(u.n) as n,
            coalesce(range_agg(tstzrange(u.f, u.t)), '{}') as ranges,
            coalesce(
                range_agg(barkeep.through_closed_hours(s.calendar, tstzrange(u.f, u.t))) filter (where u.f < u.t), '{}'
            ) as closed
        from unnest(p_runs, p_from, p_to, p_rows) as u (id, f, t, n)
        join public.job_runs r on r.id = u.id
        join public.symbols s on s.ticker = r.symbol
        join barkeep.market_calendars k on k.calendar = s.calendar
        group by r.symbol, r.timeframe, s.id, s.calendar, k.time_zone
    ),
    series as materialized (
        select a.*,
            (
                select c.covered + a.closed from public.coverage_status c
                where c.symbol = a.symbol and c.timeframe = a.timeframe
            ) as covered,
            coalesce((
                select range_agg(e.ranges) from barkeep.empty_sessions e
                where e.symbol = a.symbol and e.timeframe = a.timeframe
            ), '{}') as noted
        from answered a
    ),
    -- Sessions that were requested a second time and are empty again count as verified; those not yet due keep their
    -- due time.
    believed_in_part as (
        update barkeep.empty_sessions e
        set ranges = e.ranges - a.closed
        from series a
        where e.symbol = a.symbol and e.timeframe = a.timeframe and not isempty(a.noted)
            and e.recheck_at <= v_now and e.ranges && a.closed and not e.ranges <@ a.closed
    ),
    believed as (
        delete from barkeep.empty_sessions e
        using series a
        where e.symbol = a.symbol and e.timeframe = a.timeframe and not isempty(a.noted)
            and e.recheck_at <= v_now and e.ranges <@ a.closed
    ),
    -- Sessions that are completely covered now, though this response may have covered only the last of their bars, and
    -- in which no bar starts. Written so that each lookup uses its index whatever the statistics say: the tables may
    -- have been filled a second ago.
    empty as (
        select a.symbol, a.timeframe, range_agg(s.session) - a.noted as ranges
        from series a
        cross join unnest(a.closed) as piece
        cross join lateral (
            select tstzrange(m.open_at, m.close_at) as session, m.session_date::timestamp at time zone a.time_zone as day
            from barkeep.market_sessions m
            where m.calendar = a.calendar
                and m.open_at < upper(piece) and m.open_at > lower(piece) - interval '24 hours'
            offset 0
        ) s
        where a.timeframe <> 'w1' and a.ranges && s.session and a.covered @> s.session
            and (
                select b.ts from barkeep.bars(a.symbol_id, a.timeframe, s.day, upper(s.session)) b limit 1
            ) is null
        group by a.symbol, a.timeframe, a.noted
    ),
    note_empty as (
        insert into barkeep.empty_sessions (symbol, timeframe, recheck_at, ranges)
        select m.symbol, m.timeframe, v_now + interval '1 day', m.ranges from empty m where not isempty(m.ranges)
        on conflict (symbol, timeframe, recheck_at) do update set ranges = empty_sessions.ranges + excluded.ranges
    )
    update public.coverage_status c
    set covered = a.covered,
        from_ts = lower(a.covered),
        to_ts = upper(a.covered),
        last_success_at = clock_timestamp(),
        last_rows_written = a.n,
        last_provider = p_provider,
        updated_at = clock_timestamp()
    from series a
    where c.symbol = a.symbol and c.timeframe = a.timeframe;

    -- What the response left uncovered is planned again soon, not only when the next bar is due.
    perform barkeep.make_due(
        array(
            select r.job_def_id
            from unnest(p_runs, p_from, p_to) as u (id, f, t)
            join public.job_runs r on r.id = u.id
            where u.f = u.t or u.t < r.slice_to
        ),
        'a response was incomplete', v_now + interval '1 minute'
    );
    return true;
end
$$;

-- Records a failure. A failed run is requeued. If the request or its response is to blame (p_counts) the fifth failure
-- ends it as failed instead, and so does p_final; if the provider only asked to wait, it is requeued unchanged. p_unanswered
-- is the account that gave no answer, or broke off in the middle of one (p_in_part): a run for which that happens three times
-- while others are answered, or in the middle, is to blame, and while nobody is answered nothing is. False: the lease went to another worker.
create function barkeep.record_failure(
    p_run uuid, p_worker text, p_attempt int, p_code text, p_message text, p_retry_after interval, p_counts boolean,
    p_unanswered text, p_in_part boolean, p_final boolean, p_requests int
) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_run public.job_runs;
    v_over boolean;
    -- The provider has answered others since this run's last request.
    v_alone boolean := false;
begin
    select * into v_run from public.job_runs where id = p_run for update;
    if not found or not barkeep.has_lease(v_run, p_worker, p_attempt) then
        return false;
    end if;
    if p_unanswered is not null then
        v_alone := p_in_part or exists (
            select from barkeep.provider_health h
            where h.account = p_unanswered and h.last_good_at > coalesce(v_run.unanswered_at, v_run.started_at)
        );
        p_counts := v_run.unanswered + v_alone::int >= 3;
    end if;
    v_over := p_final or (p_counts and v_run.failures + 1 >= 5);
    update public.job_runs
    set status = case when v_over then 'failed' else 'queued' end,
        failures = failures + p_counts::int,
        unanswered = unanswered + v_alone::int,
        unanswered_at = case when p_unanswered is null then unanswered_at else clock_timestamp() end,
        attempt = attempt - (not p_counts and not v_over)::int,
        error_code = p_code,
        error_message = p_message,
        requests = requests + p_requests,
        worker = null,
        lease_until = null,
        run_after = case when v_over then run_after else clock_timestamp() + p_retry_after end,
        finished_at = case when v_over then clock_timestamp() end,
        updated_at = clock_timestamp()
    where id = p_run;
    return true;
end
$$;

-- No provider knows the symbol: no bars are requested until a later check finds it. A symbol that was listed once is
-- not unknown.
create function barkeep.suspend_symbol(p_symbol text, p_reason text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    perform barkeep.lock_interest(array[p_symbol]);
    -- In one order, as every transaction that changes several of them does.
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

-- An asset list contains the symbol: its details are stored, and suspended series are fetched again.
create function barkeep.resume_symbol(p_symbol text, p_description text, p_exchange text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_resumed uuid[];
begin
    perform barkeep.lock_interest(array[p_symbol]);
    perform from public.job_definitions d where d.symbol = p_symbol order by d.id for no key update;
    update public.symbols
    set listing = 'listed', listing_checked_at = now(), updated_at = now(),
        description = case when description = '' then coalesce(p_description, '') else description end,
        exchange = case when exchange = '' then coalesce(p_exchange, '') else exchange end
    where ticker = p_symbol;
    with resumed as (
        update public.job_definitions
        set suspended_at = null, suspended_reason = null, updated_at = now()
        where symbol = p_symbol and suspended_at is not null
        returning id
    )
    select array_agg(id) into v_resumed from resumed;
    perform barkeep.make_due(v_resumed, 'a provider lists its symbol now');
end
$$;
