//! Frequent statements read what they need and not the whole table.

use std::collections::BTreeMap;

use market::Timeframe;
use sqlx::{Connection as _, PgConnection, Row};
use store::{Database, coverage};
use testkit::{ALICE, Owner};

use crate::site::{Site, TUESDAY, become_user, eventually, expected, ticker};

for_one_owner! {
    a_claim_among_10_000_queued_runs_reads_a_handful,
    gaps_and_coverage_of_everything_read_little,
    functions_that_read_bars_have_the_plans_of_statements_on_the_table,
}

/// How many rows of `table` this connection has read recently by sequential scans, and through indexes.
async fn read(tx: &mut sqlx::Transaction<'_, sqlx::Postgres>, table: &str) -> (i64, i64) {
    let row = sqlx::query(
        "select sum(seq_tup_read)::bigint, sum(coalesce(idx_tup_fetch, 0))::bigint
        from pg_stat_xact_user_tables where relname = $1",
    )
    .bind(table)
    .fetch_one(&mut **tx)
    .await
    .unwrap();
    (row.get(0), row.get(1))
}

async fn a_claim_among_10_000_queued_runs_reads_a_handful(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    site.run(
        "insert into job_runs (job_def_id, symbol, timeframe, job_type, slice_from, slice_to, priority, by_interest,
            rank_at, status)
        select d.id, d.symbol, d.timeframe, d.job_type, timestamptz '2020-01-01' + n * interval '1 day',
            timestamptz '2020-01-02' + n * interval '1 day', d.priority, n % 7 = 0,
            now() - d.priority * interval '6 seconds' + n * interval '1 second',
            case when n % 2 = 0 then 'queued' else 'success' end
        from job_definitions d cross join generate_series(1, 334) n",
    )
    .await;
    assert_eq!(site.value("select count(*) >= 10000 from job_runs where status = 'queued'").await, "t");
    site.run("analyze job_runs").await;
    let handful = |claim: &'static str, most: i64| {
        let database = site.database.clone();
        async move {
            // More than five times: then a statement of a function may have a generic plan.
            for _ in 0..7 {
                let mut tx = database.begin().await.unwrap();
                let before = read(&mut tx, "job_runs").await;
                let claimed = sqlx::query(claim).fetch_all(&mut *tx).await.unwrap();
                assert!(!claimed.is_empty(), "{claim}");
                let after = read(&mut tx, "job_runs").await;
                let (scanned, fetched) = (after.0 - before.0, after.1 - before.1);
                assert_eq!(scanned, 0, "{claim}");
                assert!(fetched < most, "{fetched} rows fetched for {claim}");
                tx.commit().await.unwrap();
            }
        }
    };
    handful("select * from claim_queued_job()", 50).await;
    // With all candidates: the symbol's other runs, those with the same end, the next ones.
    handful("select run.id from barkeep.pack_candidates(true, null, null) run", 2_000).await;
    handful("select run.id from barkeep.pack_candidates(false, null, null) run", 2_000).await;
}

/// Rows that were read of a table: by sequential scans, and through indexes.
type Read = BTreeMap<String, (i64, i64)>;

/// What `work` reads on a separate connection.
async fn reads<F: AsyncFn(&Database)>(site: &Site, work: F) -> Read {
    let database = Database::connect(&site.owned.owner_url, 1).await.unwrap();
    let mut superuser = PgConnection::connect(&site.owned.url).await.unwrap();
    let mut counted = async || -> Vec<(String, i64, i64)> {
        // A connection keeps its statistics to itself until it flushes them.
        let mut tx = database.begin().await.unwrap();
        sqlx::query("select pg_stat_force_next_flush()").execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
        let all =
            "select relname::text, seq_tup_read, coalesce(idx_tup_fetch, 0) from pg_stat_user_tables order by relid";
        sqlx::query_as(all).fetch_all(&mut superuser).await.unwrap()
    };
    // More than five times: then a statement of a function may have a generic plan.
    for _ in 0..6 {
        work(&database).await;
    }
    let before = counted().await;
    work(&database).await;
    let after = counted().await;
    database.close().await;
    let between = before.into_iter().zip(after).map(|(old, new)| (new.0, (new.1 - old.1, new.2 - old.2)));
    between.filter(|(_, read)| *read != (0, 0)).collect()
}

async fn gaps_and_coverage_of_everything_read_little(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    for timeframe in [Timeframe::M15, Timeframe::H1, Timeframe::H4] {
        let series = site.definition("AAPL", timeframe).await;
        let gap = site.gaps(&series).await[0];
        let run = site.held(&series, gap, "worker").await;
        assert!(site.answer(&run, &expected(&series, gap)).await);
        // More fragmented than usual: every session is a range of its own, and every fifth day of the month is
        // missing.
        site.run(&format!(
            "update coverage_status set covered = (
                select range_agg(tstzrange(open_at, close_at)) from barkeep.market_sessions
                where calendar = 'XNYS' and session_date between '2025-10-01' and '2026-11-23' and extract(day from session_date)::int % 5 > 0
            ) where timeframe = '{timeframe}'"
        ))
        .await;
    }
    site.run("analyze").await;
    // Connections flush their statistics when they end.
    site.database.close().await;
    let others = "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()";
    eventually("they have ended", async || {
        let mut superuser = PgConnection::connect(&site.owned.url).await.unwrap();
        sqlx::query_scalar::<_, i64>(others).fetch_one(&mut superuser).await.unwrap() == 0
    })
    .await;

    let mut superuser = PgConnection::connect(&site.owned.url).await.unwrap();
    let gaps = reads(&site, async |database| {
        let mut tx = database.begin().await.unwrap();
        let all = "select count(*) from job_definitions d
            cross join lateral get_coverage_gaps(d.symbol, d.timeframe, d.window_days) g";
        assert!(sqlx::query_scalar::<_, i64>(all).fetch_one(&mut *tx).await.unwrap() > 60);
        tx.commit().await.unwrap();
    })
    .await;
    let coverage = reads(&site, async |database| {
        let rows = coverage::of_symbol(database, None, &ticker("AAPL")).await.unwrap();
        assert!(rows.iter().all(|row| row.missing > 0 && row.bars > 0));
    })
    .await;
    let sessions = site_rows(&mut superuser, "select count(*) from barkeep.market_sessions").await;
    // The calendar once per series, for its window and the sessions in it; of each other table a few rows per series.
    reads_little(&gaps, 60 * sessions, 60 * 300, 60 * 20);
    assert!(!gaps.keys().any(|table| table.starts_with("ohlc_bars") || table == "job_runs"), "{gaps:?}");
    // The same, and the series' own bars once.
    let bars = site_rows(&mut superuser, "select count(*) from ohlc_bars_v2").await;
    reads_little(&coverage, 3 * 2 * sessions, 3 * 1_000, bars + 100);
}

async fn site_rows(superuser: &mut PgConnection, counted: &'static str) -> i64 {
    sqlx::query_scalar(counted).fetch_one(superuser).await.unwrap()
}

/// At most this many rows of the calendar by sequential scans and through its indexes, and of every other table.
#[track_caller]
fn reads_little(read: &Read, scanned: i64, fetched: i64, of_others: i64) {
    for (table, (by_scan, by_index)) in read {
        match table.as_str() {
            "market_sessions" => assert!(*by_scan <= scanned && *by_index <= fetched, "{read:?}"),
            _ => assert!(by_scan + by_index <= of_others, "{table}: {read:?}"),
        }
    }
}

async fn functions_that_read_bars_have_the_plans_of_statements_on_the_table(owner: Owner) {
    let site = Site::new(owner).await;
    site.run(
        "insert into ohlc_bars_v2 (symbol_id, timeframe, ts, open, high, low, close, volume, provider)
        select s.id, 'h1', timestamptz '2026-01-01' + n * interval '1 hour', 1, 1, 1, 1, 1, 'test/sip'
        from symbols s, generate_series(1, 500) n;
        analyze ohlc_bars_v2",
    )
    .await;
    for user in [None, Some(ALICE)] {
        let mut tx = site.database.begin().await.unwrap();
        if let Some(user) = user {
            become_user(&mut tx, user).await;
        }
        for from in [
            "barkeep.bars(s.id, 'h1', now(), null)",
            "barkeep.latest_bars(s.id, 'h1', 10)",
            "barkeep.bars_stored(s.id, 'h1', s.calendar, tstzrange(now() - interval '1 day', now()))",
        ] {
            let sql = format!(
                "explain (costs off) select * from symbols s cross join lateral {from} b where s.ticker = 'AAPL'"
            );
            let lines = sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).fetch_all(&mut *tx).await.unwrap();
            let plan = lines.iter().map(|row| row.get::<String, _>(0)).collect::<Vec<_>>().join("\n");
            assert!(!plan.contains("Function Scan"), "{from} is not inlined:\n{plan}");
            assert!(plan.contains("ohlc_bars_v2_h1") && !plan.contains("ohlc_bars_v2_m15"), "{from}:\n{plan}");
            assert!(plan.contains("Index Cond: ((symbol_id = s.id)"), "{from}:\n{plan}");
        }
    }
}
