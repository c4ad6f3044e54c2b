//! Bars as traded stay as they were traded; what is read is in today's shares.

use std::path::PathBuf;

use serde_json::Value;
use simulator::Source;
use sqlx::{Connection as _, PgConnection};

use crate::{
    data::{made_up, shared},
    running::{Market, Place, Served, eventually, finished, quiet_database},
};

/// Starts and closes that `export` prints.
fn closes(place: &Place, url: &str, symbol: &str, timeframe: &str, adjustment: &str) -> Vec<(String, f64)> {
    let printed =
        place.printed(&["export", symbol, timeframe, "--adjustment", adjustment, "--json", "--database-url", url]);
    let bars: Vec<Value> = serde_json::from_str(&printed).unwrap();
    bars.iter().map(|bar| (bar["ts"].as_str().unwrap().to_owned(), bar["close"].as_f64().unwrap())).collect()
}

/// How much a close differs from the one before, at most.
fn largest_step(closes: &[(String, f64)]) -> f64 {
    closes.windows(2).map(|two| (two[1].1 / two[0].1 - 1.0).abs()).fold(0.0, f64::max)
}

/// A stock's split as its bars were traded, and how its closes lay. `bars` and `splits` are the simulator's.
struct Split {
    bars: PathBuf,
    splits: PathBuf,
    symbol: &'static str,
    as_of: &'static str,
    ex_date: &'static str,
    shares: f64,
    before_above: f64,
    after: std::ops::Range<f64>,
}

impl Split {
    /// The project's own: eight for one.
    fn made_up() -> Self {
        Self {
            bars: made_up("m1"),
            splits: made_up("splits.csv"),
            symbol: "SPLT",
            as_of: "2025-07-09T00:00:00Z",
            ex_date: "2025-07-08",
            shares: 8.0,
            before_above: 630.0,
            after: 75.0..85.0,
        }
    }

    /// Apple's of 2014, where its bars are.
    fn real() -> Option<Self> {
        Some(Self {
            bars: shared("realdata/m1")?,
            splits: shared("realdata/splits.csv")?,
            symbol: "AAPL",
            as_of: "2014-06-10T00:00:00Z",
            ex_date: "2014-06-09",
            shares: 7.0,
            before_above: 640.0,
            after: 85.0..100.0,
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_split_leaves_bars_as_traded_and_is_not_seen_in_adjusted_ones() {
    for split in [Some(Split::made_up()), Split::real()].into_iter().flatten() {
        is_not_seen(split).await;
    }
}

async fn is_not_seen(split: Split) {
    let mut settings = Market::settings(split.as_of);
    settings.source = Source::Folder(split.bars);
    settings.actions = simulator::read_actions(&split.splits).unwrap();
    let market = Market::start(settings).await;
    let (place, database) = (Place::new(), quiet_database().await);
    let timeframes = ["backfill", split.symbol, "--timeframes", "m15,h1,d1,w1"];
    let args = [&timeframes[..], &["--as-of", split.as_of, "--database-url", &database.url]].concat();
    let mut command = place.barkeep(&args);
    command.env("APCA_API_DATA_URL", market.url());
    let output = finished(command).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let closes = |timeframe: &str, adjustment: &str| closes(&place, &database.url, split.symbol, timeframe, adjustment);
    for timeframe in ["m15", "h1"] {
        let raw = closes(timeframe, "raw");
        assert!(raw[0].1 > split.before_above && raw.last().unwrap().1 < split.after.end, "as traded: {raw:?}");
        assert!(largest_step(&raw) > 0.8);
        let adjusted = closes(timeframe, "splits");
        assert!(largest_step(&adjusted) < 0.02, "continuous: {adjusted:?}");
        for ((start, as_traded), (_, in_todays_shares)) in raw.iter().zip(&adjusted) {
            let factor = if start.as_str() < split.ex_date { split.shares } else { 1.0 };
            assert!((as_traded / in_todays_shares - factor).abs() < 1e-9, "{start}");
        }
    }
    // A later split is not known yet, and an earlier one is older than all bars: only one counts.
    let week = closes("w1", "splits");
    assert!(week.iter().all(|(_, close)| split.after.contains(close)), "{week:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_split_that_is_told_later_counts_from_the_next_reading_on_and_nothing_is_fetched_again() {
    let Split { bars, symbol, as_of, ex_date, shares, .. } = Split::made_up();
    let mut settings = Market::settings(as_of);
    settings.source = Source::Folder(bars);
    let market = Market::start(settings).await;
    let served = Served::start_with(|command| {
        command.env("APCA_API_DATA_URL", market.url()).env("BARKEEP_UPKEEP", "on");
        command.args(["--as-of", as_of]);
    })
    .await;
    served.up.sync(&served.anon_key, &format!(r#"{{"symbols":["{symbol}"],"source":"watchlist"}}"#)).await;
    served.up.until(&served.anon_key, symbol, "complete").await;
    let read = async |adjustment: &str| {
        let path = format!("/api/v1/bars?symbol={symbol}&timeframe=h1{adjustment}");
        let (status, answer) = served.up.get(&served.anon_key, &path).await;
        assert_eq!(status, 200, "{answer}");
        let bars = answer["bars"].as_array().unwrap();
        bars.iter().map(|bar| (bar["close"].as_f64().unwrap(), bar["volume"].as_f64().unwrap())).collect::<Vec<_>>()
    };
    let before = read("").await;
    assert_eq!(before, read("&adjustment=raw").await);
    eventually("it has asked about splits", async || {
        let asked = market.simulator.seen().iter().any(|seen| seen.uri.contains("/v1/corporate-actions"));
        asked.then_some(())
    })
    .await;
    let list = async |ex_date: &str| {
        let split = "insert into corporate_actions (symbol_id, ex_date, kind, old_shares, new_shares, source)
            select id, $2::text::date, 'split', 1, $3, 'test' from symbols where ticker = $1";
        let query = sqlx::query(split).bind(symbol).bind(ex_date.parse::<jiff::civil::Date>().unwrap().to_string());
        query.bind(shares).execute(&mut served.sql().await).await.unwrap();
    };
    // The bars don't show this one.
    list("2025-07-07").await;
    assert_eq!(read("").await, before);
    let said = |args: &[&str]| {
        let mut command = served.place.barkeep(&[args, &["--database-url", &served.database.url]].concat());
        command.env("APCA_API_DATA_URL", market.url());
        String::from_utf8(crate::running::finish(command).stdout).unwrap()
    };
    let findings = tokio::task::block_in_place(|| said(&["verify", symbol]));
    assert!(findings.contains("test lists a split of 8 for 1 on 2025-07-07"), "{findings}");
    let diagnosis = tokio::task::block_in_place(|| said(&["doctor"]));
    assert!(diagnosis.contains(&format!("the stored bars of {symbol} don't show a split")), "{diagnosis}");
    let asked = market.simulator.seen().iter().filter(|seen| seen.uri.contains("/bars")).count();
    list(ex_date).await;
    let after = read("").await;
    let last_day = 7;
    for ((close, volume), (was, had)) in after.iter().zip(&before).rev().skip(last_day) {
        assert!((close * shares / was - 1.0).abs() < 1e-9 && *volume == had * shares, "{close} {volume}");
    }
    assert_eq!(after[after.len() - last_day..], before[before.len() - last_day..], "from the ex-date on");
    assert_eq!(read("&adjustment=raw").await, before);
    assert_eq!(market.simulator.seen().iter().filter(|seen| seen.uri.contains("/bars")).count(), asked);
    let (status, said) =
        served.up.get(&served.anon_key, &format!("/api/v1/bars?symbol={symbol}&timeframe=h1&adjustment=half")).await;
    assert_eq!(status, 400, "{said}");
}

/// A server with Yahoo's chart of days, made up: prices are in today's shares. Halved are those of before 15 June 2026, once
/// `has_split`, and it tells of the split if `lists`.
async fn days_in_todays_shares(has_split: std::sync::Arc<std::sync::atomic::AtomicBool>, lists: bool) -> String {
    use axum::{Json, Router, extract::Query, routing::get};
    use market::Calendar;
    let chart = move |Query(asked): Query<std::collections::HashMap<String, String>>| {
        let has_split = has_split.load(std::sync::atomic::Ordering::SeqCst);
        async move {
            let secs = |name: &str| jiff::Timestamp::from_second(asked[name].parse().unwrap()).unwrap();
            let (from, to) = (secs("period1"), secs("period2"));
            let split: jiff::civil::Date = "2026-06-15".parse().unwrap();
            let days: Vec<_> = Calendar::Xnys
                .by_rules()
                .sessions(Calendar::Xnys.date_of(from), Calendar::Xnys.date_of(to).tomorrow().unwrap())
                .into_iter()
                .filter(|session| session.open >= from && session.open < to)
                .collect();
            let close = |date: jiff::civil::Date| {
                let as_traded = 200.0 + f64::from(date.day());
                if date >= split || has_split { as_traded / 2.0 } else { as_traded }
            };
            let column = |by: f64| days.iter().map(|day| close(day.date) + by).collect::<Vec<f64>>();
            let midnight = Calendar::Xnys.midnight(split).unwrap().as_second();
            let splits = match lists {
                true => serde_json::json!({"splits": {"1": {"date": midnight, "numerator": 2, "denominator": 1}}}),
                false => serde_json::json!({}),
            };
            Json(serde_json::json!({"chart": {"error": null, "result": [{
                "events": splits,
                "meta": {"symbol": "KO", "firstTradeDate": 0, "dataGranularity": asked["interval"]},
                "timestamp": days.iter().map(|day| day.open.as_second()).collect::<Vec<_>>(),
                "indicators": {"quote": [{
                    "open": column(0.0), "high": column(1.0), "low": column(-1.0), "close": column(0.0),
                    "volume": days.iter().map(|_| 1_000).collect::<Vec<_>>(),
                }]},
            }]}}))
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route("/v8/finance/chart/{symbol}", get(chart));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    format!("http://{address}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_split_that_nobody_tells_of_is_noticed_where_new_bars_overlap_stored_ones_and_mended() {
    use sqlx::Connection as _;
    let has_split = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let url = days_in_todays_shares(std::sync::Arc::clone(&has_split), false).await;
    let (place, database) = (Place::new(), quiet_database().await);
    let backfill = async |as_of: &str| {
        let args = ["backfill", "KO", "--timeframes", "d1", "--as-of", as_of, "--database-url", &database.url];
        let mut command = place.barkeep(&args);
        command.env("BARKEEP_YAHOO", "on").env("YAHOO_API_URL", &url);
        let output = finished(command).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let closes = |adjustment: &str| {
        let args = ["export", "KO", "d1", "--adjustment", adjustment, "--json", "--database-url", &database.url];
        let bars: Vec<Value> = serde_json::from_str(&place.printed(&args)).unwrap();
        let close = |bar: &Value| (bar["ts"].as_str().unwrap()[..10].to_owned(), bar["close"].as_f64().unwrap());
        bars.iter().map(close).collect::<std::collections::BTreeMap<String, f64>>()
    };
    backfill("2026-06-12T23:00:00Z").await;
    let before = closes("raw");
    assert_eq!(before["2026-06-12"], 212.0);
    assert_eq!(closes("splits"), before, "nobody knows of a split, and there is none");

    has_split.store(true, std::sync::atomic::Ordering::SeqCst);
    backfill("2026-06-18T23:00:00Z").await;
    let mut sql = sqlx::PgConnection::connect(&database.url).await.unwrap();
    let noticed: Vec<(String, f64, f64, String)> =
        sqlx::query_as("select ex_date::text, new_shares, old_shares, source from corporate_actions")
            .fetch_all(&mut sql)
            .await
            .unwrap();
    assert_eq!(noticed, [("2026-06-15".to_owned(), 2.0, 1.0, "noticed".to_owned())]);
    let (raw, adjusted) = (closes("raw"), closes("splits"));
    for (day, close) in &before {
        assert_eq!(raw[day], *close, "{day}: as traded it stays");
        assert_eq!(adjusted[day], close / 2.0, "{day}: in today's shares");
    }
    assert_eq!((raw["2026-06-16"], adjusted["2026-06-16"]), (108.0, 108.0));
    assert_eq!(raw.len(), before.len() + 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_split_that_is_listed_and_not_yet_adjusted_for_is_stored_as_traded() {
    let has_split = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let url = days_in_todays_shares(std::sync::Arc::clone(&has_split), true).await;
    let (place, database) = (Place::new(), quiet_database().await);
    let closes = |adjustment: &str| closes(&place, &database.url, "KO", "d1", adjustment);
    // The same once it is adjusted.
    for is_adjusted in [false, true] {
        has_split.store(is_adjusted, std::sync::atomic::Ordering::SeqCst);
        let mut sql = PgConnection::connect(&database.url).await.unwrap();
        sqlx::query("update coverage_status set covered = '{}'").execute(&mut sql).await.unwrap();
        let args = ["backfill", "KO", "--timeframes", "d1", "--as-of", "2026-06-18T23:00:00Z"];
        let mut command = place.barkeep(&[&args[..], &["--database-url", &database.url]].concat());
        command.env("BARKEEP_YAHOO", "on").env("YAHOO_API_URL", &url);
        let output = finished(command).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let on = |closes: &[(String, f64)], day: &str| closes.iter().find(|(at, _)| at.starts_with(day)).unwrap().1;
        let (raw, adjusted) = (closes("raw"), closes("splits"));
        assert_eq!((on(&raw, "2026-06-12"), on(&raw, "2026-06-16")), (212.0, 108.0), "{is_adjusted}");
        assert_eq!((on(&adjusted, "2026-06-12"), on(&adjusted, "2026-06-16")), (106.0, 108.0), "{is_adjusted}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_no_trade_shows_whether_a_split_is_adjusted_for_nothing_is_stored_and_nobody_is_to_blame() {
    let has_split = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let url = days_in_todays_shares(has_split, true).await;
    let (place, database) = (Place::new(), quiet_database().await);
    let backfill = |as_of: &'static str| {
        let args = ["backfill", "KO", "--timeframes", "d1", "--as-of", as_of, "--database-url", &database.url];
        let mut command = place.barkeep(&args);
        command.env("BARKEEP_YAHOO", "on").env("YAHOO_API_URL", &url).env("BARKEEP_LOG", "off");
        finished(command)
    };
    // The day of the split, before the open.
    let output = backfill("2026-06-15T12:00:00Z").await;
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("no trade shows yet whether yahoo has adjusted its bars of KO"), "{said}");
    let mut sql = PgConnection::connect(&database.url).await.unwrap();
    let stored: i64 = sqlx::query_scalar("select count(*) from ohlc_bars_v2 where ts < '2026-06-15'")
        .fetch_one(&mut sql)
        .await
        .unwrap();
    assert_eq!(stored, 0);
    let attempts: Vec<(i32, i32)> =
        sqlx::query_as("select distinct attempt, failures from job_runs where error_code = 'postponed'")
            .fetch_all(&mut sql)
            .await
            .unwrap();
    assert_eq!(attempts, [(0, 0)]);
    let blamed: i64 = sqlx::query_scalar("select count(*) from barkeep.provider_health where failures > 0")
        .fetch_one(&mut sql)
        .await
        .unwrap();
    assert_eq!(blamed, 0);
    // Whoever asks again once there are trades need not wait.
    let output = backfill("2026-06-15T21:00:00Z").await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let raw = closes(&place, &database.url, "KO", "d1", "raw");
    assert_eq!(raw.iter().find(|(at, _)| at.starts_with("2026-06-12")).unwrap().1, 212.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backfill_is_complete_when_the_splits_of_all_that_it_names_were_asked_for() {
    // More than are asked about in one request.
    let symbols: Vec<String> = (0..120).map(|n| format!("S{n}")).collect();
    let listed: String = symbols.iter().map(|symbol| format!("{symbol},2026-06-17,2\n")).collect();
    let actions = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&actions, format!("symbol,ex_date,ratio\n{listed}")).unwrap();
    let mut settings = Market::settings("2026-06-18T23:00:00Z");
    settings.actions = simulator::read_actions(actions.path()).unwrap();
    let market = Market::start(settings).await;
    let (place, database) = (Place::new(), quiet_database().await);
    let mut args = vec!["backfill", "--timeframes", "d1", "--days", "5", "--as-of", "2026-06-18T23:00:00Z"];
    args.extend(["--database-url", database.url.as_str()]);
    args.extend(symbols.iter().map(String::as_str));
    let mut command = place.barkeep(&args);
    command.env("APCA_API_DATA_URL", market.url());
    let output = finished(command).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let mut sql = PgConnection::connect(&database.url).await.unwrap();
    let known: i64 = sqlx::query_scalar("select count(distinct symbol_id) from corporate_actions where kind = 'split'")
        .fetch_one(&mut sql)
        .await
        .unwrap();
    assert_eq!(known, 120);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backfill_says_of_whom_the_splits_could_not_be_had() {
    let settings = Market::settings("2026-06-18T23:00:00Z");
    let (market, fail) = Market::holding(settings, |uri| uri.contains("corporate-actions")).await;
    fail.cancel();
    let (place, database) = (Place::new(), quiet_database().await);
    let backfill = |more: &[&str]| {
        let args = ["backfill", "KO", "BTC-USD", "--as-of", "2026-06-18T23:00:00Z", "--database-url", &database.url];
        let mut command = place.barkeep(&[&args, more].concat());
        command.env("APCA_API_DATA_URL", market.url()).env("BARKEEP_LOG", "off");
        finished(command)
    };
    let output = backfill(&["--json"]).await;
    assert_eq!(output.status.code(), Some(1));
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&summary["incomplete"], &summary["actions_missing"]),
        (&Value::from(vec![0; 0]), &Value::from(vec!["KO"]))
    );
    let output = backfill(&[]).await;
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("Splits and dividends could not be fetched of KO: run the same command again"), "{text}");
}
