//! Whose turn it is: what people ask for now before what waits in the background, and nobody waits for ever.

use std::time::Duration;

use sqlx::{Connection as _, PgConnection};

use crate::running::{Market, Served, a_moment, eventually};

const AS_OF: &str = "2026-06-18T23:00:00Z";

/// Ten thousand queued runs of background work, a day each.
async fn with_much_to_do(market: &Market) -> Served {
    let served = Served::start_with(|command| {
        command.env("APCA_API_DATA_URL", market.url()).args(["--as-of", AS_OF]);
    })
    .await;
    let mut sql = served.sql().await;
    for statement in [
        "update job_definitions set base_priority = 100, priority = 100, enabled = true, next_due_at = '2030-01-01'",
        "insert into job_runs (job_def_id, symbol, timeframe, job_type, slice_from, slice_to, priority, rank_at)
        select d.id, d.symbol, d.timeframe, d.job_type, n, n + interval '6.5 hours', 100, now() - interval '600 seconds'
        from job_definitions d
        cross join generate_series(timestamptz '2023-01-03 14:30:00+00', '2023-12-29', '1 day') n
        where d.symbol <> 'TEST' and extract(isodow from n) < 6
        order by n desc limit 10000",
    ] {
        sqlx::query(statement).execute(&mut sql).await.unwrap();
    }
    served
}

/// Background runs that are not done.
async fn left(sql: &mut PgConnection) -> i64 {
    sqlx::query_scalar("select count(*) from job_runs where status in ('queued', 'running') and not by_interest")
        .fetch_one(sql)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_symbol_that_is_asked_for_does_not_wait_for_ten_thousand_background_runs() {
    // What is asked of the provider for others is not answered: were it waited for, this would never end.
    let holds = |uri: &str| uri.contains("/bars") && !uri.contains("KO");
    let (market, _fail) = Market::holding(Market::settings(AS_OF), holds).await;
    let served = with_much_to_do(&market).await;
    let mut sql = served.sql().await;
    served.up.sync(&served.anon_key, r#"{"symbols":["KO"],"source":"recent_search"}"#).await;
    served.up.until(&served.anon_key, "KO", "complete").await;
    assert!(left(&mut sql).await > 1_000, "the background's work was still waiting");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_click_on_a_symbol_whose_background_runs_wait_gets_them_done_at_once() {
    // What is asked of the provider for others is not answered: were it waited for, this would never end.
    let holds = |uri: &str| uri.contains("/bars") && !uri.contains("TXN");
    let (market, _fail) = Market::holding(Market::settings(AS_OF), holds).await;
    let served = with_much_to_do(&market).await;
    let mut sql = served.sql().await;
    // The one that would come last.
    sqlx::query("update job_runs set rank_at = now() + interval '1 hour' where symbol = 'TXN' and status = 'queued'")
        .execute(&mut sql)
        .await
        .unwrap();
    served.up.sync(&served.anon_key, r#"{"symbols":["TXN"],"source":"chart_view"}"#).await;
    let ranked: Vec<(i32, bool)> = sqlx::query_as(
        "select distinct priority, by_interest from job_runs where symbol = 'TXN' and status = 'queued'",
    )
    .fetch_all(&mut sql)
    .await
    .unwrap();
    assert!(ranked.iter().all(|run| *run == (200, true)), "with the click itself: {ranked:?}");
    eventually("its runs are done", async || {
        let left: i64 =
            sqlx::query_scalar("select count(*) from job_runs where symbol = 'TXN' and status <> 'success'")
                .fetch_one(&mut served.sql().await)
                .await
                .unwrap();
        (left == 0).then_some(())
    })
    .await;
    assert!(left(&mut sql).await > 1_000, "the background's work was still waiting");
}

#[tokio::test(flavor = "multi_thread")]
async fn under_an_endless_stream_of_watchlist_work_a_search_and_background_work_are_done_too() {
    let mut settings = Market::settings(AS_OF);
    settings.latency = Duration::from_millis(20);
    let market = Market::start(settings).await;
    let served = Served::start_with(|command| {
        command.env("APCA_API_DATA_URL", market.url()).args(["--as-of", AS_OF]);
    })
    .await;
    let mut sql = served.sql().await;
    served.up.sync(&served.anon_key, r#"{"symbols":["W1","W2","W3","W4"],"source":"watchlist"}"#).await;
    served.up.sync(&served.somebodys_token(), r#"{"symbols":["SRCH"],"source":"recent_search"}"#).await;
    for symbol in ["W1", "W2", "W3", "W4"] {
        served.up.until(&served.anon_key, symbol, "complete").await;
    }
    // From now on there is always watchlist work, for as long as the test lasts.
    let endless = tokio::spawn({
        let url = served.database.url.clone();
        async move {
            let mut sql = PgConnection::connect(&url).await.unwrap();
            loop {
                sqlx::query(
                    "insert into job_runs (job_def_id, symbol, timeframe, job_type, slice_from, slice_to, priority,
                        by_interest, rank_at)
                    select d.id, d.symbol, d.timeframe, d.job_type, n, n + interval '6.5 hours', 300, true,
                        now() - interval '1800 seconds'
                    from job_definitions d
                    cross join generate_series(timestamptz '2019-01-02 14:30:00+00', '2019-01-30', '1 day') n
                    where d.symbol like 'W_' and (select count(*) from job_runs where status = 'queued') < 1000",
                )
                .execute(&mut sql)
                .await
                .unwrap();
                a_moment().await;
            }
        }
    });
    // A search that has waited for more than 20 minutes, and background work as old.
    for (symbol, by_interest, priority) in [("SRCH", true, 100), ("AAPL", false, 200)] {
        sqlx::query(
            "insert into job_runs (job_def_id, symbol, timeframe, job_type, slice_from, slice_to, priority, by_interest,
                rank_at, created_at)
            select d.id, d.symbol, d.timeframe, d.job_type, '2018-03-01 14:30:00+00', '2018-03-01 21:00:00+00', $2, $3,
                now() - interval '21 minutes' - $2 * interval '6 seconds', now() - interval '21 minutes'
            from job_definitions d where d.symbol = $1",
        )
        .bind(symbol)
        .bind(priority)
        .bind(by_interest)
        .execute(&mut sql)
        .await
        .unwrap();
    }
    eventually("both are done", async || {
        let done: Vec<String> = sqlx::query_scalar(
            "select symbol from job_runs where slice_from = '2018-03-01 14:30:00+00' group by symbol
            having bool_and(status = 'success') order by symbol",
        )
        .fetch_all(&mut served.sql().await)
        .await
        .unwrap();
        (done == ["AAPL", "SRCH"]).then_some(())
    })
    .await;
    assert!(!endless.is_finished(), "there was always more to do");
    endless.abort();
}
