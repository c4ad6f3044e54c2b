//! The interfaces over HTTP beside interest and bars: the orchestrator as the old system had it, runs, symbols, watchlist,
//! metrics, the description of it all, and a browser that signs in.

use reqwest::{Method, StatusCode, redirect::Policy};
use serde_json::{Value, json};

use crate::running::{Market, Served, eventually, http};

const AS_OF: &str = "2026-06-18T23:00:00Z";

async fn served(market: &Market) -> Served {
    Served::start_with(|command| {
        command.env("APCA_API_DATA_URL", market.url()).args(["--as-of", AS_OF]);
    })
    .await
}

/// Somebody's complete symbol.
async fn with_ko(market: &Market) -> Served {
    let served = served(market).await;
    served.up.sync(&served.anon_key, r#"{"symbols":["KO"],"source":"watchlist"}"#).await;
    served.up.until(&served.anon_key, "KO", "complete").await;
    served.until_idle().await;
    served
}

/// By name, since an object has no order.
fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

#[tokio::test(flavor = "multi_thread")]
async fn the_orchestrator_answers_as_the_old_one_did_and_to_the_service_key_alone() {
    let market = Market::start(Market::settings(AS_OF)).await;
    let served = with_ko(&market).await;
    let ask = async |token: &str, action: &str| {
        served.post(token, &format!("/functions/v1/orchestrator?action={action}"), "").await
    };
    let service = served.service_role_key.as_str();
    let (status, ticked) = ask(service, "tick").await;
    assert_eq!((status, keys(&ticked)), (200, vec!["duration", "message", "results"]), "{ticked}");
    assert_eq!(ticked["message"], "Tick complete");
    assert_eq!(keys(&ticked["results"]), ["errors", "jobs_dispatched", "scanned", "slices_created"]);
    assert!(ticked["duration"].is_i64());

    let (status, queue) = ask(service, "status").await;
    let fields = ["queued", "queued_jobs", "recent_jobs", "running", "running_jobs"];
    assert_eq!((status, keys(&queue)), (200, fields.to_vec()), "{queue}");
    assert_eq!((&queue["queued"], &queue["running"]), (&0.into(), &0.into()));
    assert_eq!(queue["recent_jobs"][0]["symbol"], "KO");

    let (status, answer) = ask(service, "retry_failed").await;
    assert_eq!((status, answer), (200, json!({ "message": "Retried 0 failed jobs" })));
    for action in ["", "drop", "TICK"] {
        let (status, answer) = ask(service, action).await;
        assert_eq!((status, answer), (400, json!({ "error": "Invalid action" })), "{action}");
    }
    let user = served.token("a@example.com");
    for (token, refused) in [(served.anon_key.as_str(), 403), (&user, 403), ("nonsense", 401)] {
        let (status, answer) = ask(token, "tick").await;
        assert_eq!(status, refused, "{answer}");
        assert!(answer["error"].is_string());
    }
    // Old clients ask with GET too, and from a browser.
    let answer = http::client()
        .get(served.up.url("/functions/v1/orchestrator?action=status"))
        .bearer_auth(service)
        .header("origin", "https://app.example")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["access-control-allow-origin"], "*");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_is_shown_with_its_reason_and_tried_again_on_request() {
    let mut settings = Market::settings(AS_OF);
    settings.faults = vec!["malformed=1".parse().unwrap()];
    let market = Market::start(settings).await;
    let served = served(&market).await;
    let anon = served.anon_key.as_str();
    served.up.sync(anon, r#"{"symbols":["KO"],"source":"watchlist"}"#).await;
    let mut sql = served.sql().await;
    // Without the waiting between five tries.
    eventually("it has failed", async || {
        sqlx::query("update job_runs set run_after = now() where status = 'queued'")
            .execute(&mut served.sql().await)
            .await
            .unwrap();
        let (_, shown) = served.up.get(anon, "/api/v1/runs?status=failed").await;
        (shown["totals"]["queued"] == 0 && shown["totals"]["failed"].as_i64() > Some(0)).then_some(())
    })
    .await;
    let (status, shown) = served.up.get(anon, "/api/v1/runs?status=failed&symbol=ko&limit=1").await;
    assert_eq!((status, shown["runs"].as_array().unwrap().len()), (200, 1), "{shown}");
    let run = &shown["runs"][0];
    assert_eq!((&run["symbol"], &run["failures"], &run["error_code"]), (&"KO".into(), &5.into(), &"bad_data".into()));
    assert!(run["error_message"].as_str().unwrap().contains("can't read"), "{run}");
    // As on the command line.
    let url = ["--database-url", served.database.url.as_str()];
    let printed = served.place.printed(&["runs", "--failed", url[0], url[1]]);
    assert!(printed.contains("KO") && printed.contains("can't read"), "{printed}");

    // Somebody else sees none of it and can't have it tried again.
    let other = served.token("b@example.com");
    assert_eq!(served.up.get(&other, "/api/v1/runs").await.1["runs"], json!([]));
    let (status, answer) = served.post(&other, "/api/v1/runs/retry", r#"{"symbols":["KO"]}"#).await;
    assert_eq!(status, 404, "{answer}");
    assert_eq!(served.post(&other, "/api/v1/runs/retry", "").await, (200, json!({ "retried": 0 })));

    market.simulator.set_faults(Vec::new()).unwrap();
    let failed: i64 =
        sqlx::query_scalar("select count(*) from job_runs where status = 'failed'").fetch_one(&mut sql).await.unwrap();
    let (status, answer) = served.post(anon, "/api/v1/runs/retry", r#"{"symbols":["KO"]}"#).await;
    assert_eq!((status, answer["retried"].as_i64()), (200, Some(failed)), "{answer}");
    served.up.until(anon, "KO", "complete").await;
    for (path, named) in [
        ("/api/v1/runs?status=lost", "queued, running, success, failed, cancelled"),
        ("/api/v1/runs?limit=0", "1 to 1000"),
        ("/api/v1/runs?symbol=A%20B", "A B"),
        ("/api/v1/runs?order=asc", "order"),
    ] {
        let (status, answer) = served.up.get(anon, path).await;
        assert!(status == 400 && answer["error"].as_str().unwrap().contains(named), "{path}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watchlist_is_kept_over_http_and_is_watchlist_interest() {
    let market = Market::start(Market::settings(AS_OF)).await;
    let served = served(&market).await;
    let token = served.token("a@example.com");
    let (status, added) = served.post(&token, "/api/v1/watchlist", r#"{"symbols":["ko","BTC/USD"]}"#).await;
    assert_eq!((status, &added["symbols_tracked"], &added["priority"]), (200, &2.into(), &300.into()), "{added}");
    let items = async || served.up.get(&token, "/api/v1/watchlist").await.1["items"].clone();
    let listed = items().await;
    let named = |items: &Value| -> Vec<String> {
        items.as_array().unwrap().iter().map(|item| item["symbol"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(named(&listed), ["BTC-USD", "KO"]);
    assert_eq!(listed[0]["timeframes"], json!(["m15", "h1", "h4"]));
    let (_, coverage) = served.up.get(&token, "/api/v1/coverage").await;
    assert_eq!(named(&coverage["symbols"]), ["BTC-USD", "KO"], "all that is tracked");
    let delete = async |symbol: &str| {
        let url = served.up.url(&format!("/api/v1/watchlist/{symbol}"));
        http::client().delete(url).bearer_auth(&token).send().await.unwrap().status()
    };
    assert_eq!(delete("KO").await, StatusCode::NO_CONTENT);
    assert_eq!(delete("KO").await, StatusCode::NOT_FOUND);
    assert_eq!(delete("BTC%2FUSD").await, StatusCode::NO_CONTENT);
    assert_eq!(named(&items().await), [""; 0]);
    for (body, said) in [
        (r#"{"symbols":[]}"#, "No symbols provided"),
        (r#"{"symbols":["A,B"]}"#, "Separate them with spaces: A B"),
        (r#"{"symbols":["KO"],"timeframes":["m7"]}"#, "m7"),
        (r#"{"symbols":["KO"],"list":"mine"}"#, "list"),
        ("[", "Invalid request body"),
    ] {
        let (status, answer) = served.post(&token, "/api/v1/watchlist", body).await;
        assert!(status == 400 && answer["error"].as_str().unwrap().contains(said), "{body}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn symbols_are_found_by_ticker_and_by_name() {
    let market = Market::start(Market::settings(AS_OF)).await;
    let served = served(&market).await;
    let found = async |q: &str| -> Vec<String> {
        let (status, answer) = served.up.get(&served.anon_key, &format!("/api/v1/symbols?q={q}")).await;
        assert_eq!(status, 200, "{answer}");
        let symbols = answer["symbols"].as_array().unwrap();
        symbols.iter().map(|symbol| symbol["ticker"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(found("mu").await[0], "MU", "the exact one first");
    assert_eq!(found("micro").await[..3], ["MSFT", "AMD", "MU"], "words of names, the best known first");
    assert_eq!(found("AAP").await, ["AAP", "AAPL"]);
    assert_eq!(found("bank%20amer").await, ["BAC"], "all words of several");
    assert_eq!(found("spdr%20500").await[0], "SPY", "nobody has ever asked for it");
    for nothing in ["%25", "_", "%5C", "zqzqzq", "%F0%9F%9A%80", "%00", "%27"] {
        assert_eq!(found(nothing).await, [""; 0], "{nothing}");
    }
    assert_eq!(found(&"a".repeat(200)).await, [""; 0]);
    assert_eq!(served.up.get(&served.anon_key, "/api/v1/symbols?q=").await.0, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn slips_of_the_finger_and_other_spellings_find_the_symbol_that_was_meant() {
    let market = Market::start(Market::settings(AS_OF)).await;
    let served = served(&market).await;
    let first = async |q: &str| -> Value {
        let (status, answer) = served.up.get(&served.anon_key, &format!("/api/v1/symbols?q={q}")).await;
        assert_eq!(status, 200, "{answer}");
        answer["symbols"][0].clone()
    };
    for (typed, meant) in [
        ("APPL", "AAPL"),
        ("micorsoft", "MSFT"),
        ("nvdia", "NVDA"),
        ("amzm", "AMZN"),
        ("btc/usd", "BTC-USD"),
        ("BRK-B", "BRK.B"),
        ("facebook", "META"),
    ] {
        assert_eq!(first(typed).await["ticker"], meant, "{typed}");
    }
    let before = first("BRK-B").await;
    let fields = ["active", "asset_type", "description", "exchange", "id", "kept", "renamed_to", "ticker"];
    assert_eq!(keys(&before), fields, "{before}");
    assert!(before.as_object().unwrap().values().all(|value| !value.is_null()), "{before}");
    assert_eq!(
        (&before["asset_type"], &before["description"], &before["exchange"], &before["kept"]),
        (&"stock".into(), &"Berkshire Hathaway Inc. Class B".into(), &"NYSE".into(), &false.into())
    );
    served.up.sync(&served.anon_key, r#"{"symbols":["BRK.B"],"source":"watchlist"}"#).await;
    let after = first("berkshire").await;
    assert_eq!((&after["id"], &after["kept"]), (&before["id"], &true.into()), "the same, and kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_say_how_it_stands_and_name_no_symbol_and_nobody() {
    let market = Market::start(Market::settings(AS_OF)).await;
    let served = with_ko(&market).await;
    let valued = |text: &str, name: &str| -> f64 {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name} in {text}"));
        line.rsplit_once(' ').unwrap().1.parse().unwrap()
    };
    let text = eventually("the last outcome is counted", async || {
        let text = http::get(served.up.url("/metrics")).await.unwrap().text().await.unwrap();
        (valued(&text, "barkeep_dispatch_runs_total{outcome=\"success\"}") >= 9.0).then_some(text)
    })
    .await;
    let value = |name: &str| valued(&text, name);
    assert_eq!(value("barkeep_runs{status=\"queued\"}"), 0.0);
    assert_eq!(value("barkeep_processes{part=\"work\"}"), 1.0);
    assert_eq!(value("barkeep_series{state=\"kept\"}"), 3.0);
    assert!(value("barkeep_scheduler_seen_seconds_ago") >= 0.0);
    assert!(value("barkeep_budget_left{") > 0.0);
    assert!(value("barkeep_store_bars_total") > 1_000.0);
    assert!(value("barkeep_fetch_pages_total{") >= 2.0);
    assert!(value("barkeep_fetch_page_seconds_count") >= 2.0);
    assert!(!text.contains("KO") && !text.contains("00000000-"), "{text}");
}

/// The addresses in the source, but for those that aren't for programs.
fn routes() -> Vec<String> {
    fn read(folder: &std::path::Path, into: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            match entry.path() {
                // Pages are for people.
                path if path.ends_with("web") => {}
                path if path.is_dir() => read(&path, into),
                path => {
                    let text = std::fs::read_to_string(path).unwrap();
                    let named = text.split(".route(\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned());
                    into.extend(named);
                }
            }
        }
    }
    let mut found = Vec::new();
    read(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../server/src"), &mut found);
    assert!(found.len() > 15, "{found:?}");
    found.retain(|path| !["/metrics", "/openapi.json", "/sign-in", "/sign-out"].contains(&path.as_str()));
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn every_address_is_described_and_what_is_described_is_there() {
    let market = Market::start(Market::settings(AS_OF)).await;
    let served = with_ko(&market).await;
    let description: Value = http::get(served.up.url("/openapi.json")).await.unwrap().json().await.unwrap();
    assert!(description["openapi"].as_str().unwrap().starts_with("3."));
    let paths = description["paths"].as_object().unwrap();
    for path in routes() {
        assert!(paths.contains_key(&path), "{path} is not described");
    }
    let names: Vec<&str> = paths
        .values()
        .flat_map(|of| of.as_object().unwrap().values())
        .map(|o| o["operationId"].as_str().unwrap())
        .collect();
    let once: std::collections::BTreeSet<&&str> = names.iter().collect();
    assert_eq!(once.len(), names.len(), "each has a name of its own: {names:?}");
    for (path, operations) in paths {
        for (method, operation) in operations.as_object().unwrap() {
            let url = served.up.url(&path.replace("{symbol}", "NEVER"));
            let method: Method = method.to_ascii_uppercase().parse().unwrap();
            let answer = http::client().request(method.clone(), url).send().await.unwrap();
            assert!(![404, 405].contains(&answer.status().as_u16()), "{method} {path} is not there");
            let responses = operation["responses"].as_object().unwrap();
            assert!(!responses.is_empty(), "{method} {path}");
            for (status, response) in responses.iter().filter(|(status, _)| status.starts_with('4')) {
                assert!(response["content"]["application/json"]["schema"].is_object(), "{method} {path} {status}");
            }
            // Whatever wants a token says so.
            let wants_one = operation.get("security").is_some();
            assert_eq!(answer.status() == 401, wants_one, "{method} {path}: {}", answer.status());
        }
    }
    // Every shape that is named is given.
    let text = description.to_string();
    let schemas = description["components"]["schemas"].as_object().unwrap();
    for reference in text.split("#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(schemas.contains_key(name), "{name} is named and not described");
    }
    // And an answer is of its shape, all required fields being there.
    let (_, runs) = served.up.get(&served.anon_key, "/api/v1/runs").await;
    for field in schemas["Run"]["required"].as_array().unwrap() {
        assert!(runs["runs"][0].get(field.as_str().unwrap()).is_some(), "{field}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_signs_a_browser_in_once_and_its_pages_alone_may_write() {
    let market = Market::start(Market::settings(AS_OF)).await;
    let served = served(&market).await;
    let url = ["--database-url", served.database.url.as_str()];
    let link = served.place.printed(&["sign-in", url[0], url[1]]).trim().to_owned();
    assert!(link.starts_with(&format!("{}/sign-in?code=", served.up.address)), "{link}");
    let browser = http::client_with().redirect(Policy::none()).build().unwrap();
    let signed_in = browser.get(&link).send().await.unwrap();
    assert_eq!((signed_in.status(), &signed_in.headers()["location"]), (StatusCode::SEE_OTHER, &"/".parse().unwrap()));
    let cookie = signed_in.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap().to_owned();
    // Once.
    assert_eq!(browser.get(&link).send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    assert_eq!(browser.get(format!("{}x", link)).send().await.unwrap().status(), StatusCode::UNAUTHORIZED);

    let page_at = async |path: &str, cookie: Option<&str>| {
        let request = browser.get(served.up.url(path));
        let request = cookie.into_iter().fold(request, |request, cookie| request.header("cookie", cookie));
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let policy = answer.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        answer.text().await.unwrap()
    };
    let page = async |cookie: Option<&str>| page_at("/", cookie).await;
    assert!(page(None).await.contains("Sign in to see"));
    assert!(page(Some("barkeep_session=forged")).await.contains("Sign in to see"));
    // Who has asked for nothing yet is told which market data is in use.
    let first = browser.get(served.up.url("/")).header("cookie", &cookie).send().await.unwrap();
    assert_eq!(first.headers()["location"], "/welcome");
    let shown = page_at("/welcome", Some(&cookie)).await;
    assert!(shown.contains("Simulated market data.") && shown.contains("APCA_API_KEY_ID"), "{shown}");

    let csrf = shown.split_once(r#"name="csrf" content=""#).unwrap().1.split('"').next().unwrap().to_owned();
    let write = async |headers: &[(&str, &str)], path: &str, body: &str| {
        let request = browser
            .post(served.up.url(path))
            .header("cookie", &cookie)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body.to_owned());
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.send().await.unwrap().status()
    };
    let own = ("origin", served.up.address.as_str());
    for foreign in [
        vec![],
        vec![("origin", "https://evil.example")],
        vec![own, ("sec-fetch-site", "cross-site")],
        vec![("sec-fetch-site", "same-site")],
    ] {
        assert_eq!(write(&foreign, "/watchlist", "symbols=KO").await, StatusCode::FORBIDDEN, "{foreign:?}");
        assert_eq!(write(&foreign, "/api/v1/watchlist", r#"{"symbols":["KO"]}"#).await, StatusCode::FORBIDDEN);
        // Where any origin may ask, the cookie is no credential at all.
        let sync = r#"{"symbols":["KO"],"source":"watchlist"}"#;
        assert_eq!(write(&foreign, "/functions/v1/sync-user-symbols", sync).await, StatusCode::UNAUTHORIZED);
    }
    let first = browser.get(served.up.url("/")).header("cookie", &cookie).send().await.unwrap();
    assert_eq!(first.status(), StatusCode::SEE_OTHER, "nothing came of it");
    // An own page that doesn't send what its session was given, in the header or in the form, writes nothing either.
    let own_page = [own, ("sec-fetch-site", "same-origin")];
    for body in ["symbols=KO", "symbols=KO&csrf=", "symbols=KO&csrf=0123"] {
        assert_eq!(write(&own_page, "/watchlist", body).await, StatusCode::FORBIDDEN, "{body}");
    }
    assert_eq!(write(&own_page, "/api/v1/watchlist", r#"{"symbols":["KO"]}"#).await, StatusCode::FORBIDDEN);
    let form = format!("symbols=KO%2C+pep&csrf={csrf}");
    assert_eq!(write(&own_page, "/watchlist", &form).await, StatusCode::SEE_OTHER);
    let ours = [own, ("sec-fetch-site", "same-origin"), ("x-csrf-token", csrf.as_str())];
    assert_eq!(write(&ours, "/watchlist", "symbols=K+O+%24").await, StatusCode::BAD_REQUEST);
    eventually("the page shows it complete", async || {
        let shown = page(Some(&cookie)).await;
        (shown.matches(r#"<td class="cell complete""#).count() == 10 && shown.contains(">PEP<")).then_some(())
    })
    .await;
    assert!(page_at("/watchlist", Some(&cookie)).await.contains(">KO<"));
    let list: String =
        sqlx::query_scalar("select id::text from barkeep.watchlists").fetch_one(&mut served.sql().await).await.unwrap();
    let removal = format!("list={list}&symbol=KO");
    assert_eq!(write(&ours, "/watchlist/remove", &removal).await, StatusCode::SEE_OTHER);
    assert!(!page(Some(&cookie)).await.contains(">KO<"));
    // No other page reads with the cookie either: none of these answers has CORS.
    let read = browser
        .get(served.up.url("/api/v1/watchlist"))
        .header("cookie", &cookie)
        .header("origin", "https://evil.example")
        .send()
        .await
        .unwrap();
    assert!(read.headers().get("access-control-allow-origin").is_none());
    let sign_out = browser.post(served.up.url("/sign-out")).header("cookie", &cookie).header(own.0, own.1);
    let out = sign_out.header("x-csrf-token", &csrf).send().await.unwrap();
    assert!(out.headers()["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
}

/// A client is made of the description by a generator that others use, and compiles.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_can_be_made_of_the_description() {
    let Some(folder) = crate::npm::packages() else { return };
    let served = Served::start().await;
    let description = http::get(served.up.url("/openapi.json")).await.unwrap().text().await.unwrap();
    std::fs::write(folder.path().join("openapi.json"), description).unwrap();
    for (program, args) in [
        ("openapi-typescript/bin/cli.js", &["openapi.json", "-o", "api.d.ts"][..]),
        ("typescript/bin/tsc", &["--noEmit", "--strict", "--skipLibCheck", "client.ts"]),
    ] {
        let mut command = std::process::Command::new("node");
        command.arg(format!("node_modules/{program}")).args(args).current_dir(folder.path());
        let output = crate::running::finished(command).await;
        let said = [output.stdout, output.stderr].map(|part| String::from_utf8_lossy(&part).into_owned()).concat();
        assert!(output.status.success(), "{program}: {said}");
    }
}
