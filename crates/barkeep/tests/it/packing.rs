//! Few requests: what the planner says that it would send is what is sent, and near the fewest that could do.

use std::time::Duration;

use serde_json::Value;
use sqlx::{Connection as _, PgConnection};

use crate::running::{Market, Place, Served, database, finished, quiet_database};

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

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_symbols_in_one_request_a_bad_one_is_found_and_the_others_are_stored() {
    let (market, place, database) =
        (Market::start(Market::settings(AS_OF)).await, Place::new(), quiet_database().await);
    // Well-formed for us, and nothing that this provider takes: it refuses the whole request.
    let mut symbols: Vec<String> = (0..49).map(|n| format!("S{n}")).collect();
    symbols.push("AB-CD".to_owned());
    let of = ["--timeframes", "h1", "--days", "5", "--as-of", AS_OF, "--database-url", &database.url];
    let mut args = [&["backfill", "--json"][..], &of].concat();
    args.extend(symbols.iter().map(String::as_str));
    let mut command = place.barkeep(&args);
    command.env("APCA_API_DATA_URL", market.url()).env("BARKEEP_LOG", "off");
    let output = finished(command).await;
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    let incomplete = summary["incomplete"].as_array().unwrap();
    assert_eq!(incomplete.len(), 1, "{summary}");
    assert_eq!((&incomplete[0]["symbol"], &incomplete[0]["state"]), (&"AB-CD".into(), &"unknown".into()));
    assert!(incomplete[0]["reason"].as_str().unwrap().contains("invalid symbol: AB-CD"), "{summary}");
    let stored: i64 = sqlx::query_scalar("select count(distinct symbol_id) from ohlc_bars_v2")
        .fetch_one(&mut PgConnection::connect(&database.url).await.unwrap())
        .await
        .unwrap();
    assert_eq!(stored, 49);
    // The refused one, whose words named the culprit; the culprit by itself, and the others. On a busy machine a worker may
    // look before all are queued.
    let sent = market.simulator.stats().to("/v2/stocks/bars");
    assert!((3..=5).contains(&sent), "{sent} requests");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_symbols_first_request_is_its_newest_stretch_for_all_timeframes() {
    let market = Market::start(Market::settings(AS_OF)).await;
    let served = Served::start_with(|command| {
        command.env("APCA_API_DATA_URL", market.url()).args(["--as-of", AS_OF]);
    })
    .await;
    served.up.sync(&served.anon_key, r#"{"symbols":["KO"],"source":"chart_view"}"#).await;
    served.up.until(&served.anon_key, "KO", "complete").await;
    let seen = market.simulator.seen();
    let bars: Vec<&str> =
        seen.iter().map(|s| s.uri.as_str()).filter(|uri| uri.starts_with("/v2/stocks/bars")).collect();
    assert!((2..=4).contains(&bars.len()), "{bars:#?}");
    let newest = |uri: &&&str| uri.contains("timeframe=15Min") && uri.contains("start=2026-06-12T13%3A30");
    assert_eq!(bars.iter().filter(newest).count(), 1, "{bars:#?}");
    // It was claimed before all others, for all three at once.
    let first: Vec<String> = sqlx::query_scalar(
        "select timeframe from job_runs where slice_from = '2026-06-12 13:30:00+00'
            and started_at < all (select started_at from job_runs where slice_from <> '2026-06-12 13:30:00+00'
                and timeframe = 'm15')
        order by timeframe",
    )
    .fetch_all(&mut served.sql().await)
    .await
    .unwrap();
    assert_eq!(first, ["h1", "h4", "m15"]);
}
