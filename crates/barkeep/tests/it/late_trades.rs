//! Trades that are reported late: the last session is read once more after it has ended.

use serde_json::Value;
use sqlx::{Connection as _, PgConnection};

use crate::running::{Market, Place, Served, eventually, finished, http, quiet_database, set_market_clock};

const SPOIL: &str = "
    -- As if the last minutes had been reported only after they were first read.
    update ohlc_bars_v2 set close = open, volume = 1
    where timeframe in ('m15', 'h1') and ts >= '2026-06-18 19:30+00';
    update ohlc_bars_v2 set volume = 1 where timeframe = 'd1' and ts >= '2026-06-18';
    update coverage_status set corrections = 0";

/// The volumes of the last session's bars, and how many of them are what they were spoilt to.
const SPOILT: &str = "select count(*) from ohlc_bars_v2 where volume = 1";

#[tokio::test(flavor = "multi_thread")]
async fn late_trades_of_the_last_session_are_in_an_hour_after_its_close_and_counted() {
    let market = Market::start(Market::settings("2026-06-18T21:30:00Z")).await;
    let (place, database) = (Place::new(), quiet_database().await);
    let backfill = async |as_of: &str| -> Value {
        let mut command = place.barkeep(&[
            "backfill",
            "KO",
            "--timeframes",
            "m15,h1,d1",
            "--json",
            "--as-of",
            as_of,
            "--database-url",
            &database.url,
        ]);
        command.env("APCA_API_DATA_URL", market.url());
        let output = finished(command).await;
        let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(summary["incomplete"], serde_json::json!([]), "{summary}");
        summary
    };
    let mut sql = PgConnection::connect(&database.url).await.unwrap();
    backfill("2026-06-18T20:10:00Z").await;
    sqlx::raw_sql(SPOIL).execute(&mut sql).await.unwrap();
    let spoilt: i64 = sqlx::query_scalar(SPOILT).fetch_one(&mut sql).await.unwrap();
    assert_eq!(spoilt, 4, "two bars of m15, one of h1, one of d1");

    // Before the hour is over nothing is asked for.
    let before = market.simulator.stats().to("/v2/stocks/bars");
    backfill("2026-06-18T20:50:00Z").await;
    assert_eq!(market.simulator.stats().to("/v2/stocks/bars"), before);

    let summary = backfill("2026-06-18T21:05:00Z").await;
    assert_eq!(summary["rows"], 4, "{summary}");
    assert_eq!(summary["requests"], 2, "one for bars within the day, one for the day: {summary}");
    assert_eq!(sqlx::query_scalar::<_, i64>(SPOILT).fetch_one(&mut sql).await.unwrap(), 0);
    let corrections: Vec<(String, i64)> =
        sqlx::query_as("select timeframe, corrections from coverage_status order by timeframe")
            .fetch_all(&mut sql)
            .await
            .unwrap();
    let counted = |timeframe: &str, n| (timeframe.to_owned(), n);
    assert_eq!(corrections, [counted("d1", 1), counted("h1", 1), counted("m15", 2)]);

    // Once.
    assert_eq!(backfill("2026-06-18T21:20:00Z").await["requests"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_barkeep_reads_the_last_session_once_more_by_itself() {
    let as_of = "2026-06-18T20:50:00Z";
    let market = Market::start(Market::settings("2026-06-18T21:30:00Z")).await;
    let served = Served::start_with(|command| {
        command.env("APCA_API_DATA_URL", market.url()).args(["--as-of", as_of]);
    })
    .await;
    served.up.sync(&served.anon_key, r#"{"symbols":["KO"],"source":"watchlist"}"#).await;
    served.up.until(&served.anon_key, "KO", "complete").await;
    served.until_idle().await;
    sqlx::raw_sql(SPOIL).execute(&mut served.sql().await).await.unwrap();
    // The hour is over. The planner looks within the minute; here it is told to.
    set_market_clock(&served, "2026-06-18T21:01:00Z").await;
    eventually("what was spoilt is as it should be", async || {
        served.tick().await;
        let spoilt: i64 = sqlx::query_scalar(SPOILT).fetch_one(&mut served.sql().await).await.unwrap();
        (spoilt == 0).then_some(())
    })
    .await;
    eventually("it is counted", async || {
        let metrics = http::get(served.up.url("/metrics")).await.unwrap().text().await.unwrap();
        metrics.lines().any(|line| line == "barkeep_store_corrections_total 3").then_some(())
    })
    .await;
}
