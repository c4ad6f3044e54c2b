//! Several providers: the first that can is asked, another takes over where it fails, and each bar says where it came from.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use serde_json::Value;
use sqlx::{Connection as _, PgConnection};

use crate::running::{Market, Place, eventually, finished, quiet_database};

const AS_OF: &str = "2026-06-18T23:00:00Z";

#[tokio::test(flavor = "multi_thread")]
async fn where_one_of_two_providers_dies_in_the_middle_the_other_completes_and_each_bar_says_whose_it_is() {
    // It answers two requests for bars, and dies over the others.
    let asked = Arc::new(AtomicUsize::new(0));
    let holds = move |uri: &str| uri.contains("/bars") && asked.fetch_add(1, Ordering::SeqCst) >= 2;
    let (first, death) = Market::holding(Market::settings(AS_OF), holds).await;
    let second = Market::start(Market::settings(AS_OF)).await;
    let (place, database) = (Place::new(), quiet_database().await);
    let mut command = place.barkeep(&[
        "backfill",
        "KO",
        "PEP",
        "IBM",
        "BA",
        "GE",
        "DIS",
        "--days",
        "400",
        "--json",
        "--as-of",
        AS_OF,
        "--database-url",
        &database.url,
    ]);
    command
        .env("APCA_API_DATA_URL", first.url())
        .env("MASSIVE_API_URL", second.url())
        .env("MASSIVE_API_KEY", "sim")
        .env("MASSIVE_PLAN", "paid");
    let backfill = tokio::spawn(finished(command));
    let mut sql = PgConnection::connect(&database.url).await.unwrap();
    let bars = async |sql: &mut PgConnection| -> Vec<(String, i64)> {
        sqlx::query_as("select provider, count(*) from ohlc_bars_v2 group by 1 order by 1")
            .fetch_all(sql)
            .await
            .unwrap()
    };
    eventually("the first bars are there", async || {
        let mut sql = PgConnection::connect(&database.url).await.unwrap();
        (!bars(&mut sql).await.is_empty()).then_some(())
    })
    .await;
    death.cancel();
    let output = backfill.await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["incomplete"], serde_json::json!([]), "{summary}");
    let by_provider = bars(&mut sql).await;
    let names: Vec<&str> = by_provider.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["market-sim/massive", "market-sim/sip"], "{by_provider:?}");
    // Each series' bars and where they came from, as `providers` shows who fares how.
    let shown = place.printed(&["providers", "--json", "--database-url", &database.url]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    let failing =
        shown["health"].as_array().unwrap().iter().filter(|health| health["failures"].as_i64() > Some(2)).count();
    assert_eq!(failing, 1, "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_better_feed_replaces_a_worse_one_and_never_the_reverse() {
    let (first, second) = (Market::start(Market::settings(AS_OF)).await, Market::start(Market::settings(AS_OF)).await);
    let (place, database) = (Place::new(), quiet_database().await);
    let mut sql = PgConnection::connect(&database.url).await.unwrap();
    let backfill = async |order: &str| {
        let args = ["backfill", "KO", "--timeframes", "h1", "--as-of", AS_OF, "--database-url", &database.url];
        let mut command = place.barkeep(&args);
        command
            .env("APCA_API_DATA_URL", first.url())
            .env("MASSIVE_API_URL", second.url())
            .env("MASSIVE_API_KEY", "sim")
            .env("MASSIVE_PLAN", "paid")
            .env("BARKEEP_STOCKS", order);
        let output = finished(command).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let providers = async |sql: &mut PgConnection| -> Vec<String> {
        sqlx::query_scalar("select distinct provider from ohlc_bars_v2").fetch_all(sql).await.unwrap()
    };
    let again = "update coverage_status set covered = '{}'";
    backfill("massive,alpaca").await;
    assert_eq!(providers(&mut sql).await, ["market-sim/massive"]);
    sqlx::query(again).execute(&mut sql).await.unwrap();
    backfill("alpaca,massive").await;
    assert_eq!(providers(&mut sql).await, ["market-sim/sip"], "whoever is asked first is the better one");
    // The better one down: what it has sent stays.
    first.simulator.set_faults(vec!["5xx=1".parse().unwrap()]).unwrap();
    sqlx::query(again).execute(&mut sql).await.unwrap();
    backfill("alpaca,massive").await;
    assert_eq!(providers(&mut sql).await, ["market-sim/sip"]);
    assert!(second.simulator.stats().total() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_provider_lacks_is_never_asked_of_it() {
    let market = Market::start(Market::settings(AS_OF)).await;
    let (place, database) = (Place::new(), quiet_database().await);
    // Massive's bars are of stocks: nobody is left for crypto.
    let mut command =
        place.barkeep(&["backfill", "KO", "BTC-USD", "--json", "--as-of", AS_OF, "--database-url", &database.url]);
    command.env("MASSIVE_API_URL", market.url()).env("MASSIVE_API_KEY", "sim").env("MASSIVE_PLAN", "paid");
    let output = finished(command).await;
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    let incomplete = summary["incomplete"].as_array().unwrap();
    assert!(incomplete.iter().all(|series| series["symbol"] == "BTC-USD"), "{summary}");
    assert_eq!(incomplete.len(), 3, "{summary}");
    for series in incomplete {
        let state = (&series["state"], &series["reason"]);
        assert_eq!(state, (&"failing".into(), &"no provider is set up for crypto".into()), "{series}");
    }
    let mut sql = PgConnection::connect(&database.url).await.unwrap();
    let marks = "select count(*) from coverage_status where symbol = 'BTC-USD' and not isempty(unavailable)";
    assert_eq!(sqlx::query_scalar::<_, i64>(marks).fetch_one(&mut sql).await.unwrap(), 0);
    let asked = market.simulator.seen();
    assert!(asked.iter().any(|seen| seen.uri.contains("/KO/")) && !asked.iter().any(|seen| seen.uri.contains("BTC")));
    // One that has it is set up besides.
    let mut command =
        place.barkeep(&["backfill", "KO", "BTC-USD", "--json", "--as-of", AS_OF, "--database-url", &database.url]);
    command.env("MASSIVE_API_URL", market.url()).env("MASSIVE_API_KEY", "sim").env("MASSIVE_PLAN", "paid");
    command.env("APCA_API_DATA_URL", market.url());
    let output = finished(command).await;
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["incomplete"], serde_json::json!([]), "{summary}");
    let complaint = place.complaint(&["providers", "--config", "/nowhere"]);
    assert!(complaint.contains("can't be read"));
}
