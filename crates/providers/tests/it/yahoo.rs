//! Yahoo: what is asked, and what becomes of the answers.

use jiff::SignedDuration;
use market::{Action, ActionKind, AssetClass, Ticker, Timeframe};
use providers::{
    BarSource, FetchError, Limits,
    budget::InProcess,
    yahoo::{YahooSettings, YahooSource},
};
use serde_json::{Value, json};

use crate::server::{Say, Server, answers, clock, range, refusals, request, rows};

pub(crate) async fn source(server: &Server, now: &str) -> YahooSource {
    let url = server.url.clone();
    let settings = YahooSettings::from_lookup(|name| match name {
        "BARKEEP_YAHOO" => Some("on".to_owned()),
        "YAHOO_API_URL" => Some(url.clone()),
        _ => None,
    });
    YahooSource::connect_on(settings.unwrap(), clock(now), &InProcess::default()).await.unwrap()
}

pub(crate) fn quarters() -> providers::BarsRequest {
    request(&["BRK.B"], Timeframe::M15, "2026-11-20T14:30:00Z", "2026-11-20T21:00:00Z")
}

/// Synthetic.
fn chart(granularity: &str, timestamps: Value, quote: Value) -> Say {
    let meta = json!({"symbol": "BRK-B", "firstTradeDate": 831562200, "dataGranularity": granularity});
    let result = json!({"meta": meta, "timestamp": timestamps, "indicators": {"quote": [quote]}});
    Say::json(json!({"chart": {"result": [result], "error": null}}).to_string())
}

async fn refused(say: Say) -> FetchError {
    let server = Server::replaying(vec![say]).await;
    source(&server, "2026-11-20T22:00:00Z").await.bars(&quarters()).await.unwrap_err()
}

#[tokio::test]
async fn days_start_at_new_yorks_midnight_and_the_question_is_exactly_this() {
    for body in answers("yahoo/days.json", "yahoo/yfinance-rs/history_chart_AAPL.json") {
        let server = Server::replaying(vec![Say::json(&body)]).await;
        let source = source(&server, "2025-10-29T21:00:00Z").await;
        let days = request(&["AAPL"], Timeframe::D1, "2025-10-27T04:00:00Z", "2025-10-29T20:00:00Z");
        let fetched = source.bars(&days).await.unwrap();
        let rows = rows(&fetched, "AAPL");
        let starts: Vec<_> = rows.iter().map(|(start, _)| start.as_str()).collect();
        let expected = ["2025-10-27T04:00:00Z", "2025-10-28T04:00:00Z", "2025-10-29T04:00:00Z"];
        assert_eq!(starts, expected, "the last was live");
        let body: Value = serde_json::from_str(&body).unwrap();
        let chart = &body["chart"]["result"][0];
        let quote = &chart["indicators"]["quote"][0];
        let before = chart["timestamp"].as_array().unwrap().len() - rows.len();
        for (n, (_, values)) in rows.iter().enumerate() {
            let sent = ["open", "high", "low", "close", "volume"].map(|name| quote[name][before + n].as_f64().unwrap());
            assert_eq!(*values, sent);
        }
        assert_eq!((fetched.provenance.as_str(), fetched.answered), ("yahoo/chart", Some(days.range)));
        let asked = &server.asked()[0];
        assert_eq!(asked.path, "/v8/finance/chart/AAPL");
        let query: Vec<_> = asked.query.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let expected = [
            ("events", "div,splits"),
            ("includePrePost", "false"),
            ("interval", "1d"),
            ("period1", "1761537600"),
            ("period2", "1761768000"),
        ];
        assert_eq!(query, expected);
        assert!(!asked.headers.contains_key("authorization") && asked.headers["user-agent"].contains("barkeep"));
    }
}

#[tokio::test]
async fn bars_coarser_than_asked_for_are_refused() {
    for body in answers("yahoo/coarse.json", "yahoo/yfinance-rs/history_chart_VFINX.json") {
        let error = refused(Say::json(body)).await;
        assert!(matches!(&error, FetchError::BadData { message, .. } if message.contains("3mo")), "{error}");
    }
}

/// Synthetic: 14:30 is whole, 14:45 null, 15:00 whole, then a last trade between bars and one after the range.
#[tokio::test]
async fn rows_of_null_and_the_last_trade_are_no_bars() {
    let list = |value: f64| json!([value, null, value, value, value]);
    let quote = json!({"open": list(2.0), "high": list(3.0), "low": list(1.0), "close": list(2.5), "volume": [9, null, null, 7, 7]});
    let starts = json!([1795185000, 1795185900, 1795186800, 1795187111, 1795208400]);
    let server = Server::replaying(vec![chart("15m", starts, quote)]).await;
    let fetched = source(&server, "2026-11-20T22:00:00Z").await.bars(&quarters()).await.unwrap();
    assert_eq!(
        rows(&fetched, "BRK.B"),
        [
            ("2026-11-20T14:30:00Z".to_owned(), [2.0, 3.0, 1.0, 2.5, 9.0]),
            ("2026-11-20T15:00:00Z".to_owned(), [2.0, 3.0, 1.0, 2.5, 0.0]),
        ]
    );
    assert_eq!(server.asked()[0].path, "/v8/finance/chart/BRK-B");
}

/// Synthetic.
#[tokio::test]
async fn hours_are_the_sessions() {
    let quote = json!({"open": [1], "high": [1], "low": [1], "close": [1], "volume": [1]});
    let server = Server::replaying(vec![chart("60m", json!([1795185000]), quote)]).await;
    let hours = request(&["BRK.B"], Timeframe::H1, "2026-11-20T14:30:00Z", "2026-11-20T21:00:00Z");
    let source = source(&server, "2026-11-20T22:00:00Z").await;
    assert_eq!(rows(&source.bars(&hours).await.unwrap(), "BRK.B")[0].0, "2026-11-20T14:30:00Z");
    assert_eq!(server.asked()[0].query["interval"], "1h");
}

/// Synthetic.
#[tokio::test]
async fn minutes_are_asked_for_a_week_at_a_time() {
    let empty = json!({"open": [], "high": [], "low": [], "close": [], "volume": []});
    let server = Server::replaying(vec![chart("1m", json!([]), empty)]).await;
    let minutes = request(&["BRK.B"], Timeframe::M1, "2026-11-02T14:30:00Z", "2026-11-20T21:00:00Z");
    assert_eq!(source(&server, "2026-11-20T22:00:00Z").await.bars(&minutes).await.unwrap().requests, 3);
}

#[tokio::test]
async fn refusals_are_told_apart() {
    for (name, code) in [
        ("yahoo_404", "refused"),
        ("yahoo_200_no_timestamps", "refused"),
        ("yahoo_422_range", "unavailable"),
        ("yahoo_429_html", "throttled"),
    ] {
        for refusal in refusals(name) {
            let error = refused(refusal.say()).await;
            assert_eq!(error.code(), code, "{name}: {error}");
        }
    }
}

/// Synthetic: words from memory.
#[tokio::test]
async fn a_time_before_the_first_trade_is_empty() {
    let words = "Data doesn't exist for startDate = 1451624400, endDate = 1451710800";
    let body = json!({"chart": {"result": null, "error": {"code": "Bad Request", "description": words}}});
    let server = Server::replaying(vec![Say::status(400, body.to_string())]).await;
    let fetched = source(&server, "2026-11-20T22:00:00Z").await.bars(&quarters()).await.unwrap();
    assert_eq!((fetched.bars.len(), fetched.answered), (0, Some(quarters().range)));
}

/// Synthetic.
#[tokio::test]
async fn what_is_not_the_promised_json_is_bad_data() {
    let quote = json!({"open": [1], "high": [1], "low": [1], "close": [1], "volume": [1]});
    let Say::Answer { body: whole, .. } = chart("15m", json!([1795185000]), quote) else { return };
    for body in [
        "<html>consent</html>".to_owned(),
        whole[..whole.len() / 2].to_owned(),
        "{}".to_owned(),
        r#"{"chart":{"result":[],"error":null}}"#.to_owned(),
        whole.replace("\"open\":[1]", "\"open\":[[1]]"),
        whole.replace("\"open\":[1]", "\"open\":[1,2]"),
        // A multiple of 15 minutes, in the year 285,000,000,000.
        whole.replace("1795185000", "9000000000000000000"),
        whole.replace("\"15m\"", "\"30m\""),
    ] {
        let error = refused(Say::json(&body)).await;
        assert!(error.code() == "bad_data", "{body}: {error}");
    }
    assert_eq!(refused(Say::status(404, "<html>nothing here</html>")).await.code(), "bad_data");
    assert_eq!(refused(Say::status(401, "")).await.code(), "credentials");
    assert_eq!(refused(Say::status(502, "")).await.code(), "server");
}

#[tokio::test]
async fn limits_say_what_can_not_be_had() {
    use Timeframe::{D1, H1, M1, M5, M15};
    let server = Server::replaying(vec![Say::json("{}")]).await;
    let source = source(&server, "2026-11-20T18:00:00Z").await;
    let limits = source.limits(AssetClass::Stock);
    assert_eq!(limits.timeframes, [M1, M5, M15, H1, D1]);
    assert_eq!((limits.from_open, limits.split_adjusted), (vec![H1], vec![M1, M5, M15, H1, D1]));
    let days = |timeframe| limits.depth.get(&timeframe).map(SignedDuration::as_hours).map(|hours| hours / 24);
    assert_eq!([M1, M15, H1, D1].map(days), [Some(29), Some(59), Some(729), None]);
    assert_eq!(source.limits(AssetClass::Crypto), Limits::nothing());
    for timeframe in [Timeframe::M30, Timeframe::H4] {
        let unasked = request(&["SPY"], timeframe, "2026-11-20T14:30:00Z", "2026-11-20T21:00:00Z");
        assert_eq!(source.bars(&unasked).await.unwrap_err().code(), "refused");
    }
    assert!(server.asked().is_empty());
}

#[tokio::test]
async fn dividends_come_with_their_ex_dates() {
    for body in answers("yahoo/days.json", "yahoo/yfinance-rs/history_chart_AAPL.json") {
        let server = Server::replaying(vec![Say::json(&body)]).await;
        let source = source(&server, "2025-10-29T21:00:00Z").await;
        let ticker: Ticker = "AAPL".parse().unwrap();
        let range = range("2025-05-01T04:00:00Z", "2025-08-11T04:00:00Z");
        let actions = source.actions(std::slice::from_ref(&ticker), range).await.unwrap().unwrap();
        let sent: Value = serde_json::from_str(&body).unwrap();
        // 2025-05-12, when the session opens.
        let amount = sent["chart"]["result"][0]["events"]["dividends"]["1747056600"]["amount"].as_f64().unwrap();
        let dividend = Action { ex_date: "2025-05-12".parse().unwrap(), kind: ActionKind::Dividend { amount } };
        assert_eq!(actions[&ticker], [dividend], "the one of 2025-08-11 is outside");
        assert_eq!(server.asked()[0].query["period2"], "1761771600", "splits until now count");
    }
}

/// Synthetic: Apple's split of 2014 and the dividend before it, in today's shares.
#[tokio::test]
async fn dividends_are_put_back_into_the_shares_of_their_day() {
    let events = json!({
        "dividends": {"1399555800": {"amount": 0.47, "date": 1399555800}},
        "splits": {"1402320600": {"date": 1402320600, "numerator": 7, "denominator": 1, "splitRatio": "7:1"}},
    });
    let result = json!({"meta": {"dataGranularity": "1d"}, "events": events, "indicators": {"quote": [{}]}});
    let server =
        Server::replaying(vec![Say::json(json!({"chart": {"result": [result], "error": null}}).to_string())]).await;
    let source = source(&server, "2026-11-20T22:00:00Z").await;
    let ticker: Ticker = "AAPL".parse().unwrap();
    let range = range("2014-05-01T04:00:00Z", "2014-06-01T04:00:00Z");
    let actions = source.actions(std::slice::from_ref(&ticker), range).await.unwrap().unwrap();
    let [Action { ex_date, kind: ActionKind::Dividend { amount } }] = actions[&ticker][..] else {
        panic!("{actions:?}")
    };
    assert_eq!(ex_date.to_string(), "2014-05-08");
    assert!((amount - 3.29).abs() < 1e-9);
}

#[test]
fn it_is_asked_only_where_switched_on() {
    let settings = |value: &'static str| {
        YahooSettings::from_lookup(move |name| (name == "BARKEEP_YAHOO").then(|| value.to_owned()))
    };
    assert!(settings("on").unwrap().is_configured());
    assert!(!settings("off").unwrap().is_configured() && !settings("").unwrap().is_configured());
    let error = settings("yes").unwrap_err().to_string();
    assert!(error.contains("BARKEEP_YAHOO") && error.contains("personal use"), "{error}");
}
