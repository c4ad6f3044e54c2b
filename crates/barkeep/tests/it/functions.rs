//! The old system's functions, as clients that exist call and decode them.

use reqwest::Method;
use serde_json::{Value, json};

use crate::running::{Market, Served, eventually, http};

/// In the middle of a session.
const AS_OF: &str = "2026-06-18T15:37:00Z";

async fn served(market: &Market) -> Served {
    Served::start_with(|command| {
        command.env("APCA_API_DATA_URL", market.url()).args(["--as-of", AS_OF]);
    })
    .await
}

/// Every field is there, none besides, and none is null but those named.
fn is_of(value: &Value, fields: &[&str], may_be_null: &[&str]) {
    let object = value.as_object().unwrap_or_else(|| panic!("no object: {value}"));
    let mut found: Vec<&str> = object.keys().map(String::as_str).collect();
    let mut fields = fields.to_vec();
    found.sort_unstable();
    fields.sort_unstable();
    assert_eq!(found, fields, "{value}");
    for (name, of) in object {
        assert!(!of.is_null() || may_be_null.contains(&name.as_str()), "{name} is null: {value}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn symbols_are_searched_as_the_old_client_does() {
    let market = Market::start(Market::settings(AS_OF)).await;
    let served = served(&market).await;
    let search = async |q: &str| served.up.get(&served.anon_key, &format!("/functions/v1/symbols-search?q={q}")).await;
    let (status, found) = search("mu").await;
    assert_eq!((status, &found[0]["ticker"]), (200, &json!("MU")), "{found}");
    for symbol in found.as_array().unwrap() {
        is_of(symbol, &["id", "ticker", "asset_type", "description"], &[]);
    }
    assert_eq!(found[0]["asset_type"], "stock");
    for nothing in ["", "%F0%9F%9A%80", "qqqqzzzz"] {
        assert_eq!(search(nothing).await, (200, json!([])), "{nothing}");
    }
    let stranger = http::get(served.up.url("/functions/v1/symbols-search?q=mu")).await.unwrap();
    assert_eq!(stranger.status(), 401);
    assert!(stranger.json::<Value>().await.unwrap()["error"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watchlist_is_synced_as_the_old_client_does() {
    let market = Market::start(Market::settings(AS_OF)).await;
    let served = served(&market).await;
    let token = served.somebodys_token();
    let sync = async |body: Value| served.post(&token, "/functions/v1/watchlist-sync", &body.to_string()).await;
    let (status, empty) = sync(json!({"action": "list"})).await;
    assert_eq!((status, &empty["items"]), (200, &json!([])));
    let (status, added) = sync(json!({"action": "add", "symbol": "tsla"})).await;
    is_of(&added, &["success", "message", "symbol", "watchlistId", "jobStatus"], &[]);
    assert_eq!((status, &added["symbol"], &added["success"]), (200, &json!("TSLA"), &json!(true)));
    let (status, again) = sync(json!({"action": "add", "symbol": "TSLA"})).await;
    assert_eq!((status, &again["message"]), (200, &json!("Symbol already in watchlist")));
    let (_, listed) = sync(json!({"action": "list"})).await;
    is_of(&listed, &["success", "watchlistId", "items"], &[]);
    assert_eq!((&listed["items"][0]["symbol"], &listed["watchlistId"]), (&json!("TSLA"), &added["watchlistId"]));
    is_of(&listed["items"][0], &["symbol", "addedAt"], &[]);
    served.up.until(&token, "TSLA", "complete").await;
    let priority: i32 = sqlx::query_scalar("select priority from job_definitions where symbol = 'TSLA' limit 1")
        .fetch_one(&mut served.sql().await)
        .await
        .unwrap();
    assert_eq!(priority, 300);
    assert_eq!(sync(json!({"action": "remove", "symbol": "TSLA"})).await.0, 200);
    assert_eq!(sync(json!({"action": "remove", "symbol": "TSLA"})).await.0, 404);
    for (body, says) in [
        (json!({"action": "sell", "symbol": "TSLA"}), "Invalid action"),
        (json!({"action": "add"}), "No symbol provided"),
        (json!({"action": "add", "symbol": "T SLA"}), "T SLA"),
    ] {
        let (status, told) = sync(body).await;
        assert!(status == 400 && told["error"].as_str().unwrap().contains(says), "{told}");
    }
    // Another's list is another's.
    let other = served.post(&served.anon_key, "/functions/v1/watchlist-sync", r#"{"action":"list"}"#).await.1;
    assert_eq!(other["items"], json!([]));
    assert_ne!(other["watchlistId"], added["watchlistId"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn coverage_is_ensured_as_the_old_client_asks() {
    let market = Market::start(Market::settings(AS_OF)).await;
    let served = served(&market).await;
    let token = served.somebodys_token();
    let ensure = async |body: Value| served.post(&token, "/functions/v1/ensure-coverage", &body.to_string()).await;
    let body = json!({"symbol": "KO", "timeframe": "1h", "window_days": 7});
    market.simulator.set_faults(vec!["hang=1".parse().unwrap()]).unwrap();
    let first = eventually("the planner has queued it", async || {
        let (status, first) = ensure(body.clone()).await;
        assert_eq!(status, 200, "{first}");
        (first["backfill_progress"]["total_slices"].as_i64() > Some(0)).then_some(first)
    })
    .await;
    let fields = ["job_def_id", "symbol", "timeframe", "status", "coverage_status", "backfill_progress"];
    is_of(&first, &fields, &[]);
    let nulls = ["from_ts", "to_ts", "last_success_at"];
    is_of(&first["coverage_status"], &["from_ts", "to_ts", "last_success_at", "gaps_found"], &nulls);
    let progress = [
        "total_slices",
        "completed_slices",
        "running_slices",
        "queued_slices",
        "failed_slices",
        "progress_percent",
        "bars_written",
    ];
    is_of(&first["backfill_progress"], &progress, &[]);
    assert_eq!((&first["status"], &first["timeframe"]), (&json!("gaps_detected"), &json!("h1")));
    assert_eq!(first["coverage_status"]["gaps_found"], 1);
    market.simulator.set_faults(Vec::new()).unwrap();
    let last = eventually("it is complete", async || {
        let (_, told) = ensure(body.clone()).await;
        (told["status"] == "coverage_complete").then_some(told)
    })
    .await;
    assert_eq!(last["backfill_progress"]["progress_percent"], 100);
    assert!(last["backfill_progress"]["bars_written"].as_i64().unwrap() > 20, "{last}");
    assert!(last["coverage_status"]["to_ts"].is_string());
    for (body, says) in [
        (json!({}), "No symbol"),
        (json!({"symbol": "KO", "timeframe": "m7"}), "m7"),
        (json!({"symbol": "K O", "timeframe": "h1"}), "K O"),
        (json!({"symbol": "KO", "timeframe": "h1", "window_days": 0}), "window_days"),
    ] {
        let (status, told) = ensure(body).await;
        assert!(status == 400 && told["error"].as_str().unwrap().contains(says), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chart_is_asked_for_as_the_old_client_does() {
    let market = Market::start(Market::settings(AS_OF)).await;
    let served = served(&market).await;
    let token = served.somebodys_token();
    let ask = async || served.up.get(&token, "/functions/v1/chart?symbol=KO&timeframe=m15&days=5").await;
    let chart = eventually("it is fresh", async || {
        let (status, chart) = ask().await;
        assert_eq!(status, 200, "{chart}");
        (chart["meta"]["dataStatus"] == "fresh").then_some(chart)
    })
    .await;
    is_of(&chart, &["symbol", "symbol_id", "timeframe", "bars", "meta", "dataQuality"], &[]);
    is_of(&chart["meta"], &["lastBarTs", "dataStatus", "isMarketOpen", "totalBars"], &[]);
    let quality = ["dataAgeHours", "isStale", "hasRecentData", "historicalDepthDays", "barCount"];
    is_of(&chart["dataQuality"], &quality, &[]);
    let bars = chart["bars"].as_array().unwrap();
    is_of(&bars[0], &["ts", "open", "high", "low", "close", "volume", "provider", "is_partial"], &[]);
    assert_eq!((&chart["meta"]["dataStatus"], &chart["meta"]["isMarketOpen"]), (&json!("fresh"), &json!(true)));
    assert_eq!(chart["meta"]["totalBars"], bars.len());
    assert_eq!(chart["meta"]["lastBarTs"], bars[bars.len() - 1]["ts"]);
    let partial: Vec<bool> = bars.iter().map(|bar| bar["is_partial"].as_bool().unwrap()).collect();
    assert_eq!(partial.iter().filter(|is| **is).count(), 1, "the one that is forming");
    // The same by POST, with a number for days.
    let body = r#"{"symbol":"ko","timeframe":"15m","days":5}"#;
    let (status, posted) = served.post(&token, "/functions/v1/chart", body).await;
    assert_eq!((status, posted["bars"].as_array().unwrap().len()), (200, bars.len()));
    for (query, expected) in [
        ("symbol=ZZQQX&timeframe=h1", 404),
        ("symbol=K%20O", 400),
        ("timeframe=h1", 400),
        ("symbol=KO&timeframe=m7", 400),
        ("symbol=KO&days=many", 400),
    ] {
        let (status, told) = served.up.get(&token, &format!("/functions/v1/chart?{query}")).await;
        assert!(status == expected && told["error"].is_string(), "{query}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn preflights_of_any_origin_are_answered() {
    let served = Served::start().await;
    let names = ["sync-user-symbols", "symbols-search", "watchlist-sync", "ensure-coverage", "chart", "orchestrator"];
    for path in names.map(|name| format!("/functions/v1/{name}")).into_iter().chain(["/udf/history".to_owned()]) {
        let answer = http::client()
            .request(Method::OPTIONS, served.up.url(&path))
            .header("origin", "https://charts.example")
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization, x-client-info, apikey, content-type")
            .send()
            .await
            .unwrap();
        assert!(answer.status().is_success(), "{path}");
        assert_eq!(answer.headers()["access-control-allow-origin"], "*", "{path}");
        let allowed = answer.headers()["access-control-allow-headers"].to_str().unwrap();
        assert!(["authorization", "x-client-info", "apikey", "content-type"].iter().all(|h| allowed.contains(h)));
    }
}

/// npm's client of Supabase's functions, as it is published, against a running server.
#[tokio::test(flavor = "multi_thread")]
async fn supabases_own_client_gets_what_it_expects() {
    let Some(folder) = crate::npm::packages() else { return };
    let market = Market::start(Market::settings(AS_OF)).await;
    let served = served(&market).await;
    let mut command = std::process::Command::new("node");
    command
        .arg("functions.mjs")
        .current_dir(folder.path())
        .env("SUPABASE_URL", &served.up.address)
        .env("SUPABASE_ANON_KEY", served.somebodys_token());
    let output = crate::running::finished(command).await;
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("5 functions called"), "{said}");
}
