//! Privileges, enumerated: what isn't listed here is denied.

use testkit::{ALICE, Owner};

use crate::site::Site;

for_every_owner! {
    row_level_security_is_enabled_and_forced_on_every_table,
    anonymous_clients_hold_nothing,
    signed_in_clients_hold_what_they_need_and_no_more,
    signed_in_clients_cannot_write_what_is_not_theirs,
    definer_functions_have_a_fixed_search_path,
}

const OURS: &str = "n.nspname in ('public', 'barkeep', 'cron')";

async fn row_level_security_is_enabled_and_forced_on_every_table(owner: Owner) {
    let site = Site::new(owner).await;
    let open = format!(
        "select c.oid::regclass from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where c.relkind in ('r', 'p') and {OURS} and not (c.relrowsecurity and c.relforcerowsecurity)"
    );
    assert!(site.rows(&open).await.is_empty());
    let count = format!(
        "select count(*) >= 32 from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where c.relkind in ('r', 'p') and {OURS}"
    );
    // Eight public tables, eight partitions, sixteen of Barkeep's own, and later ones: all were checked.
    assert_eq!(site.value(&count).await, "t");
}

async fn anonymous_clients_hold_nothing(owner: Owner) {
    let site = Site::new(owner).await;
    for role in ["anon", "public"] {
        assert!(tables_of(&site, role).await.is_empty(), "{:?}", tables_of(&site, role).await);
        assert!(functions_of(&site, role).await.is_empty(), "{:?}", functions_of(&site, role).await);
    }
    let schemas = "select nspname from pg_namespace where nspname in ('barkeep', 'cron')
        and (has_schema_privilege('anon', oid, 'usage') or has_schema_privilege('anon', oid, 'create'))";
    assert!(site.rows(schemas).await.is_empty());
    let creators = "select r from unnest(array['anon', 'authenticated', 'service_role']) r
        cross join pg_namespace n where n.nspname in ('public', 'barkeep', 'cron')
        and has_schema_privilege(r, n.oid, 'create')";
    assert!(site.rows(creators).await.is_empty());
}

async fn signed_in_clients_hold_what_they_need_and_no_more(owner: Owner) {
    let site = Site::new(owner).await;
    assert_eq!(
        tables_of(&site, "authenticated").await,
        [
            "(barkeep.directory,SELECT)",
            "(barkeep.directory_version,SELECT)",
            "(barkeep.empty_sessions,SELECT)",
            "(barkeep.market_calendars,SELECT)",
            "(barkeep.market_clock,SELECT)",
            "(barkeep.market_sessions,SELECT)",
            "(barkeep.quarantined_bars,SELECT)",
            r#"(barkeep.watchlist_items,"DELETE, SELECT")"#,
            r#"(barkeep.watchlists,"DELETE, SELECT")"#,
            "(public.corporate_actions,SELECT)",
            "(public.coverage_status,SELECT)",
            "(public.job_definitions,SELECT)",
            "(public.job_runs,SELECT)",
            "(public.ohlc_bars_v2,SELECT)",
            "(public.symbols,SELECT)",
            "(public.user_symbol_tracking,\"DELETE, SELECT\")",
        ]
    );
    let columns = "select c.relname::text, a.attname::text as c, string_agg(p, ',' order by p)
        from pg_attribute a join pg_class c on c.oid = a.attrelid cross join unnest(array['INSERT', 'UPDATE']) p
        where a.attrelid in ('user_symbol_tracking'::regclass, 'barkeep.watchlists'::regclass,
                'barkeep.watchlist_items'::regclass)
            and a.attnum > 0 and has_column_privilege('authenticated', a.attrelid, a.attnum, p)
        group by 1, 2 order by 1, 2";
    assert_eq!(
        site.rows(columns).await,
        [
            "(user_symbol_tracking,priority,INSERT)",
            "(user_symbol_tracking,source,INSERT)",
            "(user_symbol_tracking,symbol_id,INSERT)",
            r#"(user_symbol_tracking,timeframes,"INSERT,UPDATE")"#,
            "(user_symbol_tracking,user_id,INSERT)",
            r#"(watchlist_items,position,"INSERT,UPDATE")"#,
            "(watchlist_items,symbol_id,INSERT)",
            "(watchlist_items,watchlist_id,INSERT)",
            r#"(watchlists,name,"INSERT,UPDATE")"#,
            r#"(watchlists,position,"INSERT,UPDATE")"#,
            "(watchlists,user_id,INSERT)",
        ]
    );
    let elsewhere = format!(
        "select c.oid::regclass, a.attname from pg_class c join pg_namespace n on n.oid = c.relnamespace
        join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        cross join unnest(array['INSERT', 'UPDATE', 'REFERENCES']) p
        where {OURS} and c.relkind in ('r', 'p', 'v')
            and c.relname not in ('user_symbol_tracking', 'watchlists', 'watchlist_items')
            and (has_column_privilege('authenticated', c.oid, a.attnum, p)
                or has_column_privilege('anon', c.oid, a.attnum, p))"
    );
    assert!(site.rows(&elsewhere).await.is_empty());
    assert_eq!(
        functions_of(&site, "authenticated").await,
        [
            r#"("barkeep.bars(uuid, text, timestamp with time zone, timestamp with time zone)")"#,
            r#"("barkeep.bars_exist(uuid)")"#,
            r#"("barkeep.bars_stored(uuid, text, text, tstzrange)")"#,
            r#"("barkeep.canonical_ticker(text)")"#,
            r#"("barkeep.coverage_of_symbols(text[])")"#,
            r#"("barkeep.expected_bars(text, text, timestamp with time zone, timestamp with time zone)")"#,
            r#"("barkeep.final_until(text, text, timestamp with time zone)")"#,
            r#"("barkeep.job_type(text)")"#,
            r#"("barkeep.latest_bars(uuid, text, bigint)")"#,
            r#"("barkeep.market_now()")"#,
            r#"("barkeep.timeframe_step(text)")"#,
            r#"("barkeep.window_days(text)")"#,
            r#"("barkeep.window_of(text, text, integer)")"#,
            r#"("public.get_coverage_gaps(text, text, integer)")"#,
            r#"("public.get_symbol_timeframe_coverage(text)")"#,
            r#"("public.get_timeframe_job_stats(integer)")"#,
            r#"("public.get_user_tracked_symbols_status(text)")"#,
            r#"("public.get_user_tracked_symbols_status(uuid)")"#,
            r#"("public.sync_user_symbols(text[], text, text[])")"#,
            r#"("public.timestamp(ohlc_bars_v2)")"#,
            r#"("public.untrack_user_symbols(text[], text)")"#,
        ]
    );
}

async fn signed_in_clients_cannot_write_what_is_not_theirs(owner: Owner) {
    let site = Site::new(owner).await;
    for statement in [
        "insert into job_definitions (symbol, timeframe, job_type, window_days) \
         values ('AAPL', 'd1', 'fetch_historical', 1)",
        "update job_definitions set priority = 1000",
        "delete from job_runs",
        "update job_runs set status = 'success'",
        "insert into symbols (ticker) values ('EVIL')",
        "delete from ohlc_bars_v2",
        "update ohlc_bars_v2_h1 set close = 0",
        "select * from ohlc_bars_v2_h1",
        "truncate user_symbol_tracking",
        "delete from coverage_status",
        "update barkeep.market_clock set as_of = now()",
        "select * from barkeep.migrations",
        "select * from barkeep.installation",
        "update barkeep.directory set name = ''",
        "update barkeep.directory_version set version = 0",
        "select * from barkeep.directory_lists",
        "select barkeep.directory_changed()",
        "select * from orchestrator_heartbeat",
        "select * from cron.job",
        "select * from auth.users",
        "select * from claim_queued_job()",
        "select * from reset_stale_running_jobs()",
        "select * from enqueue_job_slices(gen_random_uuid(), 'AAPL', 'h1', 'fetch_intraday', '[]')",
        "select barkeep.finish_runs('', '{}', '{}', '{}', '{}', '{}', '{}', '')",
        "select barkeep.suspend_symbol('AAPL', '')",
        "select barkeep.retry_failed()",
        "select barkeep.expire_interest()",
        "select barkeep.refresh_definitions('{AAPL}')",
        "select barkeep.lock_series('AAPL', 'h1')",
        "select barkeep.wake()",
        "select barkeep.delete_bars('{}', '{}', '{}')",
        "select barkeep.make_due('{}', '')",
    ] {
        assert_eq!(site.refusal_as(ALICE, statement).await, "42501", "{statement}");
    }
}

async fn definer_functions_have_a_fixed_search_path(owner: Owner) {
    let site = Site::new(owner).await;
    let loose = format!(
        "select p.oid::regprocedure from pg_proc p join pg_namespace n on n.oid = p.pronamespace
        where {OURS} and p.prosecdef
            and not 'search_path=pg_catalog, pg_temp' = any (coalesce(p.proconfig, '{{}}'))"
    );
    assert!(site.rows(&loose).await.is_empty());
}

/// Our tables and views on which the role has a privilege for all columns.
async fn tables_of(site: &Site, role: &str) -> Vec<String> {
    let all = "SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER";
    site.rows(&format!(
        "select n.nspname || '.' || c.relname as t, string_agg(p, ', ' order by p)
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
        cross join unnest(string_to_array('{all}', ',')) p
        where {OURS} and c.relkind in ('r', 'p', 'v', 'm', 'S', 'f')
            and case when '{role}' = 'public'
                then exists (select from aclexplode(c.relacl) a where a.grantee = 0 and a.privilege_type = p)
                else has_table_privilege(coalesce(nullif('{role}', 'public'), 'anon'), c.oid, p) end
        group by n.nspname, c.relname order by 1"
    ))
    .await
}

/// Our functions that the role may execute.
async fn functions_of(site: &Site, role: &str) -> Vec<String> {
    site.rows(&format!(
        "select n.nspname || '.' || p.proname || '(' || oidvectortypes(p.proargtypes) || ')' as f
        from pg_proc p join pg_namespace n on n.oid = p.pronamespace
        where {OURS}
            and case when '{role}' = 'public'
                then exists (
                    select from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a where a.grantee = 0
                )
                else has_function_privilege(coalesce(nullif('{role}', 'public'), 'anon'), p.oid, 'execute') end
        order by n.nspname, p.proname, oidvectortypes(p.proargtypes)"
    ))
    .await
}
