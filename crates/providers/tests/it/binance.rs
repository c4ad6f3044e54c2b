//! Binance: what is asked, and what becomes of the answers.

use std::time::Duration;

use market::{AssetClass, Timeframe};
use providers::{
    BarSource, FetchError, Limits,
    binance::{BinanceSettings, BinanceSource},
    budget::InProcess,
};

use crate::server::{Say, Server, answers, clock, refusals, request, rows};

pub(crate) async fn source(server: &Server) -> BinanceSource {
    source_on(server, &InProcess::default()).await
}

async fn source_on(server: &Server, accounts: &InProcess) -> BinanceSource {
    let url = server.url.clone();
    let settings = BinanceSettings::from_lookup(|name| match name {
        "BARKEEP_CRYPTO" => Some("binance".to_owned()),
        "BINANCE_API_URL" => Some(url.clone()),
        _ => None,
    });
    BinanceSource::connect_on(settings.unwrap(), clock("2026-11-20T18:00:00Z"), accounts).await.unwrap()
}

/// Eight of the ten minutes that are sent.
pub(crate) fn minutes() -> providers::BarsRequest {
    request(&["BTC-USD"], Timeframe::M1, "2021-10-22T23:03:00Z", "2021-10-22T23:11:00Z")
}

async fn refused(say: Say) -> FetchError {
    let server = Server::replaying(vec![say]).await;
    source(&server).await.bars(&minutes()).await.unwrap_err()
}

/// What was sent, read without our code: start, and open, high, low, close and volume.
fn sent_rows(body: &str) -> Vec<(String, [f64; 5])> {
    let candles: Vec<Vec<serde_json::Value>> = serde_json::from_str(body).unwrap();
    let row = |candle: &Vec<serde_json::Value>| {
        let start = jiff::Timestamp::from_millisecond(candle[0].as_i64().unwrap()).unwrap();
        (start.to_string(), std::array::from_fn(|n| candle[n + 1].as_str().unwrap().parse().unwrap()))
    };
    candles.iter().map(row).collect()
}

#[tokio::test]
async fn candles_arrive_as_sent_and_the_question_is_exactly_this() {
    for body in answers("binance/klines.json", "binance/http_spot_market_klines.json") {
        let server = Server::replaying(vec![Say::json(&body)]).await;
        let fetched = source(&server).await.bars(&minutes()).await.unwrap();
        let rows = rows(&fetched, "BTC-USD");
        assert_eq!(rows, sent_rows(&body)[..8], "what starts at the end is not part of it");
        assert_eq!(rows[0].0, "2021-10-22T23:03:00Z");
        let bars = &fetched.bars[&"BTC-USD".parse().unwrap()];
        let candles: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!((bars[0].trade_count, bars[0].vwap), (candles[0][8].as_i64(), None));
        assert_eq!((fetched.provenance.as_str(), fetched.requests), ("binance/usdt", 1), "Tether, not dollars");
        let asked = &server.asked()[0];
        assert_eq!(asked.path, "/api/v3/klines");
        let query: Vec<_> = asked.query.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let expected = [
            ("endTime", "1634944259999"),
            ("interval", "1m"),
            ("limit", "1000"),
            ("startTime", "1634943780000"),
            ("symbol", "BTCUSDT"),
        ];
        assert_eq!(query, expected);
    }
}

#[tokio::test]
async fn a_candle_that_is_not_over_comes_as_sent() {
    for body in answers("binance/klines.json", "binance/http_spot_market_klines.json") {
        let server = Server::replaying(vec![Say::json(&body)]).await;
        let to_now = request(&["BTC-USD"], Timeframe::M1, "2021-10-22T23:03:00Z", "2021-10-22T23:12:20Z");
        let fetched = source(&server).await.bars(&to_now).await.unwrap();
        assert_eq!(rows(&fetched, "BTC-USD"), sent_rows(&body));
        assert_eq!(rows(&fetched, "BTC-USD").last().unwrap().0, "2021-10-22T23:12:00Z");
    }
}

/// Synthetic.
#[tokio::test]
async fn long_ranges_are_asked_for_a_thousand_candles_at_a_time() {
    let server = Server::replaying(vec![Say::json("[]")]).await;
    let month = request(&["ETH-BTC"], Timeframe::M15, "2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z");
    let fetched = source(&server).await.bars(&month).await.unwrap();
    assert_eq!((fetched.requests, fetched.bars.len(), fetched.provenance.as_str()), (3, 0, "binance/spot"));
    let asked = server.asked();
    let end = |n: usize| asked[n].query["endTime"].parse::<i64>().unwrap() + 1;
    assert_eq!(asked[1].query["startTime"], end(0).to_string());
    assert_eq!((asked[0].query["symbol"].as_str(), end(2)), ("ETHBTC", 1_793_491_200_000));
}

#[tokio::test]
async fn refusals_are_told_apart() {
    for (name, code) in
        [("binance_400_symbol", "refused"), ("binance_400_interval", "refused"), ("binance_451_geo", "credentials")]
    {
        for refusal in refusals(name) {
            let error = refused(refusal.say()).await;
            assert_eq!(error.code(), code, "{name}: {error}");
            assert_eq!(error.to_string().contains("BARKEEP_CRYPTO"), code == "credentials", "{error}");
        }
    }
}

#[tokio::test]
async fn a_throttle_and_a_ban_stop_everyone_for_as_long_as_they_say() {
    for refusal in ["binance_429", "binance_418_ban"].into_iter().flat_map(refusals) {
        let seconds = refusal.0["headers"]["Retry-After"].as_str().unwrap().parse().unwrap();
        let server = Server::replaying(vec![refusal.say()]).await;
        let source = source(&server).await;
        match source.bars(&minutes()).await.unwrap_err() {
            FetchError::Throttled { retry_after, .. } => assert_eq!(retry_after, Duration::from_secs(seconds)),
            other => panic!("{other}"),
        }
        assert_eq!(source.bars(&minutes()).await.unwrap_err().code(), "throttled");
        assert_eq!(server.asked().len(), 1);
    }
}

/// Synthetic.
#[tokio::test]
async fn the_weight_that_others_have_used_counts() {
    let server = Server::replaying(vec![Say::json("[]").header("X-MBX-USED-WEIGHT-1M", 5_000)]).await;
    let accounts = InProcess::default();
    let source = source_on(&server, &accounts).await;
    assert_eq!(accounts.left(source.account()), Some(3_000));
    source.bars(&minutes()).await.unwrap();
    assert_eq!(accounts.left(source.account()), Some(500));
}

/// Synthetic.
#[tokio::test]
async fn what_is_not_the_promised_json_is_bad_data() {
    let candle = r#"[[1634943780000,"1","1","1","1","1",1634943839999,"1",1,"1","1","0"]]"#;
    for body in [
        "<html>challenge</html>".to_owned(),
        candle[..30].to_owned(),
        r#"{"code":0,"msg":"maintenance"}"#.to_owned(),
        candle.replacen("\"1\"", "[1]", 1),
        candle.replacen("1634943780000", "9223372036854775807", 1),
        "[[1634943780000]]".to_owned(),
    ] {
        assert_eq!(refused(Say::json(&body)).await.code(), "bad_data", "{body}");
    }
}

#[tokio::test]
async fn limits_say_what_can_not_be_had() {
    use Timeframe::{D1, H1, H4, M1, M5, M15, M30};
    let server = Server::replaying(vec![Say::json("[]")]).await;
    let source = source(&server).await;
    let limits = source.limits(AssetClass::Crypto);
    assert_eq!(limits.timeframes, [M1, M5, M15, M30, H1, H4, D1]);
    assert_eq!((limits.rows_per_page, limits.symbols_per_request, limits.requests_per_minute), (1_000, 1, 3_000));
    assert_eq!(source.limits(AssetClass::Stock), Limits::nothing());
    let stock = request(&["AAPL"], M15, "2026-11-20T14:30:00Z", "2026-11-20T21:00:00Z");
    assert_eq!(source.bars(&stock).await.unwrap_err().code(), "refused");
    assert!(server.asked().is_empty());
}

/// Synthetic.
#[tokio::test]
async fn pairs_are_looked_up_and_listed_with_tether_as_dollars() {
    let list = r#"{"symbols":[
        {"symbol":"BTCUSDT","status":"TRADING","baseAsset":"BTC","quoteAsset":"USDT"},
        {"symbol":"OLDUSDT","status":"BREAK","baseAsset":"OLD","quoteAsset":"USDT"},
        {"symbol":"TUSDT","status":"TRADING","baseAsset":"T","quoteAsset":"USDT"},
        {"symbol":"ETHBTC","status":"TRADING","baseAsset":"ETH","quoteAsset":"BTC"}]}"#;
    let server = Server::answering(move |asked| match asked.query.get("symbol").map(String::as_str) {
        Some("NOPEUSDT") => Say::status(400, r#"{"code":-1121,"msg":"Invalid symbol."}"#),
        _ => Say::json(list),
    })
    .await;
    let source = source(&server).await;
    let bitcoin = source.asset(&"BTC-USD".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!((bitcoin.name.as_str(), bitcoin.active), ("BTC / USDT", true));
    assert_eq!(source.asset(&"NOPE-USD".parse().unwrap()).await.unwrap(), None);
    let all = source.assets(AssetClass::Crypto).await.unwrap().unwrap();
    assert_eq!(all.iter().map(|asset| asset.ticker.as_str()).collect::<Vec<_>>(), ["BTC-USD", "ETH-BTC"]);
}

#[test]
fn it_is_asked_only_where_named() {
    let settings = |list: &'static str| {
        BinanceSettings::from_lookup(move |name| (name == "BARKEEP_CRYPTO").then(|| list.to_owned()))
    };
    assert!(settings("coinbase, binance").unwrap().is_configured());
    assert!(!settings("coinbase").unwrap().is_configured() && !settings("").unwrap().is_configured());
    assert!(settings("binanse").unwrap_err().to_string().starts_with("BARKEEP_CRYPTO"));
}
