//! Finnhub: what is asked, and what becomes of the answers.

use market::{AssetClass, Timeframe};
use providers::{
    BarSource, FetchError, Limits,
    budget::InProcess,
    finnhub::{FinnhubSettings, FinnhubSource},
};

use crate::server::{Say, Server, all_pages, clock, refusals, request, rows};

const KEY: &str = "finnhubsecret";

pub(crate) async fn source(server: &Server) -> FinnhubSource {
    let url = server.url.clone();
    let settings = FinnhubSettings::from_lookup(|name| match name {
        "FINNHUB_API_KEY" => Some(KEY.to_owned()),
        "FINNHUB_API_URL" => Some(url.clone()),
        _ => None,
    });
    FinnhubSource::connect_on(settings.unwrap(), clock("2026-11-20T22:00:00Z"), &InProcess::default()).await.unwrap()
}

pub(crate) fn quarters() -> providers::BarsRequest {
    request(&["BRK.B"], Timeframe::M15, "2026-11-20T14:30:00Z", "2026-11-20T21:00:00Z")
}

/// Synthetic, after the fields in Finnhub's swagger.json: no recording was found.
fn candles(starts: &str) -> String {
    let n = starts.split(',').count();
    let list = |value: &str| vec![value; n].join(",");
    format!(
        r#"{{"c":[{}],"h":[{}],"l":[{}],"o":[{}],"s":"ok","t":[{starts}],"v":[{}]}}"#,
        list("11"),
        list("12.5"),
        list("9"),
        list("10"),
        list("1200")
    )
}

async fn refused(say: Say) -> FetchError {
    let server = Server::replaying(vec![say]).await;
    let error = source(&server).await.bars(&quarters()).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains(KEY), "{error}");
    error
}

/// Synthetic.
#[tokio::test]
async fn candles_arrive_as_sent_and_the_question_is_exactly_this() {
    let server = Server::replaying(vec![Say::json(candles("1795184100,1795185000,1795208400"))]).await;
    let fetched = source(&server).await.bars(&quarters()).await.unwrap();
    assert_eq!(rows(&fetched, "BRK.B"), [("2026-11-20T14:30:00Z".to_owned(), [10.0, 12.5, 9.0, 11.0, 1200.0])]);
    assert_eq!((fetched.provenance.as_str(), fetched.requests), ("finnhub/us", 1));
    let asked = &server.asked()[0];
    assert_eq!(asked.path, "/api/v1/stock/candle");
    let query: Vec<_> = asked.query.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(query, [("from", "1795185000"), ("resolution", "15"), ("symbol", "BRK.B"), ("to", "1795208399")]);
    assert_eq!(asked.headers["x-finnhub-token"], KEY);
}

/// Synthetic: UTC's midnight, and New York's.
#[tokio::test]
async fn days_start_at_new_yorks_midnight_however_they_were_sent() {
    let server = Server::replaying(vec![Say::json(candles("1795046400,1795150800"))]).await;
    let days = request(&["AAPL"], Timeframe::D1, "2026-11-19T05:00:00Z", "2026-11-20T21:00:00Z");
    let fetched = source(&server).await.bars(&days).await.unwrap();
    let starts: Vec<_> = rows(&fetched, "AAPL").into_iter().map(|(start, _)| start).collect();
    assert_eq!(starts, ["2026-11-19T05:00:00Z", "2026-11-20T05:00:00Z"]);
    assert_eq!(
        (server.asked()[0].query["from"].as_str(), server.asked()[0].query["resolution"].as_str()),
        ("1795046400", "D")
    );
}

/// Synthetic.
#[tokio::test]
async fn minutes_are_asked_for_a_month_at_a_time_and_days_all_at_once() {
    let server = Server::replaying(vec![Say::json(r#"{"s":"no_data"}"#)]).await;
    let source = source(&server).await;
    let of = |timeframe| request(&["SPY"], timeframe, "2026-01-02T14:30:00Z", "2026-03-27T20:00:00Z");
    let pages = all_pages(&source, &of(Timeframe::M30)).await;
    assert_eq!(pages.iter().map(|page| page.complete.len()).collect::<Vec<_>>(), [0, 0, 1]);
    assert_eq!(source.bars(&of(Timeframe::D1)).await.unwrap().requests, 1);
}

#[tokio::test]
async fn an_answer_of_no_data_is_an_answer_without_bars() {
    for answer in refusals("finnhub_200_no_data") {
        let server = Server::replaying(vec![answer.say()]).await;
        let fetched = source(&server).await.bars(&quarters()).await.unwrap();
        assert_eq!((fetched.bars.len(), fetched.answered), (0, Some(quarters().range)));
    }
}

#[tokio::test]
async fn a_403_is_about_the_plan() {
    for refusal in refusals("finnhub_403") {
        let error = refused(refusal.say()).await;
        assert!(matches!(&error, FetchError::Unavailable { message, .. } if message.contains("paid plan")), "{error}");
    }
}

/// Synthetic.
#[tokio::test]
async fn other_refusals_are_told_apart() {
    let error = refused(Say::status(401, r#"{"error":"Invalid API key"}"#)).await;
    assert!(error.code() == "credentials" && error.to_string().contains("FINNHUB_API_KEY"), "{error}");
    let reset = jiff::Timestamp::now().as_second() + 30;
    match refused(Say::status(429, r#"{"error":"API limit reached."}"#).header("X-Ratelimit-Reset", reset)).await {
        FetchError::Throttled { retry_after, .. } => assert!((20..=30).contains(&retry_after.as_secs())),
        other => panic!("{other}"),
    }
}

/// Synthetic.
#[tokio::test]
async fn what_is_not_the_promised_json_is_bad_data() {
    let whole = candles("1795185000");
    for body in [
        "<html>gateway</html>".to_owned(),
        whole[..40].to_owned(),
        "{}".to_owned(),
        r#"{"s":"error"}"#.to_owned(),
        whole.replace("\"o\":[10]", "\"o\":[[10]]"),
        whole.replace("\"o\":[10]", "\"o\":[10,10]"),
        whole.replace("\"o\":[10],", ""),
        whole.replace("1795185000", "9223372036854775807"),
    ] {
        assert_eq!(refused(Say::json(&body)).await.code(), "bad_data", "{body}");
    }
}

#[tokio::test]
async fn limits_say_what_can_not_be_had() {
    use Timeframe::{D1, H1, H4, M1, M5, M15, M30};
    let server = Server::replaying(vec![Say::json("{}")]).await;
    let source = source(&server).await;
    let limits = source.limits(AssetClass::Stock);
    assert_eq!(limits.timeframes, [M1, M5, M15, M30, D1]);
    assert_eq!(limits.split_adjusted, [D1]);
    assert_eq!((limits.requests_per_minute, limits.symbols_per_request), (60, 1));
    assert_eq!(source.limits(AssetClass::Crypto), Limits::nothing());
    for timeframe in [H1, H4] {
        let unasked = request(&["SPY"], timeframe, "2026-11-20T14:30:00Z", "2026-11-20T21:00:00Z");
        assert_eq!(source.bars(&unasked).await.unwrap_err().code(), "refused");
    }
    assert!(server.asked().is_empty());
}

/// Synthetic.
#[tokio::test]
async fn symbols_are_looked_up_and_listed() {
    let server =
        Server::answering(|asked| match (asked.path.as_str(), asked.query.get("symbol").map(String::as_str)) {
            ("/api/v1/stock/profile2", Some("AAPL")) => {
                Say::json(r#"{"name":"Apple Inc","exchange":"NASDAQ NMS - GLOBAL MARKET","ticker":"AAPL"}"#)
            }
            ("/api/v1/stock/profile2", _) => Say::json("{}"),
            _ => Say::json(
                r#"[{"symbol":"AAPL","description":"APPLE INC","mic":"XNAS","type":"Common Stock"},
                {"symbol":"NOT A SYMBOL","description":"","mic":"","type":""}]"#,
            ),
        })
        .await;
    let source = source(&server).await;
    assert_eq!(source.asset(&"AAPL".parse().unwrap()).await.unwrap().unwrap().name, "Apple Inc");
    assert_eq!(source.asset(&"NOPE".parse().unwrap()).await.unwrap(), None);
    let all = source.assets(AssetClass::Stock).await.unwrap().unwrap();
    assert_eq!(all.iter().map(|asset| asset.exchange.as_str()).collect::<Vec<_>>(), ["XNAS"]);
}
