//! Tradier: what is asked, and what becomes of the answers.

use jiff::SignedDuration;
use market::{AssetClass, Timeframe};
use providers::{
    BarSource, FetchError, Limits,
    budget::InProcess,
    tradier::{TradierSettings, TradierSource},
};

use crate::server::{Say, Server, clock, refusals, request, rows};

const TOKEN: &str = "tradiersecret";

pub(crate) async fn source(server: &Server) -> TradierSource {
    let url = server.url.clone();
    let settings = TradierSettings::from_lookup(|name| match name {
        "TRADIER_TOKEN" => Some(TOKEN.to_owned()),
        // As Tradier's pages give it.
        "TRADIER_API_URL" => Some(format!("{url}/v1/")),
        _ => None,
    });
    TradierSource::connect_on(settings.unwrap(), clock("2026-11-20T22:00:00Z"), &InProcess::default()).await.unwrap()
}

pub(crate) fn quarters() -> providers::BarsRequest {
    request(&["BRK.B"], Timeframe::M15, "2026-11-20T14:30:00Z", "2026-11-20T21:00:00Z")
}

/// Synthetic, after the fields in Tradier's documentation: no recording was found.
const SALE: &str = r#"{"time":"2026-11-20T09:30:00","timestamp":1795185000,"price":10.5,"open":10,"high":12,"low":9.5,
    "close":11,"volume":1200,"vwap":10.75}"#;

async fn refused(say: Say) -> FetchError {
    let server = Server::replaying(vec![say]).await;
    let error = source(&server).await.bars(&quarters()).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains(TOKEN), "{error}");
    error
}

/// Synthetic.
#[tokio::test]
async fn bars_are_read_by_their_unix_seconds_and_asked_for_in_new_yorks_time() {
    let server = Server::replaying(vec![
        Say::json(format!(r#"{{"series":{{"data":[{SALE},{}]}}}}"#, SALE.replace("1795185000", "1795208400"))),
        Say::json(format!(r#"{{"series":{{"data":{SALE}}}}}"#)),
    ])
    .await;
    let source = source(&server).await;
    let expected = [("2026-11-20T14:30:00Z".to_owned(), [10.0, 12.0, 9.5, 11.0, 1200.0])];
    let fetched = source.bars(&quarters()).await.unwrap();
    assert_eq!(rows(&fetched, "BRK.B"), expected, "the bar that starts at the end is not part of it");
    assert_eq!((fetched.provenance.as_str(), fetched.requests), ("tradier/timesales", 1));
    assert_eq!(rows(&source.bars(&quarters()).await.unwrap(), "BRK.B"), expected, "a list of one comes as itself");
    let asked = &server.asked()[0];
    assert_eq!(asked.path, "/v1/markets/timesales");
    let query: Vec<_> = asked.query.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let expected = [
        ("end", "2026-11-20 16:00"),
        ("interval", "15min"),
        ("session_filter", "open"),
        ("start", "2026-11-20 09:30"),
        ("symbol", "BRK/B"),
    ];
    assert_eq!(query, expected);
    assert_eq!(asked.headers["authorization"], format!("Bearer {TOKEN}"));
    assert_eq!(asked.headers["accept"], "application/json");
}

/// Synthetic.
#[tokio::test]
async fn wall_times_are_right_on_both_sides_of_a_clock_change() {
    let server = Server::replaying(vec![Say::json(r#"{"series":null}"#)]).await;
    let source = source(&server).await;
    for (from, to, start, end) in [
        ("2026-03-06T14:30:00Z", "2026-03-09T20:00:00Z", "2026-03-06 09:30", "2026-03-09 16:00"),
        ("2026-10-30T13:30:00Z", "2026-11-02T21:00:30Z", "2026-10-30 09:30", "2026-11-02 16:01"),
    ] {
        source.bars(&request(&["SPY"], Timeframe::M5, from, to)).await.unwrap();
        let asked = server.asked().pop().unwrap();
        assert_eq!((asked.query["start"].as_str(), asked.query["end"].as_str()), (start, end));
    }
}

/// Synthetic.
#[tokio::test]
async fn days_come_from_the_history_and_start_at_new_yorks_midnight() {
    let day = r#"{"date":"2026-11-20","open":10,"high":12,"low":9.5,"close":11,"volume":1200}"#;
    let server = Server::replaying(vec![
        Say::json(format!(r#"{{"history":{{"day":{day}}}}}"#)),
        Say::json(r#"{"history":null}"#),
    ])
    .await;
    let source = source(&server).await;
    let days = request(&["AAPL"], Timeframe::D1, "2026-11-20T05:00:00Z", "2026-11-20T21:00:00Z");
    let fetched = source.bars(&days).await.unwrap();
    assert_eq!(rows(&fetched, "AAPL"), [("2026-11-20T05:00:00Z".to_owned(), [10.0, 12.0, 9.5, 11.0, 1200.0])]);
    assert_eq!(fetched.provenance, "tradier/history");
    assert!(source.bars(&days).await.unwrap().bars.is_empty());
    let asked = &server.asked()[0];
    let query: Vec<_> = asked.query.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let expected = [("end", "2026-11-20"), ("interval", "daily"), ("start", "2026-11-20"), ("symbol", "AAPL")];
    assert_eq!((asked.path.as_str(), query), ("/v1/markets/history", expected.to_vec()));
}

#[tokio::test]
async fn an_answer_of_null_is_an_answer_without_bars() {
    for answer in refusals("tradier_200_no_data") {
        let server = Server::replaying(vec![answer.say()]).await;
        let fetched = source(&server).await.bars(&quarters()).await.unwrap();
        assert_eq!((fetched.bars.len(), fetched.answered), (0, Some(quarters().range)));
    }
}

#[tokio::test]
async fn refusals_are_told_apart() {
    for refusal in refusals("tradier_401") {
        let error = refused(refusal.say()).await;
        assert!(error.code() == "credentials" && error.to_string().contains("TRADIER_TOKEN"), "{error}");
    }
    for refusal in refusals("tradier_400_start_too_old") {
        let error = refused(refusal.say()).await;
        assert!(
            matches!(&error, FetchError::Unavailable { message, .. } if message.contains("on or after")),
            "{error}"
        );
    }
}

/// Synthetic.
#[tokio::test]
async fn what_is_not_the_promised_json_is_bad_data() {
    let whole = format!(r#"{{"series":{{"data":[{SALE}]}}}}"#);
    for body in [
        "<html>gateway</html>".to_owned(),
        "<series><data/></series>".to_owned(),
        whole[..60].to_owned(),
        "{}".to_owned(),
        whole.replace("\"open\":10", "\"open\":[10]"),
        whole.replace("\"open\":10,", ""),
        whole.replace("1795185000", "\"1795185000\""),
        whole.replace("1795185000", "9223372036854775807"),
        r#"{"series":{"data":7}}"#.to_owned(),
    ] {
        assert_eq!(refused(Say::json(&body)).await.code(), "bad_data", "{body}");
    }
    assert_eq!(refused(Say::status(502, "")).await.code(), "server");
    assert_eq!(refused(Say::status(429, "")).await.code(), "throttled");
}

#[tokio::test]
async fn limits_say_what_can_not_be_had() {
    use Timeframe::{D1, H1, M1, M5, M15, M30};
    let server = Server::replaying(vec![Say::json("{}")]).await;
    let source = source(&server).await;
    let limits = source.limits(AssetClass::Stock);
    assert_eq!(limits.timeframes, [M1, M5, M15, D1]);
    assert_eq!(limits.split_adjusted, [D1]);
    assert_eq!([M1, M5, M15].map(|t| limits.depth[&t]), [19, 39, 39].map(|days| SignedDuration::from_hours(days * 24)));
    assert!(!limits.depth.contains_key(&D1));
    assert_eq!((limits.requests_per_minute, limits.symbols_per_request), (120, 1));
    assert_eq!(source.limits(AssetClass::Crypto), Limits::nothing());
    for timeframe in [M30, H1] {
        let unasked = request(&["SPY"], timeframe, "2026-11-20T14:30:00Z", "2026-11-20T21:00:00Z");
        assert_eq!(source.bars(&unasked).await.unwrap_err().code(), "refused");
    }
    assert!(server.asked().is_empty());
}

/// Synthetic.
#[tokio::test]
async fn a_symbol_is_looked_up_among_the_quotes() {
    let server = Server::replaying(vec![
        Say::json(
            r#"{"quotes":{"quote":{"symbol":"BRK/B","description":"Berkshire Hathaway Inc","exch":"N","type":"stock"}}}"#,
        ),
        Say::json(r#"{"quotes":{"unmatched_symbols":{"symbol":"NOPE"}}}"#),
    ])
    .await;
    let source = source(&server).await;
    let found = source.asset(&"BRK.B".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!((found.name.as_str(), found.exchange.as_str()), ("Berkshire Hathaway Inc", "N"));
    assert_eq!(source.asset(&"NOPE".parse().unwrap()).await.unwrap(), None);
    assert_eq!(source.assets(AssetClass::Stock).await.unwrap(), None, "there is no list");
}

#[tokio::test]
async fn without_a_token_nothing_is_sent() {
    let settings = TradierSettings::from_lookup(|_| None).unwrap();
    assert!(!settings.is_configured());
    let source =
        TradierSource::connect_on(settings, clock("2026-11-20T22:00:00Z"), &InProcess::default()).await.unwrap();
    assert_eq!(source.bars(&quarters()).await.unwrap_err().code(), "credentials");
    assert_eq!(source.asset(&"SPY".parse().unwrap()).await.unwrap_err().code(), "credentials");
}
