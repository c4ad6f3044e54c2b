//! Shapes and words of answers, as Alpaca gives them.

use serde_json::{Value, json};
use simulator::Settings;

use crate::server::{Server, made_up, starts};

const BARS: &str = "/v2/stocks/bars?symbols=AAPL&timeframe=1Day&start=2026-11-23&end=2026-11-24";

#[tokio::test]
async fn bars_have_the_fields_that_alpaca_sends() {
    let server = Server::start(made_up()).await;
    let (status, body) = server.json(BARS).await;
    assert_eq!((status, &body["next_page_token"]), (200, &Value::Null));
    let bars = body["bars"]["AAPL"].as_array().unwrap();
    assert_eq!(starts(bars), ["2026-11-23T05:00:00Z", "2026-11-24T05:00:00Z"]);
    for bar in bars {
        let mut fields: Vec<_> = bar.as_object().unwrap().keys().map(String::as_str).collect();
        fields.sort_unstable();
        assert_eq!(fields, ["c", "h", "l", "n", "o", "t", "v", "vw"]);
        assert!(bar["v"].is_u64() && bar["n"].is_u64(), "{bar}");
    }
}

#[tokio::test]
async fn one_stock_comes_with_its_symbol() {
    let server = Server::start(made_up()).await;
    let (_, several) = server.json(BARS).await;
    let one = "/v2/stocks/AAPL/bars?timeframe=1Day&start=2026-11-23&end=2026-11-24";
    let expected = json!({"symbol": "AAPL", "bars": several["bars"]["AAPL"], "next_page_token": null});
    assert_eq!(server.json(one).await, (200, expected));
    let (_, page) = server.json(&format!("{one}&limit=1")).await;
    let token = page["next_page_token"].as_str().unwrap().replace('=', "%3D");
    let (_, rest) = server.json(&format!("{one}&limit=1&page_token={token}")).await;
    assert_eq!(rest["bars"][0], several["bars"]["AAPL"][1]);
    assert_eq!(rest["next_page_token"], Value::Null);
    let unknown = server.json("/v2/stocks/ZZTOP/bars?timeframe=1Day&start=2026-11-23").await;
    assert_eq!(unknown, (200, json!({"symbol": "ZZTOP", "bars": null, "next_page_token": null})));
}

#[tokio::test]
async fn nothing_to_send_is_an_empty_object() {
    let server = Server::start(made_up()).await;
    let empty = (200, json!({"bars": {}, "next_page_token": null}));
    for query in [
        "symbols=AAPL&timeframe=1Min&start=2026-11-26T15:00:00Z&end=2026-11-26T16:00:00Z",
        "symbols=AAPL&timeframe=1Day&start=1980-01-01&end=1989-12-31",
        "symbols=ZZTOP,NOPE,ISNOPE&timeframe=1Day&start=2026-11-23",
        "symbols=AAPL&timeframe=1Day&start=2030-01-01",
        "symbols=AAPL&timeframe=1Day&start=2030-01-01&end=2030-01-05",
    ] {
        assert_eq!(server.json(&format!("/v2/stocks/bars?{query}")).await, empty, "{query}");
    }
}

#[tokio::test]
async fn what_alpaca_refuses_is_refused_in_its_words() {
    let server = Server::start(made_up()).await;
    let known = "symbols=AAPL&timeframe=1Day&start=2026-11-23";
    for (query, message) in [
        ("timeframe=1Day", "Invalid format for parameter symbols: query parameter 'symbols' is required"),
        ("symbols=AAPL", "Invalid format for parameter timeframe: query parameter 'timeframe' is required"),
        ("symbols=AA$PL&timeframe=1Day", "invalid symbol: AA$PL"),
        ("symbols=AAPL,aapl&timeframe=1Day", "invalid symbol: aapl"),
        ("symbols=BTC/USD&timeframe=1Day", "invalid symbol: BTC/USD"),
        ("symbols=BRK-B&timeframe=1Day", "invalid symbol: BRK-B"),
        ("symbols=AAPL,&timeframe=1Day", "invalid symbol: "),
        ("symbols=AAPL&timeframe=30Sec", "invalid timeframe: 30Sec"),
        ("symbols=AAPL&timeframe=60Min", "invalid timeframe: 60Min"),
        (
            "symbols=AAPL&timeframe=1Day&start=not-a-date",
            "Invalid format for parameter start: error parsing 'not-a-date' as RFC3339 or 2006-01-02 time",
        ),
        (
            "symbols=AAPL&timeframe=1Day&end=2026-11-24T10:00:00",
            "Invalid format for parameter end: error parsing '2026-11-24T10:00:00' as RFC3339 or 2006-01-02 time",
        ),
        (&format!("{known}&end=2026-11-22"), "end should not be before start"),
        (&format!("{known}&limit=0"), "invalid limit: 0"),
        (&format!("{known}&limit=10001"), "invalid limit: 10001"),
        (&format!("{known}&sort=newest"), "invalid sort: newest"),
        (&format!("{known}&adjustment=foo"), "invalid adjustment: foo"),
        (&format!("{known}&adjustment="), "invalid adjustment: "),
        (&format!("{known}&adjustment=split,split"), "invalid adjustment: split,split"),
        (&format!("{known}&feed=cta"), "invalid feed: cta"),
        (&format!("{known}&asof=soon"), "invalid asof: soon"),
        (&format!("{known}&currency=EUR"), "invalid currency: EUR"),
        (&format!("{known}&page_token=abc"), "invalid page_token: abc"),
    ] {
        let answer = server.refusal(&format!("/v2/stocks/bars?{query}")).await;
        assert_eq!(answer, (400, message.to_owned()), "{query}");
    }
    let pair = server.refusal("/v1beta3/crypto/us/bars?symbols=BTCUSD&timeframe=1Day").await;
    assert_eq!(pair, (400, "invalid symbol: BTCUSD does not match ^[A-Z]+/[A-Z]+$".to_owned()));
    assert_eq!(server.refusal("/v2/stocks/trades").await, (404, "endpoint not found.".to_owned()));
}

#[tokio::test]
async fn what_alpaca_accepts_is_accepted() {
    let server = Server::start(made_up()).await;
    for rest in [
        "adjustment=split,dividend,spin-off",
        "feed=delayed_sip",
        "feed=overnight",
        "asof=-",
        "asof=2026-11-24",
        "currency=USD",
        "limit=10000",
        "page_token=",
        "unheard=of",
    ] {
        assert_eq!(server.json(&format!("{BARS}&{rest}")).await.0, 200, "{rest}");
    }
}

#[tokio::test]
async fn a_token_leads_on_only_in_the_question_it_came_from() {
    let server = Server::start(made_up()).await;
    let (_, page) = server.json(&format!("{BARS}&limit=1")).await;
    let token = page["next_page_token"].as_str().unwrap().replace('=', "%3D");
    let other = |symbol: &str, span: &str| {
        format!("/v2/stocks/bars?symbols={symbol}&timeframe={span}&start=2026-11-23&page_token={token}")
    };
    assert_eq!(server.json(&other("AAPL", "1Day")).await.0, 200);
    assert_eq!(server.json(&other("MSFT", "1Day")).await.0, 400);
    assert_eq!(server.json(&other("AAPL", "1Hour")).await.0, 400);
}

#[tokio::test]
async fn stocks_and_assets_want_keys_and_crypto_bars_do_not() {
    let crypto = "/v1beta3/crypto/us/bars?symbols=BTC/USD&timeframe=1Day&start=2026-11-23&end=2026-11-24";
    let credentials = Some(("id".to_owned(), "secret".to_owned()));
    for (settings, guarded) in [(made_up(), false), (Settings { credentials, ..made_up() }, true)] {
        let server = Server::start(settings).await;
        let status = async |path: &str, keys| server.ask(path, keys).await.unwrap().status().as_u16();
        for path in [BARS, "/v2/stocks/AAPL/bars?timeframe=1Day", "/v2/assets", "/v2/assets/AAPL"] {
            assert_eq!(status(path, None).await, 403, "{path}");
            assert_eq!(status(path, Some(("id", ""))).await, 403, "{path}");
            assert_eq!(status(path, Some(("id", "secret"))).await, 200, "{path}");
            assert_eq!(status(path, Some(("id", "wrong"))).await, if guarded { 401 } else { 200 }, "{path}");
        }
        assert_eq!(status(crypto, None).await, 200);
        assert_eq!(status("/v1/market-sim", None).await, 200);
        let missing = server.ask(BARS, None).await.unwrap();
        assert_eq!(missing.json::<Value>().await.unwrap(), json!({"message": "forbidden."}));
        if guarded {
            let wrong = server.ask(BARS, Some(("other", "secret"))).await.unwrap();
            assert_eq!(wrong.json::<Value>().await.unwrap(), json!({"message": "unauthorized."}));
        }
    }
}

#[tokio::test]
async fn assets_are_listed_filtered_and_found() {
    let unknown = vec!["AAPL".parse().unwrap()];
    let server = Server::start(Settings { unknown, ..made_up() }).await;
    let (_, all) = server.json("/v2/assets").await;
    let symbols = |assets: &Value| {
        assets.as_array().unwrap().iter().map(|asset| asset["symbol"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let listed = symbols(&all);
    for symbol in ["MSFT", "SPY", "BRK.B", "BTC/USD"] {
        assert!(listed.iter().any(|listed| listed == symbol), "{symbol}");
    }
    assert!(!listed.iter().any(|listed| listed == "AAPL"));
    let (_, crypto) = server.json("/v2/assets?status=active&asset_class=crypto").await;
    assert!(symbols(&crypto).iter().all(|symbol| symbol.ends_with("/USD")));
    assert_eq!(server.json("/v2/assets?status=inactive").await, (200, json!([])));
    assert_eq!(server.refusal("/v2/assets?status=dead").await, (400, "invalid status: dead".to_owned()));

    let (_, microsoft) = server.json("/v2/assets/MSFT").await;
    assert_eq!(microsoft["name"], "Microsoft Corporation Common Stock");
    assert_eq!((&microsoft["exchange"], &microsoft["class"]), (&json!("NASDAQ"), &json!("us_equity")));
    let id = microsoft["id"].as_str().unwrap();
    assert_eq!(server.json(&format!("/v2/assets/{id}")).await, (200, microsoft.clone()));
    assert_eq!(server.json("/v2/assets/XYZ").await.1["name"], "Simulated XYZ");
    for pair in ["BTC%2FUSD", "BTC/USD", "BTC-USD"] {
        assert_eq!(server.json(&format!("/v2/assets/{pair}")).await.1["symbol"], "BTC/USD", "{pair}");
    }
    for symbol in ["AAPL", "ZZTOP", "ISNOPE", "AA$PL"] {
        let expected = json!({"code": 40_410_000, "message": format!("asset not found for {symbol}")});
        assert_eq!(server.json(&format!("/v2/assets/{symbol}")).await, (404, expected));
    }
}

#[tokio::test]
async fn the_simulator_says_that_it_is_one() {
    let delay = jiff::SignedDuration::from_mins(15);
    let server = Server::start(Settings { requests_per_minute: 77, delay, ..made_up() }).await;
    let answer = server.ask("/v1/market-sim", None).await.unwrap();
    let expected = json!({
        "name": "market-sim",
        "earliest": "1990-01-01T00:00:00Z",
        "requests_per_minute": 77,
        "delay_seconds": 900,
        "now": "2026-11-28T02:00:00Z",
    });
    assert_eq!(answer.json::<Value>().await.unwrap(), expected);
    assert_eq!(server.simulator.stats().total(), 0);
}
