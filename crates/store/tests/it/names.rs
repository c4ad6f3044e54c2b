//! The names and types that external queries rely on.

use sqlx::Row;
use testkit::{ALICE, Owner};

use crate::site::{Site, become_user, rows_in};

for_every_owner! {
    tables_have_the_columns_that_queries_name,
    functions_return_what_clients_decode,
    constraints_are_those_that_clients_meet,
    twenty_symbols_and_sixty_definitions_are_seeded,
    timestamp_is_another_name_for_ts_with_the_same_plan,
}

const TABLES: [(&str, &str); 7] = [
    ("symbols", "id uuid, ticker text, asset_type text, description text, exchange text"),
    (
        "user_symbol_tracking",
        "id uuid, user_id uuid, symbol_id uuid, source text, priority integer, created_at timestamp with time zone, \
         updated_at timestamp with time zone",
    ),
    (
        "job_definitions",
        "id uuid, symbol text, timeframe text, job_type text, window_days integer, priority integer, enabled boolean",
    ),
    (
        "job_runs",
        "id uuid, job_def_id uuid, symbol text, timeframe text, job_type text, slice_from timestamp with time zone, \
         slice_to timestamp with time zone, status text, progress_percent integer, rows_written bigint, provider text, \
         attempt integer, error_message text, error_code text, triggered_by text, started_at timestamp with time zone, \
         finished_at timestamp with time zone, created_at timestamp with time zone, \
         updated_at timestamp with time zone",
    ),
    (
        "coverage_status",
        "symbol text, timeframe text, from_ts timestamp with time zone, to_ts timestamp with time zone, \
         last_success_at timestamp with time zone, last_rows_written bigint, last_provider text, \
         covered tstzmultirange",
    ),
    (
        "ohlc_bars_v2",
        "symbol_id uuid, timeframe text, ts timestamp with time zone, open double precision, high double precision, \
         low double precision, close double precision, volume double precision, vwap double precision, \
         trade_count bigint, provider text, data_status text, fetched_at timestamp with time zone",
    ),
    (
        "orchestrator_heartbeat",
        "name text, last_seen timestamp with time zone, status text, message text, \
         updated_at timestamp with time zone",
    ),
];

async fn tables_have_the_columns_that_queries_name(owner: Owner) {
    let site = Site::new(owner).await;
    for (table, columns) in TABLES {
        let there = site
            .value(&format!(
                "select string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' order by attnum)
                from pg_attribute where attrelid = 'public.{table}'::regclass and attnum > 0"
            ))
            .await;
        let there: Vec<&str> = there.split(", ").collect();
        for column in columns.split(", ") {
            assert!(there.contains(&column), "{table} lacks {column}: {there:?}");
        }
    }
}

const FUNCTIONS: [(&str, &str); 9] = [
    (
        "get_symbol_timeframe_coverage(text)",
        "TABLE(timeframe text, bars_count bigint, earliest_bar timestamp with time zone, \
         latest_bar timestamp with time zone, coverage_days numeric, last_fetch timestamp with time zone, \
         job_enabled boolean, job_priority integer, ",
    ),
    (
        "get_timeframe_job_stats(integer)",
        "TABLE(timeframe text, total_jobs bigint, queued bigint, running bigint, success bigint, failed bigint, \
         total_bars_written bigint, avg_duration_seconds numeric)",
    ),
    ("get_user_tracked_symbols_status(uuid)", TRACKED),
    ("get_user_tracked_symbols_status(text)", TRACKED),
    (
        "get_coverage_gaps(text, text, integer)",
        "TABLE(gap_from timestamp with time zone, gap_to timestamp with time zone, gap_hours numeric)",
    ),
    (
        "claim_queued_job()",
        "TABLE(job_run_id uuid, symbol text, timeframe text, job_type text, slice_from timestamp with time zone, \
         slice_to timestamp with time zone)",
    ),
    ("enqueue_job_slices(uuid, text, text, text, jsonb, text)", "TABLE(inserted_count integer)"),
    ("reset_stale_running_jobs(integer, integer)", "TABLE(reset_count integer)"),
    ("auto_create_jobs_for_tracked_symbols()", "trigger"),
];

const TRACKED: &str = "TABLE(symbol text, source text, priority integer, tracked_at timestamp with time zone, \
    m15_bars bigint, h1_bars bigint, h4_bars bigint, jobs_pending bigint, jobs_running bigint)";

async fn functions_return_what_clients_decode(owner: Owner) {
    let site = Site::new(owner).await;
    for (function, returns) in FUNCTIONS {
        let there = site.value(&format!("select pg_get_function_result('public.{function}'::regprocedure)")).await;
        // `value` removes the row's parentheses; a table's closing one goes with them.
        assert!(there.starts_with(returns.trim_end_matches(')')), "{function} returns {there}");
    }
    // Each optional argument is omitted.
    site.run(
        "select * from get_timeframe_job_stats(); select * from get_coverage_gaps('AAPL', 'h1');
        select * from reset_stale_running_jobs(); select * from claim_queued_job();
        select * from enqueue_job_slices(gen_random_uuid(), 'AAPL', 'h1', 'fetch_intraday', '[]')",
    )
    .await;
}

async fn constraints_are_those_that_clients_meet(owner: Owner) {
    let site = Site::new(owner).await;
    let constraints = site
        .rows(
            "select conrelid::regclass::text || ' ' || pg_get_constraintdef(oid) as c from pg_constraint
            where connamespace = 'public'::regnamespace and contype in ('u', 'p') order by 1",
        )
        .await
        .join("\n");
    for wanted in [
        "symbols UNIQUE (ticker)",
        "user_symbol_tracking UNIQUE (user_id, symbol_id, source)",
        "job_definitions UNIQUE (symbol, timeframe, job_type)",
        "ohlc_bars_v2 PRIMARY KEY (symbol_id, timeframe, ts)",
        "coverage_status PRIMARY KEY (symbol, timeframe)",
        "orchestrator_heartbeat PRIMARY KEY (name)",
    ] {
        assert!(constraints.contains(wanted), "no {wanted} in\n{constraints}");
    }
    let partitions = "select count(*) from pg_inherits where inhparent = 'ohlc_bars_v2'::regclass";
    assert_eq!(site.value(partitions).await, "8");
}

async fn twenty_symbols_and_sixty_definitions_are_seeded(owner: Owner) {
    let site = Site::new(owner).await;
    assert_eq!(site.rows("select active, count(*) from symbols group by 1 order by 1").await, ["(f,1)", "(t,20)"]);
    assert_eq!(
        site.rows(
            "select timeframe, job_type, window_days, priority, enabled, count(*) from job_definitions
            group by 1, 2, 3, 4, 5 order by 1"
        )
        .await,
        ["(h1,fetch_intraday,90,200,t,20)", "(h4,fetch_intraday,365,150,t,20)", "(m15,fetch_intraday,30,100,t,20)"]
    );
}

async fn timestamp_is_another_name_for_ts_with_the_same_plan(owner: Owner) {
    let site = Site::new(owner).await;
    site.run(
        "insert into ohlc_bars_v2 (symbol_id, timeframe, ts, open, high, low, close, volume, provider)
        select s.id, 'h1', timestamptz '2026-01-01' + n * interval '1 hour', 1, 1, 1, 1, 1, 'test/sip'
        from symbols s, generate_series(1, 500) n",
    )
    .await;
    let statement = |column: &str| {
        format!(
            "explain (costs off, verbose) select min(o.{column}), max(o.{column}) from public.ohlc_bars_v2 o
            where o.symbol_id = '{ALICE}' and o.timeframe = 'h1' and o.{column} > now() - interval '1 day'"
        )
    };
    for user in [None, Some(ALICE)] {
        let mut tx = site.database.begin().await.unwrap();
        if let Some(user) = user {
            become_user(&mut tx, user).await;
        }
        let mut plans = Vec::new();
        for column in ["timestamp", "ts"] {
            let sql = sqlx::AssertSqlSafe(statement(column));
            let lines: Vec<String> =
                sqlx::raw_sql(sql).fetch_all(&mut *tx).await.unwrap().iter().map(|row| row.get(0)).collect();
            plans.push(lines.join("\n"));
        }
        assert_eq!(plans[0], plans[1]);
        assert!(plans[0].contains("Index Cond") && plans[0].contains("ohlc_bars_v2_h1"), "{}", plans[0]);
        assert!(!plans[0].contains("ohlc_bars_v2_m15"), "{}", plans[0]);
        let count = rows_in(&mut tx, "select count(*) from public.ohlc_bars_v2 o where o.timestamp = o.ts").await;
        assert_eq!(count.unwrap(), ["(10500)"]);
    }
}
