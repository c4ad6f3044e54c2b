//! `backfill`: to completion, with a summary, alone or beside others.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use market::{AssetClass, Calendar, Range, Ticker, Timeframe, grid::Grid};
use serde_json::Value;
use sqlx::{Connection as _, PgConnection};

use crate::running::{Place, Up, finish, finished, quiet_database};

const AS_OF: &str = "2026-06-18T15:37:00Z";

/// Starts of the final bars that `export` prints.
fn final_starts(place: &Place, symbol: &str, timeframe: Timeframe, url: &[&str]) -> BTreeSet<Timestamp> {
    let printed = place.printed(&[&["export", symbol, timeframe.as_str()], url].concat());
    let finals = printed.lines().skip(1).filter(|line| line.ends_with(",true"));
    finals.map(|line| line.split(',').next().unwrap().parse().unwrap()).collect()
}

/// The bars of `range` that the market's own grid has.
fn expected(symbol: &str, timeframe: Timeframe, range: Range) -> BTreeSet<Timestamp> {
    let calendar = Calendar::for_class(symbol.parse::<Ticker>().unwrap().asset_class());
    Grid::by_rules(calendar).buckets(timeframe, range).iter().map(Range::from).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_timeframe_of_stocks_and_crypto_comes_to_be_what_the_grid_expects() {
    let (place, database) = (Place::new(), quiet_database().await);
    let url = ["--database-url", database.url.as_str()];
    let all = "m5,m15,m30,h1,h4,d1,w1";
    let printed = place
        .printed(&[&["backfill", "KO", "btc/usd", "--timeframes", all, "--as-of", AS_OF, "--json"], &url[..]].concat());
    let summary: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(summary["incomplete"], serde_json::json!([]));

    let coverage: Vec<Value> =
        serde_json::from_str(&place.printed(&[&["coverage", "--json"], &url[..]].concat())).unwrap();
    assert_eq!(coverage.len(), 14);
    let now: Timestamp = AS_OF.parse().unwrap();
    for series in coverage {
        let symbol = series["symbol"].as_str().unwrap();
        let timeframe: Timeframe = series["timeframe"].as_str().unwrap().parse().unwrap();
        assert_eq!((&series["state"], &series["missing"]), (&"complete".into(), &0.into()), "{series}");
        let starts = final_starts(&place, symbol, timeframe, &url);
        // From the first one stored to now: every bar whose time is over.
        let range = Range::new(*starts.first().unwrap(), now).unwrap();
        let grid = expected(symbol, timeframe, range);
        let calendar = Calendar::for_class(symbol.parse::<Ticker>().unwrap().asset_class());
        let over = |start: &Timestamp| {
            Grid::by_rules(calendar).bucket_of(timeframe, *start).is_some_and(|bucket| bucket.to() <= now)
        };
        assert_eq!(starts, grid.into_iter().filter(over).collect(), "{symbol} {timeframe}");
        assert_eq!(series["expected"], starts.len(), "{series}");
        let days = match timeframe {
            Timeframe::D1 | Timeframe::W1 => 730,
            Timeframe::H4 => 365,
            Timeframe::H1 => 90,
            Timeframe::M15 => 30,
            // Finer ones go back as far as is useful.
            _ => 5,
        };
        let first = *starts.first().unwrap();
        assert!(first <= now - SignedDuration::from_hours(24 * (days - 5)), "{symbol} {timeframe} from {first} on");
    }
    assert_eq!("BTC-USD".parse::<Ticker>().unwrap().asset_class(), AssetClass::Crypto);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_summary_says_requests_seconds_rows_and_what_is_incomplete() {
    let (place, database) = (Place::new(), quiet_database().await);
    let url = ["--database-url", database.url.as_str()];
    let backfill = |more: &[&str]| {
        let mut command = place.barkeep(&[&["backfill", "--as-of", AS_OF], more, &url].concat());
        command.env("BARKEEP_LOG", "info");
        finish(command)
    };
    let output = backfill(&["KO", "--json"]);
    let summary: Value = serde_json::from_slice(&output.stdout).expect("one JSON object on standard output");
    let mut names: Vec<&String> = summary.as_object().unwrap().keys().collect();
    names.sort_unstable();
    assert_eq!(names, ["incomplete", "requests", "rows", "seconds", "throttled"]);
    assert_eq!(summary["throttled"], 0);
    assert!(
        (1..=3).contains(&summary["requests"].as_i64().unwrap()) && summary["rows"].as_i64().unwrap() > 1_000,
        "{summary}"
    );
    assert!(summary["seconds"].as_f64().unwrap() > 0.0);
    let logged = String::from_utf8_lossy(&output.stderr);
    assert!(logged.contains("Stored") && logged.contains("SIMULATED"), "logs are on standard error: {logged}");

    let output = backfill(&["PEP"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].contains(" bars written with ") && lines[0].contains(" requests in "), "{text}");
    assert_eq!(lines[1..], ["Every series is complete"]);

    let again: Value = serde_json::from_slice(&backfill(&["KO", "--json"]).stdout).unwrap();
    assert!(again["requests"].as_i64().unwrap() <= 3, "only the bars that are forming: {again}");

    let output = backfill(&["ZZTOP", "KO"]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("3 series are still incomplete"), "{text}");
    assert!(text.contains("ZZTOP h4: unknown") && text.contains("knows no symbol ZZTOP"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn days_and_times_say_how_much_is_fetched() {
    let (place, database) = (Place::new(), quiet_database().await);
    let url = ["--database-url", database.url.as_str()];
    let backfill = |more: &[&str]| {
        let args = [&["backfill", "--timeframes", "m15", "--as-of", AS_OF], more, &url[..]].concat();
        place.printed(&args)
    };
    let starts = |symbol: &str| final_starts(&place, symbol, Timeframe::M15, &url);
    let range = |from: &str, to: &str| Range::new(from.parse().unwrap(), to.parse().unwrap()).unwrap();

    backfill(&["KO", "--days", "7"]);
    assert_eq!(starts("KO"), expected("KO", Timeframe::M15, range("2026-06-11T00:00:00Z", "2026-06-18T15:30:00Z")));
    backfill(&["PEP", "--from", "2026-05-04", "--to", "2026-05-06"]);
    assert_eq!(starts("PEP"), expected("PEP", Timeframe::M15, range("2026-05-04T00:00:00Z", "2026-05-06T00:00:00Z")));
    backfill(&["IBM", "--from", "2026-06-15T14:07:00Z"]);
    // A part of the past says nothing of the rest: whoever watches it from now on finds it due, and no other timeframe was
    // touched.
    let mut sql = PgConnection::connect(&database.url).await.unwrap();
    let kept: Vec<(String, bool)> = sqlx::query_as(
        "select timeframe, next_due_at <= barkeep.market_now() from job_definitions where symbol = 'IBM'",
    )
    .fetch_all(&mut sql)
    .await
    .unwrap();
    assert_eq!(kept, [("m15".to_owned(), true)]);
    let whole_bars = range("2026-06-15T14:00:00Z", "2026-06-18T15:30:00Z");
    assert_eq!(starts("IBM"), expected("IBM", Timeframe::M15, whole_bars));
    backfill(&["BA", "--to", "2026-06-01"]);
    assert_eq!(starts("BA").last().unwrap().to_string(), "2026-05-29T19:45:00Z");
    // What lies between is filled in by another one later.
    backfill(&["PEP", "--from", "2026-05-04"]);
    assert_eq!(starts("PEP"), expected("PEP", Timeframe::M15, range("2026-05-04T00:00:00Z", "2026-06-18T15:30:00Z")));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_at_once_on_one_data_directory_both_complete() {
    let place = Place::new();
    let backfill = |symbols: &[&str]| finished(place.barkeep(&[&["backfill", "--json"], symbols].concat()));
    let (one, other) = tokio::join!(backfill(&["KO", "PEP"]), backfill(&["PEP", "IBM"]));
    for output in [one, other] {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(summary["incomplete"], serde_json::json!([]));
    }
    for symbol in ["KO", "PEP", "IBM"] {
        let lines = place.printed(&["export", symbol, "m15"]).lines().count();
        assert!(lines > 300, "{symbol}: {lines}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_a_running_up_it_goes_by_the_same_clock() {
    let (place, database) = (Place::new(), quiet_database().await);
    let url = ["--database-url", database.url.as_str()];
    let up = Up::start(place.barkeep(&[&["up", "--as-of", AS_OF], &url[..]].concat())).await;
    let printed = place.printed(&[&["backfill", "KO", "--json"], &url[..]].concat());
    let summary: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(summary["incomplete"], serde_json::json!([]));
    assert!(final_starts(&place, "KO", Timeframe::M15, &url).last().unwrap().to_string().starts_with("2026-06-18"));
    let other = [&["backfill", "KO", "--as-of", "2026-01-02"], &url[..]].concat();
    assert!(place.complaint(&other).contains("another market clock"));
    assert!(up.stop().success());
}
