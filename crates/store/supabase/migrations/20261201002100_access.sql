-- Privileges: everything is revoked, then the little that is needed is granted. Row level security is enabled and
-- forced everywhere, on partitions too; one policy names the service's role and the owner.

do $$
declare
    t regclass;
begin
    for t in
        select c.oid::regclass from pg_class c
        where c.relkind in ('r', 'p')
            and (c.relnamespace = 'barkeep'::regnamespace
                or (c.relnamespace = 'public'::regnamespace
                    and (c.relname in ('symbols', 'user_symbol_tracking', 'job_definitions', 'job_runs',
                            'coverage_status', 'ohlc_bars_v2', 'orchestrator_heartbeat', 'corporate_actions')
                        or c.oid in (select inhrelid from pg_inherits
                            where inhparent = 'public.ohlc_bars_v2'::regclass))))
    loop
        execute format('revoke all on %s from public, anon, authenticated', t);
        execute format('grant select, insert, update, delete on %s to service_role', t);
        execute format('alter table %s enable row level security', t);
        execute format('alter table %s force row level security', t);
        execute format(
            'create policy service on %s for all to service_role, %I using (true) with check (true)', t, current_user
        );
    end loop;
end
$$;

do $$
declare
    f regprocedure;
begin
    for f in
        select p.oid::regprocedure from pg_proc p
        where p.pronamespace = 'barkeep'::regnamespace
            or (p.pronamespace = 'public'::regnamespace
                and p.proname in ('auto_create_jobs_for_tracked_symbols', 'sync_user_symbols', 'untrack_user_symbols',
                    'get_coverage_gaps', 'enqueue_job_slices', 'claim_queued_job', 'reset_stale_running_jobs',
                    'get_symbol_timeframe_coverage', 'get_timeframe_job_stats', 'get_user_tracked_symbols_status',
                    'timestamp')
                -- Not another extension's function that happens to have the same name.
                and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e'))
    loop
        execute format('revoke all on function %s from public, anon, authenticated', f);
        execute format('grant execute on function %s to service_role', f);
    end loop;
end
$$;

revoke all on schema barkeep from public, anon, authenticated;
grant usage on schema barkeep to authenticated, service_role;
grant usage on schema public to anon, authenticated, service_role;

-- Market data is readable by all signed-in users. Searches and coverage functions run as their callers, so users can
-- read the directory too.
do $$
declare
    t regclass;
begin
    foreach t in array array[
        'public.symbols', 'public.ohlc_bars_v2', 'public.corporate_actions', 'barkeep.market_clock',
        'barkeep.market_calendars', 'barkeep.market_sessions', 'barkeep.directory', 'barkeep.directory_version'
    ]::regclass[] loop
        execute format('grant select on %s to authenticated', t);
        execute format('create policy readable on %s for select to authenticated using (true)', t);
    end loop;
end
$$;

-- What users track is private to them.
grant select, delete on public.user_symbol_tracking to authenticated;
grant insert (user_id, symbol_id, source, priority, timeframes) on public.user_symbol_tracking to authenticated;
grant update (timeframes) on public.user_symbol_tracking to authenticated;
create policy own on public.user_symbol_tracking for all to authenticated
using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()));

-- So are their lists.
grant select, delete on barkeep.watchlists, barkeep.watchlist_items to authenticated;
grant insert (user_id, name, position), update (name, position) on barkeep.watchlists to authenticated;
grant insert (watchlist_id, symbol_id, position), update (position) on barkeep.watchlist_items to authenticated;
create policy own on barkeep.watchlists for all to authenticated
using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()));
create policy own on barkeep.watchlist_items for all to authenticated
using (watchlist_id in (select l.id from barkeep.watchlists l where l.user_id = (select auth.uid())))
with check (watchlist_id in (select l.id from barkeep.watchlists l where l.user_id = (select auth.uid())));

-- The work for a symbol is visible to users who track it. Its priority shows them that another user's interest is
-- higher, but not whose.
do $$
declare
    t regclass;
begin
    foreach t in array array[
        'public.job_definitions', 'public.job_runs', 'public.coverage_status', 'barkeep.empty_sessions',
        'barkeep.quarantined_bars'
    ]::regclass[] loop
        execute format('grant select on %s to authenticated', t);
        execute format($policy$
            create policy tracked on %s for select to authenticated
            using (symbol in (
                select s.ticker
                from public.user_symbol_tracking t
                join public.symbols s on s.id = t.symbol_id
                where t.user_id = (select auth.uid())
            ))
        $policy$, t);
    end loop;
end
$$;

grant execute on function
public.sync_user_symbols(text[], text, text[]),
public.untrack_user_symbols(text[], text),
public.get_coverage_gaps(text, text, int),
public.get_symbol_timeframe_coverage(text),
public.get_timeframe_job_stats(int),
public.get_user_tracked_symbols_status(uuid),
public.get_user_tracked_symbols_status(text),
public."timestamp"(public.ohlc_bars_v2),
barkeep.market_now(),
barkeep.timeframe_step(text),
barkeep.final_until(text, text, timestamptz),
barkeep.expected_bars(text, text, timestamptz, timestamptz),
barkeep.canonical_ticker(text),
barkeep.window_days(text),
barkeep.job_type(text),
barkeep.window_of(text, text, int),
barkeep.coverage_of_symbols(text[]),
barkeep.bars(uuid, text, timestamptz, timestamptz),
barkeep.latest_bars(uuid, text, bigint),
barkeep.bars_stored(uuid, text, text, tstzrange),
barkeep.bars_exist(uuid)
to authenticated;
