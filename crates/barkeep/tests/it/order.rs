//! Whose turn it is: what people ask for now before what waits in the background, and nobody waits for ever.

use std::time::Duration;

use sqlx::{Connection as _, PgConnection};

use crate::running::{Market, Served, a_moment, eventually};

const AS_OF: &str = "2026-06-18T23:00:00Z";

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
