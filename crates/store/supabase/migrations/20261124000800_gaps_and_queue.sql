-- What is missing, and the queue of what is to be fetched.

-- Serialises planning and enqueueing of one series until the transaction ends.
create function barkeep.lock_series(p_symbol text, p_timeframe text) returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
    select pg_advisory_xact_lock(hashtextextended('barkeep series ' || p_symbol || ' ' || p_timeframe, 0))
$$;

-- The window of a series as whole sessions: from the open of the first session on or after the day p_window_days ago
-- (for w1, of the first session of that week; before the calendar begins, of its first) to the end of its last final
-- bar.
create function barkeep.window_of(p_calendar text, p_timeframe text, p_window_days int) returns tstzrange
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now timestamptz := barkeep.market_now();
    v_day date;
    v_from timestamptz;
    v_to timestamptz;
begin
    select ((v_now at time zone c.time_zone) - make_interval(days => p_window_days))::date,
        barkeep.final_until(c.calendar, p_timeframe, v_now - c.grace)
    into v_day, v_to
    from barkeep.market_calendars c where c.calendar = p_calendar;
    if p_timeframe = 'w1' then
        v_day := date_trunc('week', v_day)::date;
    end if;
    -- Without sessions every series would look complete.
    if not exists (select from barkeep.market_sessions where calendar = p_calendar and open_at > v_now)
        or not exists (select from barkeep.market_sessions where calendar = p_calendar and open_at <= v_now)
    then
        raise exception 'The sessions of % do not reach to %', p_calendar, v_now
        using hint = 'Run "barkeep migrate", which fills barkeep.market_sessions from the calendar.';
    end if;
    -- By the day: for min(open_at) every session before it would be read.
    select open_at into v_from from barkeep.market_sessions
    where calendar = p_calendar and session_date >= v_day
    order by session_date
    limit 1;
    if v_to is null or v_from >= v_to then
        return 'empty';
    end if;
    return tstzrange(v_from, v_to);
end
$$;

-- The one definition of a gap: the series' window minus what is covered, minus what the provider can't give, with
-- closed market time taken out at both ends. Neighbouring missing sessions are one gap. Sessions that came back empty
-- count as covered until they are to be asked for once more. gap_hours is open market time.
create function public.get_coverage_gaps(p_symbol text, p_timeframe text, p_window_days int default 7)
returns table (gap_from timestamptz, gap_to timestamptz, gap_hours numeric)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_calendar text;
    v_window tstzrange;
    v_answered tstzmultirange;
begin
    select s.calendar into v_calendar from public.symbols s where s.ticker = barkeep.canonical_ticker(p_symbol);
    if not found or barkeep.window_days(p_timeframe) is null then
        return;
    end if;
    v_window := barkeep.window_of(v_calendar, p_timeframe, p_window_days);
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

-- Queues slices of a definition, [{"from": ..., "to": ...}, ...], less what is queued or running already and what
-- failed and waits to be admitted again: slices never overlap, and what can't be had is not asked for on every tick.
-- Nothing is queued for a definition that is paused or suspended.
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
    -- Held, so that whoever changes the interest in it meanwhile finds the new runs and ranks them too.
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

-- Claims up to p_limit queued runs for p_worker: what a person asked for before background work (or the other way
-- round, for the one slot in five that is kept for it), by rank, the newest slice first. p_symbols narrows it. One
-- after the other, since for a limit that it can't see the planner would read the whole table.
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

-- For workers that aren't Barkeep's own: claims the next run with a lease of ten minutes.
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

-- Whether the caller still holds the run; the fence before anything it fetched is believed.
create function barkeep.holds(p_run public.job_runs, p_worker text, p_attempt int) returns boolean
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
    select p_run.status = 'running' and p_run.worker = p_worker and p_run.attempt = p_attempt
        and p_run.lease_until > clock_timestamp()
$$;

-- The run's outcome and the coverage it brings, in the transaction that stored its bars. False: the lease went to
-- another meanwhile, and the caller must roll back. p_answered is the part of the slice that the provider answered
-- for; null when it could not be asked yet.
create function barkeep.finish_run(
    p_run uuid, p_worker text, p_attempt int, p_answered tstzrange, p_rows bigint, p_provider text, p_requests int
) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_run public.job_runs;
    v_symbol public.symbols;
    v_covered tstzrange;
    v_empty tstzmultirange;
    v_noted tstzmultirange;
begin
    -- The series before the run: the planner holds the series while it waits for a definition, and who changes a
    -- definition waits for its runs.
    perform barkeep.lock_series(r.symbol, r.timeframe) from public.job_runs r where r.id = p_run;
    select * into v_run from public.job_runs where id = p_run for update;
    if not found or not barkeep.holds(v_run, p_worker, p_attempt) then
        return false;
    end if;
    update public.job_runs
    set status = 'success', progress_percent = 100, rows_written = p_rows, provider = p_provider,
        requests = requests + p_requests, lease_until = null, finished_at = clock_timestamp(),
        updated_at = clock_timestamp()
    where id = p_run;

    insert into public.coverage_status (symbol, timeframe)
    values (v_run.symbol, v_run.timeframe)
    on conflict (symbol, timeframe) do nothing;
    if p_answered is not null and not isempty(p_answered) then
        select * into v_symbol from public.symbols where ticker = v_run.symbol;
        v_covered := barkeep.through_closed_hours(v_symbol.calendar, p_answered);

        -- What was asked for a second time and came back empty again is believed; what waits for that keeps its turn.
        select coalesce(range_agg(e.ranges), '{}') into v_noted
        from barkeep.empty_sessions e
        where e.symbol = v_run.symbol and e.timeframe = v_run.timeframe;
        update barkeep.empty_sessions e
        set ranges = e.ranges - tstzmultirange(v_covered)
        where e.symbol = v_run.symbol and e.timeframe = v_run.timeframe and e.recheck_at <= barkeep.market_now();
        delete from barkeep.empty_sessions e
        where e.symbol = v_run.symbol and e.timeframe = v_run.timeframe and isempty(e.ranges);

        -- Sessions that are covered as a whole by now: this answer may have brought no more than the last of their bars.
        if v_run.timeframe <> 'w1' then
            select range_agg(tstzrange(s.open_at, s.close_at)) - v_noted into v_empty
            from barkeep.market_sessions s
            join barkeep.market_calendars c on c.calendar = s.calendar
            join public.coverage_status held on held.symbol = v_run.symbol and held.timeframe = v_run.timeframe
            where s.calendar = v_symbol.calendar
                and s.close_at > lower(p_answered) and s.open_at < upper(p_answered)
                and s.open_at > lower(p_answered) - interval '24 hours'
                and held.covered + tstzmultirange(v_covered) @> tstzrange(s.open_at, s.close_at)
                and not exists (
                    select from public.ohlc_bars_v2 b
                    where b.symbol_id = v_symbol.id and b.timeframe = v_run.timeframe
                        and b.ts >= s.session_date::timestamp at time zone c.time_zone and b.ts < s.close_at
                );
            if v_empty is not null and not isempty(v_empty) then
                insert into barkeep.empty_sessions (symbol, timeframe, recheck_at, ranges)
                values (v_run.symbol, v_run.timeframe, barkeep.market_now() + interval '1 day', v_empty)
                on conflict (symbol, timeframe, recheck_at) do update
                set ranges = empty_sessions.ranges + excluded.ranges;
            end if;
        end if;
    end if;

    update public.coverage_status
    set covered = covered + coalesce(tstzmultirange(v_covered), '{}'),
        from_ts = lower(covered + coalesce(tstzmultirange(v_covered), '{}')),
        to_ts = upper(covered + coalesce(tstzmultirange(v_covered), '{}')),
        last_success_at = clock_timestamp(),
        last_rows_written = p_rows,
        last_provider = p_provider,
        updated_at = clock_timestamp()
    where symbol = v_run.symbol and timeframe = v_run.timeframe;
    -- What the answer left open is looked at again soon, not only when the next bar is due.
    if v_covered is null or upper(p_answered) < v_run.slice_to then
        update public.job_definitions
        set next_due_at = least(next_due_at, barkeep.market_now() + interval '1 minute')
        where id = v_run.job_def_id;
    end if;
    perform pg_notify('barkeep_events', '');
    return true;
end
$$;

-- A run that brought nothing. Where the provider or the answer is to blame (p_counts) five failures end it; where we
-- are only to wait, it goes back as it was. False: the lease went to another meanwhile.
create function barkeep.fail_run(
    p_run uuid, p_worker text, p_attempt int, p_code text, p_message text, p_retry_after interval, p_counts boolean,
    p_final boolean, p_requests int
) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_run public.job_runs;
    v_over boolean;
begin
    select * into v_run from public.job_runs where id = p_run for update;
    if not found or not barkeep.holds(v_run, p_worker, p_attempt) then
        return false;
    end if;
    v_over := p_final or (p_counts and v_run.failures + 1 >= 5);
    update public.job_runs
    set status = case when v_over then 'failed' else 'queued' end,
        failures = failures + p_counts::int,
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
    perform pg_notify('barkeep_events', '');
    return true;
end
$$;

-- Back in the queue a run takes the place that the interest of this moment gives it; with nobody interested it is over.
-- For a run that was claimed: changes of interest meanwhile have passed it by.
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
        new.error_message := coalesce(v_definition.suspended_reason, 'Nobody is interested in it any more');
        new.finished_at := clock_timestamp();
    end if;
    return new;
end
$$;

create trigger job_runs_requeue
before update on public.job_runs
for each row when (new.status = 'queued' and old.status <> 'queued')
execute function barkeep.requeue();

-- Queues failed runs again, of p_symbols or all: of each stretch the newest that isn't queued, running or fetched by
-- another run meanwhile. Returns how many.
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
                set status = 'queued', failures = 0, attempt = 0, run_after = clock_timestamp(), finished_at = null,
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

-- Queues runs again that failed some time ago, as they are: five minutes where the provider was to blame, a day where the
-- request was. One more failure and they wait again, so an outage ends by itself and costs no more than that.
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
                when r.error_code in ('transport', 'server', 'throttled') then interval '5 minutes'
                else interval '1 day'
            end
            -- Another run may have been queued for the same since.
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

-- Runs whose worker is gone go back to the queue; after 25 claims a run that outlives every worker is failed.
-- p_worker_prefix: workers known to be dead, whatever their leases say.
create function barkeep.release_leases(p_worker_prefix text default null) returns int
language sql
set search_path = pg_catalog, pg_temp
as $$
    with freed as (
        update public.job_runs
        set status = case when attempt >= 25 then 'failed' else 'queued' end,
            error_code = case when attempt >= 25 then 'worker_lost' end,
            error_message = case
                when attempt >= 25 then 'No worker saw it through in 25 tries; "barkeep backfill" with the symbol queues it again'
            end,
            finished_at = case when attempt >= 25 then clock_timestamp() end,
            worker = null, lease_until = null, run_after = clock_timestamp(), updated_at = clock_timestamp()
        where status = 'running'
            and (lease_until < clock_timestamp() or starts_with(worker, p_worker_prefix))
        returning id
    )
    select count(*)::int from freed
$$;

-- Old name for the same, for operators' scripts: runs that have been running for p_minutes or lost their lease.
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
                when r.failures >= p_max_attempts then 'Its worker is gone, and it had failed often enough before'
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

-- No provider knows the symbol: nothing more is asked for it until a later look says otherwise.
create function barkeep.suspend_symbol(p_symbol text, p_reason text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    perform barkeep.lock_interest(array[p_symbol]);
    update public.symbols
    set listing = 'unknown', listing_checked_at = now(), updated_at = now()
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

-- The asset list knows the symbol; what it says of it is kept.
create function barkeep.symbol_is_listed(p_symbol text, p_asset_type text, p_description text, p_exchange text)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    perform barkeep.lock_interest(array[p_symbol]);
    update public.symbols
    set listing = 'listed', listing_checked_at = now(), updated_at = now(),
        description = case when description = '' then coalesce(p_description, '') else description end,
        exchange = case when exchange = '' then coalesce(p_exchange, '') else exchange end
    where ticker = p_symbol;
    update public.job_definitions
    set suspended_at = null, suspended_reason = null, next_due_at = 'epoch', updated_at = now()
    where symbol = p_symbol and suspended_at is not null;
end
$$;
