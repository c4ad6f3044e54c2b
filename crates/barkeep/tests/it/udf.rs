//! TradingView's datafeed protocol: what their charts ask for and how they read the answers.

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

fn secs(text: &str) -> i64 {
    text.parse::<jiff::Timestamp>().unwrap().as_second()
}

/// Asks as a chart does: once more where it is told that the window is still being filled.
async fn filled(served: &Served, token: &str, path: &str) -> (u16, Value) {
    eventually("the window is filled", async || {
        let (status, told) = served.up.get(token, path).await;
        let is_under_way = told["errmsg"].as_str().is_some_and(|words| words.contains("ask again in a moment"));
        (!is_under_way).then_some((status, told))
    })
    .await
}

fn times(history: &Value) -> Vec<i64> {
    history["t"].as_array().unwrap_or_else(|| panic!("{history}")).iter().map(|at| at.as_i64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_describes_itself_and_its_symbols() {
    let market = Market::start(Market::settings(AS_OF)).await;
    let served = served(&market).await;
    let get = async |path: &str| served.up.get(&served.anon_key, path).await.1;
    let config = get("/udf/config").await;
    assert_eq!(config["supports_search"], true);
    assert_eq!(config["supported_resolutions"], json!(["1", "5", "15", "30", "60", "240", "1D", "1W"]));
    let time: i64 = http::get(served.up.url("/udf/time")).await.unwrap().text().await.unwrap().parse().unwrap();
    assert!((secs(AS_OF)..secs(AS_OF) + 600).contains(&time));
    let found = get("/udf/search?query=apple&limit=5&type=&exchange=").await;
    assert_eq!(found[0]["symbol"], "AAPL", "{found}");
    let funds = get("/udf/search?query=vanguard&type=etf&limit=3").await;
    assert!(funds.as_array().unwrap().len() == 3 && funds[0]["type"] == "etf", "{funds}");
    assert_eq!(get("/udf/search?query=apple&exchange=NYSE&type=crypto").await, json!([]));
    let stock = get("/udf/symbols?symbol=NASDAQ:AAPL").await;
    assert_eq!((&stock["ticker"], &stock["session"]), (&json!("AAPL"), &json!("0930-1600")));
    assert_eq!((&stock["timezone"], &stock["pricescale"]), (&json!("America/New_York"), &json!(100)));
    let crypto = get("/udf/symbols?symbol=BTC-USD").await;
    assert_eq!((&crypto["session"], &crypto["timezone"]), (&json!("24x7"), &json!("Etc/UTC")));
    for symbol in [&stock, &crypto] {
        assert!(symbol.get("s").is_none(), "a symbol with a field s is read as an error: {symbol}");
    }
    assert_eq!(get("/udf/symbols?symbol=ZZQQX").await, json!({"s": "error", "errmsg": "Unknown symbol ZZQQX"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_that_is_being_filled_is_waited_for() {
    let mut settings = Market::settings(AS_OF);
    settings.latency = std::time::Duration::from_millis(300);
    let market = Market::start(settings).await;
    let served = served(&market).await;
    let token = served.somebodys_token();
    // Nobody has asked for it: the first answer has all of it all the same, to the bar before `to`.
    let (from, to) = (secs("2026-06-16T13:30:00Z"), secs("2026-06-17T20:00:00Z"));
    let path = |resolution: &str, from: i64, to: i64| {
        format!("/udf/history?symbol=KO&resolution={resolution}&from={from}&to={to}")
    };
    let (status, history) = filled(&served, &token, &path("60", from, to)).await;
    assert_eq!((status, &history["s"]), (200, &json!("ok")), "{history}");
    let hours = times(&history);
    assert_eq!((hours.len(), hours[0], hours[13]), (14, from, secs("2026-06-17T19:30:00Z")));
    for column in ["o", "h", "l", "c", "v"] {
        assert_eq!(history[column].as_array().unwrap().len(), 14, "{column}");
    }
    let interest: (String, i32) = sqlx::query_as("select source, priority from user_symbol_tracking")
        .fetch_one(&mut served.sql().await)
        .await
        .unwrap();
    assert_eq!(interest, ("chart_view".to_owned(), 200));
    // `to` is exclusive, `from` is not.
    let (_, two) = filled(&served, &token, &path("60", hours[0], hours[2])).await;
    assert_eq!(times(&two), hours[..2]);
    // So many before `to`, whatever `from` says.
    let (_, five) = filled(&served, &token, &format!("{}&countback=5", path("60", to - 60, to))).await;
    assert_eq!(times(&five), hours[9..]);
    // A night has none, and says where to go on.
    let (night, morning) = (secs("2026-06-16T20:00:00Z"), secs("2026-06-17T13:30:00Z"));
    let (_, none) = filled(&served, &token, &path("60", night, morning)).await;
    assert_eq!(none, json!({"s": "no_data", "nextTime": secs("2026-06-16T19:30:00Z")}));
    // Before all there is: the end of history.
    let (_, end) = filled(&served, &token, &path("60", 0, 86_400)).await;
    assert_eq!(end, json!({"s": "no_data"}));
    // Days are named by midnight UTC of their date.
    let (_, days) =
        filled(&served, &token, &path("1D", secs("2026-06-15T00:00:00Z"), secs("2026-06-18T00:00:00Z"))).await;
    let midnights = ["2026-06-15T00:00:00Z", "2026-06-16T00:00:00Z", "2026-06-17T00:00:00Z"].map(secs);
    assert_eq!(times(&days), midnights);
    let (_, days) =
        filled(&served, &token, &format!("{}&countback=2", path("1D", 0, secs("2026-06-18T00:00:00Z")))).await;
    assert_eq!(times(&days), midnights[1..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_that_does_not_fill_is_an_error_and_not_the_end_of_history() {
    let mut settings = Market::settings(AS_OF);
    settings.faults = vec!["hang=1".parse().unwrap()];
    let market = Market::start(settings).await;
    let served = served(&market).await;
    let path = format!("/udf/history?symbol=KO&resolution=15&from=0&to={}&countback=100", secs(AS_OF));
    let (status, told) = served.up.get(&served.somebodys_token(), &path).await;
    assert_eq!((status, &told["s"]), (200, &json!("error")));
    assert!(told["errmsg"].as_str().unwrap().contains("still being fetched"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_fetched_is_not_the_end_of_history_either() {
    let market = Market::start(Market::settings(AS_OF)).await;
    let served = served(&market).await;
    let token = served.somebodys_token();
    let path =
        |from: &str, to: &str| format!("/udf/history?symbol=KO&resolution=15&from={}&to={}", secs(from), secs(to));
    let whole = path("2026-06-16T13:30:00Z", "2026-06-17T20:00:00Z");
    assert_eq!(times(&filled(&served, &token, &whole).await.1).len(), 52);
    // A day is lost and its run has failed for good; the newest bar waits for its turn.
    sqlx::raw_sql(
        "delete from ohlc_bars_v2 where timeframe = 'm15' and ts >= '2026-06-17';
        update coverage_status set covered = covered - '{[2026-06-17, 2026-06-19)}'::tstzmultirange where timeframe = 'm15';
        update job_definitions set next_due_at = '2027-01-01' where symbol = 'KO';
        insert into job_runs (job_def_id, symbol, timeframe, job_type, slice_from, slice_to, status, failures,
            error_code, error_message, finished_at)
        select id, symbol, timeframe, job_type, '2026-06-17 13:30+00', '2026-06-17 20:00+00', 'failed', 5,
            'refused', 'the provider refuses it', now()
        from job_definitions where symbol = 'KO' and timeframe = 'm15'",
    )
    .execute(&mut served.sql().await)
    .await
    .unwrap();
    let (_, lost) = filled(&served, &token, &path("2026-06-17T13:30:00Z", "2026-06-17T20:00:00Z")).await;
    assert_eq!(lost["s"], "error");
    assert!(lost["errmsg"].as_str().unwrap().contains("the provider refuses it"), "{lost}");
    // What there is is told at once, whatever comes after it.
    let (_, rest) = filled(&served, &token, &whole).await;
    assert_eq!(times(&rest).len(), 26);
    // Looking again and again says nothing new to anybody.
    let said = "select updated_at::text from user_symbol_tracking";
    let before: Vec<String> = sqlx::query_scalar(said).fetch_all(&mut served.sql().await).await.unwrap();
    filled(&served, &token, &whole).await;
    let after: Vec<String> = sqlx::query_scalar(said).fetch_all(&mut served.sql().await).await.unwrap();
    assert_eq!(before, after);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_meant_is_an_error_in_the_protocols_form() {
    let market = Market::start(Market::settings(AS_OF)).await;
    let served = served(&market).await;
    for (path, says) in [
        ("history?symbol=KO&resolution=7&from=1&to=2", "'7' isn't a supported resolution"),
        ("history?symbol=KO&resolution=60&from=2&to=1", "to must be after from"),
        ("history?symbol=KO&resolution=60&from=x&to=1", "from must be a number"),
        ("history?symbol=KO&resolution=60&to=100", "from or countback"),
        ("history?symbol=KO&resolution=60&from=1&to=2&countback=0", "countback must be"),
        ("history?resolution=60&from=1&to=2", "No symbol given"),
        ("history?symbol=K%20O&resolution=60&from=1&to=2", "K O"),
        ("history?symbol=ZZQQX&resolution=60&from=1&to=2", "Unknown symbol"),
        ("symbols?symbol=%F0%9F%9A%80", "\u{1f680}"),
        ("search?query=a&limit=many", "limit"),
        ("search?query=a&query=b", "query"),
    ] {
        let (status, told) = served.up.get(&served.anon_key, &format!("/udf/{path}")).await;
        assert!([200, 400].contains(&status) && told["s"] == "error", "{path}: {status} {told}");
        assert!(told["errmsg"].as_str().unwrap().contains(says), "{path}: {told}");
    }
    let stranger = http::get(served.up.url("/udf/search?query=a")).await.unwrap();
    assert_eq!(stranger.status(), 401);
    assert_eq!(stranger.json::<Value>().await.unwrap()["s"], "error");
    // A page elsewhere brings a token; a cookie is not taken from it.
    let link = served.place.printed(&["sign-in", "--database-url", &served.database.url]);
    let client = http::client_with().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let signed_in = client.get(link.trim()).send().await.unwrap();
    let cookie = signed_in.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let search = async |origin: Option<&str>| {
        let request = client.get(served.up.url("/udf/search?query=apple")).header("cookie", &cookie);
        let request = origin.into_iter().fold(request, |request, origin| request.header("origin", origin));
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!((search(None).await, search(Some("http://127.0.0.1:3000")).await), (200, 401));
}
