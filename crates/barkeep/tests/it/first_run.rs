//! Somebody who has nothing set up asks for a symbol and has its bars.

use std::{collections::BTreeSet, path::Path};

use jiff::Timestamp;
use market::{Calendar, Range, Timeframe, grid::Grid};
use serde_json::json;
use sqlx::{Connection as _, PgConnection};

use crate::{
    data::shared,
    running::{Place, Up, quiet_database},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_symbol_that_is_asked_for_is_complete_within_seconds() {
    let home = Place::new();
    let up = Up::start(home.barkeep(&["up"])).await;
    let keys: serde_json::Value = serde_json::from_str(&home.printed(&["keys", "--json"])).unwrap();
    let anon = keys["anon_key"].as_str().unwrap();

    let body = r#"{"symbols":["ibm"],"source":"watchlist"}"#;
    let expected = json!({
        "success": true, "symbols_tracked": 1, "symbols_requested": 1, "timeframes": 3, "jobs_updated": 3,
        "priority": 300, "source": "watchlist",
    });
    assert_eq!(up.sync(anon, body).await, (200, expected.clone()));
    up.until(anon, "IBM", "complete").await;
    assert_eq!(up.sync(anon, body).await, (200, expected), "asked again, the same answer");

    for series in up.coverage(anon, "IBM").await {
        let timeframe: Timeframe = series["timeframe"].as_str().unwrap().parse().unwrap();
        let (_, answer) = up.get(anon, &format!("/api/v1/bars?symbol=IBM&timeframe={timeframe}&limit=50000")).await;
        let bars = answer["bars"].as_array().unwrap();
        let starts: BTreeSet<Timestamp> = bars
            .iter()
            .filter(|bar| bar["final"] == true)
            .map(|bar| bar["ts"].as_str().unwrap().parse().unwrap())
            .collect();
        // From the first stored bar on, nothing that the calendar expects is missing and nothing else is there.
        let (first, last) = (*starts.first().unwrap(), *starts.last().unwrap());
        let range = Range::new(first, last + jiff::SignedDuration::from_secs(1)).unwrap();
        let expected: BTreeSet<Timestamp> =
            Grid::by_rules(Calendar::Xnys).buckets(timeframe, range).iter().map(Range::from).collect();
        assert_eq!(starts, expected, "{timeframe}");
        // The first is the window's, the last the newest that can be final.
        assert_eq!(series["expected"], expected.len(), "{timeframe}: {series}");
        for bar in bars {
            assert_eq!(bar["provider"], "market-sim/sip", "simulated bars say so");
        }
    }
    assert!(up.stop().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_that_users_have_run_against_the_database_that_db_url_names() {
    let home = Place::new();
    let up = Up::start(home.barkeep(&["up"])).await;
    let url = home.printed(&["db", "url"]);
    let mut connection = PgConnection::connect(url.trim()).await.unwrap();
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../store/tests/data/statements.sql");
    for script in [Some(own), shared("acceptance/verification.sql")].into_iter().flatten() {
        let statements = std::fs::read_to_string(script).unwrap();
        // Each finds the database as it was: they insert the same row.
        let mut transaction = connection.begin().await.unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(statements)).execute(&mut *transaction).await.unwrap();
        transaction.rollback().await.unwrap();
    }
    connection.close().await.unwrap();
    assert!(up.stop().success());
    assert!(home.complaint(&["db", "url"]).contains("barkeep up"), "a stopped server has no address");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_first_real_key_the_watchlist_comes_along_and_the_simulated_bars_do_not() {
    let home = Place::new();
    let up = Up::start(home.barkeep(&["up"])).await;
    home.printed(&["track", "KO", "BTC-USD"]);
    let token = home.printed(&["token", "--user", "local@barkeep.localhost"]);
    up.until(token.trim(), "KO", "complete").await;
    assert!(up.stop().success());

    let mut command = home.barkeep(&["up"]);
    command
        .env("APCA_API_KEY_ID", "PKTEST")
        .env("APCA_API_SECRET_KEY", "not-a-secret")
        // Nobody outside this machine is asked.
        .env("HTTPS_PROXY", "http://127.0.0.1:9")
        .env("BARKEEP_LOG", "off");
    let up = Up::start(command).await;
    let series = up.coverage(token.trim(), "KO").await;
    assert_eq!(series.len(), 3);
    for one in series {
        assert_eq!((&one["priority"], &one["bars"]), (&300.into(), &0.into()), "{one}");
    }
    let url = home.printed(&["db", "url"]);
    assert!(url.contains("/barkeep?"), "commands without keys mean the database last worked on: {url}");
    assert!(up.stop().success());
}

/// A server that speaks for a provider and doesn't say that it is a simulator.
async fn stand_in() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let bars = async || axum::Json(json!({"bars": {}, "next_page_token": null}));
    let router = axum::Router::new().route("/v2/stocks/bars", axum::routing::get(bars));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_say_that_it_simulates_has_the_real_database_whatever_its_address_and_what_ran_before() {
    let home = Place::new();
    let up = Up::start(home.barkeep(&["up"])).await;
    assert!(home.printed(&["db", "url"]).contains("/barkeep_sim?"));
    assert!(up.stop().success());
    let mut command = home.barkeep(&["up"]);
    command.env("APCA_API_DATA_URL", stand_in().await);
    command.env("APCA_API_KEY_ID", "PKTEST").env("APCA_API_SECRET_KEY", "not-a-secret");
    let up = Up::start(command).await;
    let url = home.printed(&["db", "url"]);
    assert!(url.contains("/barkeep?"), "{url}");
    let ready = crate::running::eventually("it is connected", async || {
        let (_, ready) = up.get("", "/readyz").await;
        (ready["provider"]["state"] == "connected").then_some(ready)
    })
    .await;
    assert_eq!((&ready["provider"]["name"], &ready["provider"]["simulated"]), (&"alpaca".into(), &false.into()));
    assert!(up.stop().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_provider_a_database_that_one_names_is_served_and_nothing_is_fetched_into_it() {
    let (home, database) = (Place::new(), quiet_database().await);
    let barkeep = |args: &[&str]| {
        let mut command = home.barkeep(&[args, &["--database-url", &database.url]].concat());
        command.env_remove("BARKEEP_SIMULATED").env("BARKEEP_LOG", "off");
        command
    };
    let up = Up::spawn(barkeep(&["up"]));
    let keys: serde_json::Value = serde_json::from_str(&home.printed(&["keys", "--json"])).unwrap();
    let anon = keys["anon_key"].as_str().unwrap();
    let ready = crate::running::eventually("it says what is missing", async || {
        let (_, ready) = up.get(anon, "/readyz").await;
        (ready["provider"]["state"] == "missing").then_some(ready)
    })
    .await;
    assert!(ready["provider"]["reason"].as_str().unwrap().contains("no provider is set up"), "{ready}");
    assert_eq!(up.sync(anon, r#"{"symbols":["KO"],"source":"watchlist"}"#).await.0, 200);
    let series = up.coverage(anon, "KO").await;
    assert!(series.iter().all(|series| series["bars"] == 0), "{series:?}");
    assert!(up.stop().success());

    let output = crate::running::finished(barkeep(&["backfill", "KO"])).await;
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("no provider is set up") && said.contains("--simulated"), "{said}");
    let mut sql = PgConnection::connect(&database.url).await.unwrap();
    let kind: Option<String> =
        sqlx::query_scalar("select bars from barkeep.installation").fetch_one(&mut sql).await.unwrap();
    assert_eq!(kind, None, "a real provider may still fill it");

    let output = crate::running::finished(barkeep(&["backfill", "KO", "--timeframes", "d1", "--simulated"])).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
