//! Few requests: what the planner says that it would send is what is sent, and near the fewest that could do.

use std::time::Duration;

use serde_json::Value;
use sqlx::{Connection as _, PgConnection};

use crate::running::{Market, Place, database, finished};

/// After a session, so that no bar is forming.
const AS_OF: &str = "2026-06-18T23:00:00Z";

fn limited() -> simulator::Settings {
    let mut settings = Market::settings(AS_OF);
    settings.requests_per_minute = 200;
    settings.latency = Duration::from_millis(100);
    settings
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sixty_seeded_series_take_few_requests_and_provoke_no_429() {
    let (market, place, database) = (Market::start(limited()).await, Place::new(), database().await);
    let command = |args: &[&str]| {
        let mut command = place.barkeep(&[args, &["--as-of", AS_OF, "--database-url", &database.url]].concat());
        command.env("APCA_API_DATA_URL", market.url());
        command
    };
    let dry_run = async || -> Value {
        let output = finished(command(&["plan", "--dry-run", "--json"])).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    // The market's clock is started by whoever plans; a dry run changes nothing.
    assert!(finished(command(&["backfill", "--json", "ZZNONE"])).await.status.code().is_some());
    let before = market.simulator.stats().to("/v2/stocks/bars");
    let planned = dry_run().await;
    assert_eq!(market.simulator.stats().to("/v2/stocks/bars"), before, "a dry run asks for nothing");
    let (total, minimum) = (planned["total"].as_u64().unwrap(), planned["minimum"].as_u64().unwrap());
    assert!(minimum >= 15 && total >= minimum && total <= 25, "{total} requests, {minimum} at least");
    assert_eq!(planned["queued"], 0);
    for request in planned["requests"].as_array().unwrap() {
        assert_eq!((&request["wanted_by"], &request["because"]), (&"background".into(), &"never fetched".into()));
        assert!(request["rows"].as_u64().unwrap() <= 10_000 * request["pages"].as_u64().unwrap(), "{request}");
    }

    let output = finished(command(&["backfill", "--json"])).await;
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&summary["throttled"], summary["incomplete"].as_array().unwrap().len()), (&0.into(), 3), "{summary}");
    let sent = market.simulator.stats().to("/v2/stocks/bars") - before;
    assert_eq!(summary["requests"], sent, "each request is counted once");
    assert!(sent <= 25 && sent <= total + 2, "{sent} requests; {total} were planned, {minimum} are the minimum");
    assert_eq!(market.simulator.stats().throttled, 0);
    let mut sql = PgConnection::connect(&database.url).await.unwrap();
    let bars: Vec<(String, i64)> = sqlx::query_as(
        "select timeframe, count(distinct symbol_id) from ohlc_bars_v2 group by timeframe order by timeframe",
    )
    .fetch_all(&mut sql)
    .await
    .unwrap();
    assert_eq!(bars, [("h1".to_owned(), 20), ("h4".to_owned(), 20), ("m15".to_owned(), 20)]);

    let nothing = dry_run().await;
    assert_eq!((&nothing["total"], &nothing["minimum"]), (&0.into(), &0.into()), "{nothing}");
}
