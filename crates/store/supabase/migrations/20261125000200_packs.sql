-- Runs claimed in packs: one request for many. And ends of runs without a notification each: whoever ends them tells,
-- at most some times a second.

-- A claim looks at runs of one kind.
drop index public.job_runs_claim_background;
create index job_runs_queued_symbol on public.job_runs (symbol) where status = 'queued';
create index job_runs_queued_end on public.job_runs (slice_to, by_interest desc, rank_at) where status = 'queued';

-- The next run of its kind by the order of the queue, locked, and what could be fetched along with it: runs of the same symbol, the
-- nearest first; then runs of other symbols that end where one of those does; then those next in the queue. All of one
-- market's calendar, and of those only that have failed as often: what fails again and again is packed with its like,
-- in ever smaller packs. p_symbols narrows it, and p_crypto
-- to pairs or to what isn't one.
--
-- Claims of one kind, interest or background, are made one after the other, until the transaction ends: two at once would
-- tear the packs apart. Nobody who asked for something waits for claims of background work.
create function barkeep.pack_candidates(p_by_interest boolean, p_symbols text[], p_crypto boolean)
returns table (
    place text, id uuid, symbol text, symbol_id uuid, calendar text, timeframe text, slice_from timestamptz,
    slice_to timestamptz, by_interest boolean, priority int, failures int
)
language plpgsql
set search_path = pg_catalog, pg_temp
-- Statistics of a queue are always old: it may just have grown, or be empty. Its table is never read whole.
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
    -- No use in waiting for one's turn where there is nothing.
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

    -- Looked up by id before anything else, for the same reason: rather than each symbol's.
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

-- Of p_definitions those that are due and wanted, locked with their series until the transaction ends, in the order in
-- which everybody locks them. Another planner may have been faster.
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

-- Renews the leases that p_worker still has of p_runs; returns which.
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

-- Locks what ending p_runs will touch, in the order in which everybody does: series, runs, definitions. Returns those that
-- p_worker still has: what was fetched for the others must not be written.
create function barkeep.hold_runs(p_worker text, p_runs uuid[], p_attempts int[]) returns setof uuid
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
    where barkeep.holds(l.run, p_worker, u.attempt);
    perform from public.job_definitions d
    where d.id in (select r.job_def_id from public.job_runs r where r.id = any (v_held))
    order by d.id
    for no key update;
    return query select unnest(v_held);
end
$$;

create or replace function barkeep.finish_run(
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
    v_all tstzmultirange;
    v_zone text;
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
        if not isempty(v_noted) then
            update barkeep.empty_sessions e
            set ranges = e.ranges - tstzmultirange(v_covered)
            where e.symbol = v_run.symbol and e.timeframe = v_run.timeframe and e.recheck_at <= barkeep.market_now();
            delete from barkeep.empty_sessions e
            where e.symbol = v_run.symbol and e.timeframe = v_run.timeframe and isempty(e.ranges);
        end if;

        -- Sessions that are covered as a whole by now: this answer may have brought no more than the last of their bars.
        if v_run.timeframe <> 'w1' then
            select held.covered + tstzmultirange(v_covered) into v_all
            from public.coverage_status held
            where held.symbol = v_run.symbol and held.timeframe = v_run.timeframe;
            select c.time_zone into v_zone from barkeep.market_calendars c where c.calendar = v_symbol.calendar;
            -- By the day that a bar starts on: one look at the bars, and not one a session.
            select range_agg(tstzrange(s.open_at, s.close_at)) - v_noted into v_empty
            from barkeep.market_sessions s
            where s.calendar = v_symbol.calendar
                and s.close_at > lower(p_answered) and s.open_at < upper(p_answered)
                and s.open_at > lower(p_answered) - interval '24 hours'
                and v_all @> tstzrange(s.open_at, s.close_at)
                and s.session_date not in (
                    select (b.ts at time zone v_zone)::date
                    from public.ohlc_bars_v2 b
                    where b.symbol_id = v_symbol.id and b.timeframe = v_run.timeframe
                        and b.ts >= lower(p_answered) - interval '48 hours'
                        and b.ts < upper(p_answered) + interval '24 hours'
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
    return true;
end
$$;

create or replace function barkeep.fail_run(
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
    return true;
end
$$;

-- Coverage that shrinks, by whoever's hand, makes its series due: the next round heals it.
create function barkeep.coverage_shrank() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_shrunk int;
begin
    if tg_op = 'DELETE' then
        update public.job_definitions d set next_due_at = 'epoch'
        from (
            select d.id from public.job_definitions d
            join was b on b.symbol = d.symbol and b.timeframe = d.timeframe
            order by d.id for no key update of d
        ) held
        where d.id = held.id;
    else
        update public.job_definitions d set next_due_at = 'epoch'
        from (
            select d.id from public.job_definitions d
            join was b on b.symbol = d.symbol and b.timeframe = d.timeframe
            join became a on a.symbol = b.symbol and a.timeframe = b.timeframe
            where not a.covered + a.unavailable @> b.covered + b.unavailable
            order by d.id for no key update of d
        ) held
        where d.id = held.id;
    end if;
    get diagnostics v_shrunk = row_count;
    if v_shrunk > 0 then
        perform pg_notify('barkeep_wake', '');
    end if;
    return null;
end
$$;

create trigger coverage_shrank_on_update
after update on public.coverage_status
referencing old table as was new table as became
for each statement execute function barkeep.coverage_shrank();

create trigger coverage_shrank_on_delete
after delete on public.coverage_status
referencing old table as was
for each statement execute function barkeep.coverage_shrank();

-- No provider knows the symbol: nothing more is asked for it until a later look says otherwise.
create or replace function barkeep.suspend_symbol(p_symbol text, p_reason text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    perform barkeep.lock_interest(array[p_symbol]);
    -- In one order, whoever changes several of them.
    perform from public.job_definitions d where d.symbol = p_symbol order by d.id for no key update;
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
create or replace function barkeep.symbol_is_listed(
    p_symbol text, p_asset_type text, p_description text, p_exchange text
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    perform barkeep.lock_interest(array[p_symbol]);
    perform from public.job_definitions d where d.symbol = p_symbol order by d.id for no key update;
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

-- Queues runs again that failed some time ago, as they are: a day later where the request was to blame or whoever worked
-- on it died of it, five minutes later else. One more failure and they wait again, so an outage ends by itself and costs
-- no more than that.
create or replace function barkeep.readmit_failed() returns int
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
