//! The statements that run all the time read what they need and not the table.

use std::time::{Duration, Instant};

use market::Timeframe;
use sqlx::Row;
use store::coverage;
use testkit::{ALICE, Owner};

use crate::site::{Site, TUESDAY, become_user, expected, ticker};

for_every_owner! {
    a_claim_among_10_000_queued_runs_reads_a_handful,
    gaps_and_coverage_of_everything_take_a_moment,
    functions_that_read_bars_have_the_plans_of_statements_on_the_table,
}

/// How many rows of `table` this connection has read lately by scanning it whole, and through its indexes.
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
            // More than five times: by then a statement of a function may have a generic plan.
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
    // With all that could go along: what else the symbol has, what ends with it, what comes next.
    handful("select run.id from barkeep.pack_candidates(true, null, null) run", 2_000).await;
    handful("select run.id from barkeep.pack_candidates(false, null, null) run", 2_000).await;
}

/// The shortest of five: other tests run on the same machine.
async fn shortest<F: AsyncFn()>(work: F) -> Duration {
    let mut shortest = Duration::MAX;
    for _ in 0..5 {
        let begun = Instant::now();
        work().await;
        shortest = shortest.min(begun.elapsed());
    }
    shortest
}

async fn gaps_and_coverage_of_everything_take_a_moment(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    for timeframe in [Timeframe::M15, Timeframe::H1, Timeframe::H4] {
        let series = site.definition("AAPL", timeframe).await;
        let gap = site.gaps(&series).await[0];
        let run = site.held(&series, gap, "worker").await;
        assert!(site.answer(&run, &expected(&series, gap)).await);
        // Torn as hardly ever: every session is a range of its own, and every fifth day of the month is missing.
        site.run(&format!(
            "update coverage_status set covered = (
                select range_agg(tstzrange(open_at, close_at)) from barkeep.market_sessions
                where calendar = 'XNYS' and session_date between '2025-10-01' and '2026-11-23' and extract(day from session_date)::int % 5 > 0
            ) where timeframe = '{timeframe}'"
        ))
        .await;
    }
    site.run("analyze").await;
    let gaps = shortest(async || {
        site.rows(
            "select count(*) from job_definitions d
            cross join lateral get_coverage_gaps(d.symbol, d.timeframe, d.window_days) g",
        )
        .await;
    })
    .await;
    let coverage = shortest(async || {
        let rows = coverage::of_symbol(&site.database, None, &ticker("AAPL")).await.unwrap();
        assert!(rows.iter().all(|row| row.missing > 0 && row.bars > 0));
    })
    .await;
    println!("gaps of 60 series in {gaps:?}, coverage of a symbol in {coverage:?}");
    // On an idle machine some 40 ms and 10 ms; what is wanted is well below a second and some 20 ms.
    assert!(gaps < Duration::from_secs(1), "{gaps:?} for the gaps of 60 series");
    assert!(coverage < Duration::from_millis(200), "{coverage:?} for the coverage of a symbol");
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
