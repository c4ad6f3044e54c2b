//! Coinbase: what is asked, and what becomes of the answers.

use market::{AssetClass, Timeframe};
use providers::{
    BarSource, FetchError, Limits,
    budget::InProcess,
    coinbase::{CoinbaseSettings, CoinbaseSource},
};

use crate::server::{Say, Server, answers, clock, refusals, request, rows};

pub(crate) async fn source(server: &Server) -> CoinbaseSource {
    let url = server.url.clone();
    let settings = CoinbaseSettings::from_lookup(|name| match name {
        "BARKEEP_CRYPTO" => Some("coinbase".to_owned()),
        "COINBASE_API_URL" => Some(url.clone()),
        _ => None,
    });
    CoinbaseSource::connect_on(settings.unwrap(), clock("2026-11-20T18:00:00Z"), &InProcess::default()).await.unwrap()
}

pub(crate) fn hours() -> providers::BarsRequest {
    request(&["BTC-USDT"], Timeframe::H1, "2024-03-13T11:00:00Z", "2024-03-13T14:00:00Z")
}

async fn refused(say: Say) -> FetchError {
    let server = Server::replaying(vec![say]).await;
    source(&server).await.bars(&hours()).await.unwrap_err()
}

#[tokio::test]
async fn candles_are_read_low_high_open_close_and_the_question_is_exactly_this() {
    for body in answers("coinbase/candles.json", "coinbase_exchange/ccxt_btc-usdt_1h.json") {
        let server = Server::replaying(vec![Say::json(&body)]).await;
        let fetched = source(&server).await.bars(&hours()).await.unwrap();
        let candles: Vec<[f64; 6]> = serde_json::from_str(&body).unwrap();
        let oldest_first = candles.iter().rev().map(|[at, low, high, open, close, volume]| {
            let start = jiff::Timestamp::from_second(*at as i64).unwrap();
            (start.to_string(), [*open, *high, *low, *close, *volume])
        });
        assert_eq!(rows(&fetched, "BTC-USDT"), oldest_first.collect::<Vec<_>>());
        assert_eq!((fetched.provenance.as_str(), fetched.requests), ("coinbase/exchange", 1));
        let asked = &server.asked()[0];
        assert_eq!(asked.path, "/products/BTC-USDT/candles");
        let query: Vec<_> = asked.query.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let expected = [("end", "2024-03-13T13:59:59Z"), ("granularity", "3600"), ("start", "2024-03-13T11:00:00Z")];
        assert_eq!(query, expected);
        assert!(asked.headers["user-agent"].starts_with("barkeep/"), "it turns away who doesn't say who asks");
    }
}

/// Synthetic: newest first, with one from before the start.
#[tokio::test]
async fn candles_come_oldest_first_and_those_before_the_start_are_dropped() {
    let body = "[[1710334800,1,4,2,3,9],[1710331200,1,4,2,3,8],[1710324000,1,4,2,3,7]]";
    let server = Server::replaying(vec![Say::json(body)]).await;
    let fetched = source(&server).await.bars(&hours()).await.unwrap();
    let starts: Vec<_> = rows(&fetched, "BTC-USDT").into_iter().map(|(start, row)| (start, row[4])).collect();
    assert_eq!(starts, [("2024-03-13T12:00:00Z".to_owned(), 8.0), ("2024-03-13T13:00:00Z".to_owned(), 9.0)]);
}

/// Synthetic: a server that counts as Coinbase does.
#[tokio::test]
async fn no_more_than_300_candles_are_asked_for_at_once_and_none_is_left_out() {
    let server = Server::answering(|asked| {
        let at = |name: &str| asked.query[name].parse::<jiff::Timestamp>().unwrap().as_second();
        let (first, last) = (at("start").div_euclid(900) * 900, at("end"));
        let starts: Vec<i64> = (0..).map(|n| first + 900 * n).take_while(|start| *start <= last).collect();
        if starts.len() > 301 {
            return Say::status(400, r#"{"message":"Count of aggregations requested exceeds 300"}"#);
        }
        let candles: Vec<_> = starts.iter().rev().map(|start| format!("[{start},1,1,1,1,1]")).collect();
        Say::json(format!("[{}]", candles.join(",")))
    })
    .await;
    let week = request(&["BTC-USD"], Timeframe::M15, "2026-11-01T00:07:00Z", "2026-11-08T00:00:00Z");
    let fetched = source(&server).await.bars(&week).await.unwrap();
    assert_eq!((rows(&fetched, "BTC-USD").len(), fetched.requests), (7 * 96 - 1, 3));
}

#[tokio::test]
async fn refusals_are_told_apart() {
    for refusal in refusals("coinbase_429") {
        assert_eq!(refused(refusal.say()).await.code(), "throttled");
    }
    for refusal in refusals("coinbase_400_range") {
        let error = refused(refusal.say()).await;
        assert!(matches!(&error, FetchError::Refused { message, .. } if message.contains("exceeds 300")), "{error}");
    }
}

/// Synthetic.
#[tokio::test]
async fn an_unknown_pair_is_refused_and_what_is_not_the_promised_json_is_bad_data() {
    let error = refused(Say::status(404, r#"{"message":"NotFound"}"#)).await;
    assert!(matches!(&error, FetchError::Refused { tickers, .. } if *tickers == hours().tickers), "{error}");
    for say in [
        Say::status(404, "<html>nothing</html>"),
        Say::json("<html>challenge</html>"),
        Say::json("[[1710331200,1,4,2"),
        Say::json(r#"{"message":"maintenance"}"#),
        Say::json("[[1710331200,[1],4,2,3,8]]"),
        Say::json("[[1710331200,1,4,2,3]]"),
        Say::json("[[9223372036854775807,1,4,2,3,8]]"),
    ] {
        assert_eq!(refused(say.clone()).await.code(), "bad_data", "{say:?}");
    }
}

#[tokio::test]
async fn limits_say_what_can_not_be_had() {
    use Timeframe::{D1, H1, H4, M1, M5, M15, M30};
    let server = Server::replaying(vec![Say::json("[]")]).await;
    let source = source(&server).await;
    let limits = source.limits(AssetClass::Crypto);
    assert_eq!(limits.timeframes, [M1, M5, M15, H1, D1], "neither 30 minutes nor 4 hours");
    assert_eq!((limits.rows_per_page, limits.symbols_per_request), (300, 1));
    assert_eq!(source.limits(AssetClass::Stock), Limits::nothing());
    for timeframe in [M30, H4] {
        let unasked = request(&["BTC-USD"], timeframe, "2026-11-20T12:00:00Z", "2026-11-20T20:00:00Z");
        assert_eq!(source.bars(&unasked).await.unwrap_err().code(), "refused");
    }
    assert!(server.asked().is_empty());
}

/// Synthetic.
#[tokio::test]
async fn pairs_are_looked_up_and_listed() {
    let bitcoin =
        r#"{"id":"BTC-USD","base_currency":"BTC","quote_currency":"USD","display_name":"BTC/USD","status":"online"}"#;
    let gone = r#"{"id":"OLD-USD","display_name":"OLD/USD","status":"delisted"}"#;
    let server = Server::answering(move |asked| match asked.path.as_str() {
        "/products" => Say::json(format!("[{bitcoin},{gone}]")),
        "/products/BTC-USD" => Say::json(bitcoin),
        _ => Say::status(404, r#"{"message":"NotFound"}"#),
    })
    .await;
    let source = source(&server).await;
    let found = source.asset(&"BTC-USD".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!((found.name.as_str(), found.active), ("BTC/USD", true));
    assert_eq!(source.asset(&"NOPE-USD".parse().unwrap()).await.unwrap(), None);
    assert_eq!(source.assets(AssetClass::Crypto).await.unwrap(), Some(vec![found]));
}

#[test]
fn it_is_asked_only_where_named() {
    let settings = |list: &'static str| {
        CoinbaseSettings::from_lookup(move |name| (name == "BARKEEP_CRYPTO").then(|| list.to_owned()))
    };
    assert!(settings("coinbase").unwrap().is_configured() && !settings("binance").unwrap().is_configured());
}
