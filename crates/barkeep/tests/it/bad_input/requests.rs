//! Requests that can't be answered as they are.

use serde_json::{Value, json};

use crate::running::{Served, http};

const SYNC: &str = "/functions/v1/sync-user-symbols";

/// Sends `request` and returns status and `error` of the answer, which must be JSON.
async fn refusal(request: reqwest::RequestBuilder) -> (u16, String) {
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let kind = answer.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
    let body = answer.text().await.unwrap();
    assert_eq!(kind.as_deref(), Some("application/json"), "{status}: {body}");
    let body: Value = serde_json::from_str(&body).unwrap();
    let error = body["error"].as_str().unwrap_or_else(|| panic!("no error in {body}")).to_owned();
    assert!(error.chars().count() <= 400, "{error}");
    (status, error)
}

/// Rows in the tables that interest can change.
async fn counts(served: &Served) -> (i64, i64, i64, i64) {
    sqlx::query_as(
        "select (select count(*) from symbols), (select count(*) from user_symbol_tracking),
            (select count(*) from job_definitions), (select count(*) from job_runs)",
    )
    .fetch_one(&mut served.sql().await)
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn interest_that_makes_no_sense_is_refused_and_changes_nothing() {
    let served = Served::start().await;
    let before = counts(&served).await;
    let source = "Invalid source. Must be: watchlist, recent_search, or chart_view";
    let symbol = |symbol: &str| json!({"symbols": ["KO", symbol], "source": "watchlist"}).to_string().into_bytes();
    let timeframes = |timeframes: Value| {
        json!({"symbols": ["KO"], "source": "watchlist", "timeframes": timeframes}).to_string().into_bytes()
    };
    let text = |text: &str| text.as_bytes().to_vec();
    for (body, message) in [
        (text(""), "isn't valid JSON"),
        (text("{"), "isn't valid JSON"),
        (text(r#"{"symbols":["KO"],"source":"watchlist"} and more"#), "isn't valid JSON"),
        (text(&"[".repeat(100_000)), "isn't valid JSON"),
        (b"{\"symbols\":[\"K\xff\"],\"source\":\"watchlist\"}".to_vec(), "isn't valid JSON"),
        (text("[]"), "object"),
        (text(r#"["KO"]"#), "object"),
        (text("null"), "object"),
        (text("{}"), "No symbols provided"),
        (text(r#"{"source":"watchlist"}"#), "No symbols provided"),
        (text(r#"{"symbols":[],"source":"watchlist"}"#), "No symbols provided"),
        (text(r#"{"symbols":null,"source":"watchlist"}"#), "No symbols provided"),
        (text(r#"{"symbols":"KO","source":"watchlist"}"#), "list"),
        (text(r#"{"symbols":{"0":"KO"},"source":"watchlist"}"#), "list"),
        (text(r#"{"symbols":["KO",7],"source":"watchlist"}"#), "list"),
        (text(r#"{"symbols":["KO",null],"source":"watchlist"}"#), "list"),
        (text(r#"{"symbols":["KO"]}"#), source),
        (text(r#"{"symbols":["KO"],"source":"favourites"}"#), source),
        (text(r#"{"symbols":["KO"],"source":["watchlist"]}"#), source),
        (text(r#"{"symbols":["KO"],"source":"watchlist\u0000"}"#), source),
        (timeframes(json!(["m15", "m7"])), "m7"),
        (timeframes(json!(["1M"])), "1M"),
        (timeframes(json!([])), "list"),
        (timeframes(json!("m15")), "list"),
        (timeframes(json!([15])), "list"),
        (timeframes(json!(["m15\u{0}"])), "isn't a valid timeframe"),
        (symbol(""), "'' isn't a valid ticker"),
        (symbol("AA PL"), "AA PL"),
        (symbol("🚀"), "🚀"),
        (symbol("ΑΑPL"), "ΑΑPL"),
        (symbol("KO\u{0}"), "isn't a valid ticker"),
        (symbol("KO'; drop table symbols; --"), "drop table"),
        (symbol("../../etc"), "../../etc"),
        (symbol("ABCDEFGHIJKLMNOPQ"), "ABCDEFGHIJKLMNOPQ"),
        (symbol(&"A".repeat(100_000)), "AAAA"),
    ] {
        let shown = String::from_utf8_lossy(&body[..body.len().min(80)]).into_owned();
        let request = http::client().post(served.up.url(SYNC)).bearer_auth(&served.anon_key).body(body);
        let (status, error) = refusal(request).await;
        assert_eq!(status, 400, "{shown}: {error}");
        assert!(error.contains(message), "{shown}: {error}");
    }
    assert_eq!(counts(&served).await, before);
    let (status, _) = served.up.sync(&served.anon_key, r#"{"symbols":["KO"],"source":"watchlist"}"#).await;
    assert_eq!(status, 200);
    assert_ne!(counts(&served).await, before, "good interest is counted");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_anonymous_users_51st_symbol_is_refused_and_nothing_of_its_request_is_written() {
    let served = Served::start().await;
    let body = |from: usize, to: usize| {
        let symbols: Vec<String> = (from..to).map(|n| format!("NOPE{n}")).collect();
        json!({"symbols": symbols, "source": "recent_search", "timeframes": ["d1"]}).to_string()
    };
    assert_eq!(served.up.sync(&served.anon_key, &body(0, 49)).await.0, 200);
    let before = counts(&served).await;
    for (from, to) in [(49, 51), (100, 151), (100, 700)] {
        let (status, answer) = served.up.sync(&served.anon_key, &body(from, to)).await;
        assert_eq!(status, 400, "{answer}");
        assert!(answer["error"].as_str().unwrap().contains("At most 50 symbols"), "{answer}");
    }
    let after = counts(&served).await;
    assert_eq!((after.0, after.1, after.2), (before.0, before.1, before.2));
    assert_eq!(served.up.sync(&served.anon_key, &body(30, 50)).await.0, 200, "the 50th is still welcome");
    let a = served.token("a@example.com");
    assert_eq!(served.up.sync(&a, &body(0, 51)).await.0, 200, "who is somebody may have more");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_method_name_or_size_that_is_not_served_is_refused_as_json() {
    let served = Served::start().await;
    let client = http::client();
    for path in
        ["/index.html", "/functions/v1/", "/functions/v1/nothing", "/api/v1", "/api/v1/bars/", "/api/v2/bars", "/%00"]
    {
        assert_eq!(refusal(client.get(served.up.url(path)).bearer_auth(&served.anon_key)).await.0, 404, "{path}");
    }
    assert_eq!(refusal(client.get(served.up.url(SYNC)).bearer_auth(&served.anon_key)).await.0, 405);
    for path in ["/api/v1/bars", "/api/v1/coverage", "/api/v1/events", "/healthz", "/readyz"] {
        assert_eq!(refusal(client.delete(served.up.url(path)).bearer_auth(&served.anon_key)).await.0, 405, "{path}");
    }
    for host in ["evil.example", "evil.example:4780", "127.0.0.1.evil.example", ""] {
        let request = client.get(served.up.url("/readyz")).header("host", host);
        let (status, error) = refusal(request).await;
        assert_eq!((status, error.contains("allowed_hosts")), (421, true), "{host}: {error}");
    }
    let large = json!({"symbols": ["KO"], "source": "watchlist", "more": "x".repeat(300 * 1024)}).to_string();
    let (status, error) = refusal(client.post(served.up.url(SYNC)).bearer_auth(&served.anon_key).body(large)).await;
    assert_eq!(status, 413, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_about_bars_or_coverage_that_can_not_be_answered_names_what_is_wrong() {
    let served = Served::start().await;
    let (status, _) = served.up.sync(&served.anon_key, r#"{"symbols":["ZZTOP"],"source":"watchlist"}"#).await;
    assert_eq!(status, 200);
    let client = http::client();
    for (question, status, message) in [
        ("bars", 400, "No symbol given"),
        ("bars?symbol=ZZTOP", 400, "No timeframe given"),
        ("bars?symbol=&timeframe=m15", 400, "No symbol given"),
        ("bars?symbol=A%20B&timeframe=m15", 400, "A B"),
        ("bars?symbol=%F0%9F%9A%80&timeframe=m15", 400, "🚀"),
        ("bars?symbol=ZZTOP%00&timeframe=m15", 400, "isn't a valid ticker"),
        ("bars?symbol=%FF&timeframe=m15", 400, "isn't a valid ticker"),
        ("bars?symbol=ZZTOP&timeframe=m7", 400, "m7"),
        ("bars?symbol=ZZTOP&timeframe=m15&from=yesterday", 400, "yesterday"),
        ("bars?symbol=ZZTOP&timeframe=m15&to=1700000000", 400, "1700000000"),
        ("bars?symbol=ZZTOP&timeframe=m15&from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", 400, "2026-01-02"),
        ("bars?symbol=ZZTOP&timeframe=m15&limit=0", 400, "limit"),
        ("bars?symbol=ZZTOP&timeframe=m15&limit=50001", 400, "limit"),
        ("bars?symbol=ZZTOP&timeframe=m15&limit=-1", 400, "limit"),
        ("bars?symbol=ZZTOP&timeframe=m15&limit=99999999999999999999", 400, "limit"),
        ("bars?symbol=ZZTOP&timeframe=m15&limit=ten", 400, "ten"),
        ("bars?symbol=ZZTOP&timeframe=m15&form=2026-01-01T00:00:00Z", 400, "form"),
        ("bars?symbol=ZZTOP&symbol=KO&timeframe=m15", 400, "symbol"),
        ("bars?symbol=NEVER&timeframe=m15", 404, "NEVER"),
        ("coverage?symbol=A%20B", 400, "A B"),
        ("coverage?symbol=ZZTOP&symbol=KO", 400, "symbol"),
        ("coverage?symbol=ZZTOP&timeframe=m15", 400, "timeframe"),
    ] {
        let request = client.get(served.up.url(&format!("/api/v1/{question}"))).bearer_auth(&served.anon_key);
        let (got, error) = refusal(request).await;
        assert_eq!(got, status, "{question}: {error}");
        assert!(error.contains(message), "{question}: {error}");
    }
    // Beyond what PostgreSQL can tell the time of, and fine all the same.
    for from in ["-009990-01-01T00:00:00Z", "9998-01-01T00:00:00Z"] {
        let question = format!("/api/v1/bars?symbol=ZZTOP&timeframe=m15&from={from}&to=9999-12-30T00:00:00Z");
        let (status, answer) = served.up.get(&served.anon_key, &question).await;
        assert_eq!((status, &answer["bars"]), (200, &json!([])), "{from}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_elsewhere_may_ask_for_symbols_and_read_the_refusal_and_nothing_else() {
    let served = Served::start().await;
    let client = http::client();
    let preflight = async |path: &str| {
        let answer = client
            .request(reqwest::Method::OPTIONS, served.up.url(path))
            .header("origin", "https://charts.example")
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization, x-client-info, apikey, content-type")
            .send()
            .await
            .unwrap();
        let header = |name: &str| answer.headers().get(name).map_or("", |v| v.to_str().unwrap()).to_ascii_lowercase();
        (answer.status().as_u16(), header("access-control-allow-origin"), header("access-control-allow-headers"))
    };
    let (status, origin, headers) = preflight(SYNC).await;
    assert_eq!((status, origin.as_str()), (200, "*"));
    for header in ["authorization", "x-client-info", "apikey", "content-type"] {
        assert!(headers.split(',').any(|allowed| allowed.trim() == header), "{headers}");
    }
    assert_eq!(preflight("/api/v1/bars").await, (405, String::new(), String::new()));

    let large = "x".repeat(300 * 1024);
    for (token, body, status) in
        [("no.good.token", "{}", 401), (&served.anon_key, "{}", 400), (&served.anon_key, &large, 413)]
    {
        let request = client.post(served.up.url(SYNC)).header("origin", "https://charts.example").bearer_auth(token);
        let answer = request.body(body.to_owned()).send().await.unwrap();
        assert_eq!(answer.status(), status);
        assert_eq!(answer.headers().get("access-control-allow-origin").unwrap(), "*", "{status}");
    }
}
