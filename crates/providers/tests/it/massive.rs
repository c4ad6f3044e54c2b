//! Massive: what is asked, and what becomes of the answers.

use jiff::SignedDuration;
use market::{Action, ActionKind, AssetClass, Timeframe};
use providers::{
    BarSource, FetchError, Limits,
    budget::InProcess,
    massive::{MassiveSettings, MassiveSource},
};

use crate::server::{Say, Server, all_pages, answers, clock, paged_answers, range, refusals, request, rows};

const KEY: &str = "massivesecret";

pub(crate) async fn source(server: &Server, plan: &str, now: &str) -> MassiveSource {
    let (url, plan) = (server.url.clone(), plan.to_owned());
    let settings = MassiveSettings::from_lookup(|name| match name {
        "MASSIVE_API_KEY" => Some(KEY.to_owned()),
        "MASSIVE_API_URL" => Some(url.clone()),
        "MASSIVE_PLAN" => Some(plan.clone()),
        _ => None,
    });
    MassiveSource::connect_on(settings.unwrap(), clock(now), &InProcess::default()).await.unwrap()
}

/// Two days of 2005.
fn days() -> providers::BarsRequest {
    request(&["AAPL"], Timeframe::D1, "2005-04-01T05:00:00Z", "2005-04-05T04:00:00Z")
}

async fn refused(say: Say) -> FetchError {
    let server = Server::replaying(vec![say]).await;
    let error = source(&server, "paid", "2026-11-20T18:00:00Z").await.bars(&days()).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains(KEY), "{error}");
    error
}

#[tokio::test]
async fn days_arrive_as_sent_and_the_question_is_exactly_this() {
    let recorded = "massive/client-python-mocks/v2/aggs/ticker/AAPL/range/1/day/2005-04-01/2005-04-04.json";
    for body in answers("massive/days.json", recorded) {
        let server = Server::replaying(vec![Say::json(&body)]).await;
        let source = source(&server, "free", "2026-11-20T18:00:00Z").await;
        assert_eq!((source.endpoint().provider.as_str(), source.endpoint().simulated), ("massive", false));
        let fetched = source.bars(&days()).await.unwrap();
        let sent: serde_json::Value = serde_json::from_str(&body).unwrap();
        let starts = ["2005-04-01T05:00:00Z", "2005-04-04T04:00:00Z"];
        let expected = starts.iter().enumerate().map(|(n, start)| {
            let values = ["o", "h", "l", "c", "v"].map(|name| sent["results"][n][name].as_f64().unwrap());
            ((*start).to_owned(), values)
        });
        assert_eq!(rows(&fetched, "AAPL"), expected.collect::<Vec<_>>());
        assert_eq!((fetched.provenance.as_str(), fetched.requests), ("massive/sip", 1));
        assert_eq!(fetched.answered, Some(days().range));
        let asked = &server.asked()[0];
        assert_eq!(asked.path, "/v2/aggs/ticker/AAPL/range/1/day/1112331600000/1112673599999");
        let query: Vec<_> = asked.query.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(query, [("adjusted", "false"), ("limit", "50000"), ("sort", "asc")]);
        assert_eq!(asked.headers["authorization"], format!("Bearer {KEY}"));
    }
}

#[tokio::test]
async fn a_next_url_is_followed_at_our_own_address_with_the_key_and_an_empty_object_is_the_end() {
    let own = ["massive/page_1.json", "massive/page_2.json"];
    let recorded = ["massive/client-go/aggs_page1_next_url.json", "massive/client-go/aggs_page2_empty_object.json"];
    for bodies in paged_answers(&own, &recorded) {
        let server = Server::replaying(bodies.iter().map(Say::json).collect()).await;
        let days = request(&["AAPL"], Timeframe::D1, "2020-01-02T05:00:00Z", "2020-01-04T05:00:00Z");
        let pages = all_pages(&source(&server, "paid", "2026-11-20T18:00:00Z").await, &days).await;
        assert_eq!(pages.iter().map(|page| page.complete.len()).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(pages[0].bars.values().map(Vec::len).sum::<usize>(), 2);
        let first: serde_json::Value = serde_json::from_str(&bodies[0]).unwrap();
        let next = first["next_url"].as_str().unwrap().strip_prefix("https://api.massive.com").unwrap();
        let (path, cursor) = next.split_once("?cursor=").unwrap();
        let asked = server.asked();
        assert_eq!(asked[1].path, path);
        assert_eq!(asked[1].query.iter().collect::<Vec<_>>(), [(&"cursor".to_owned(), &cursor.to_owned())]);
        assert_eq!(asked[1].headers["authorization"], format!("Bearer {KEY}"));
    }
}

/// Synthetic.
#[tokio::test]
async fn a_next_url_that_leads_elsewhere_or_in_a_circle_is_bad_data() {
    let elsewhere = Server::replaying(vec![Say::json(r#"{"status":"OK"}"#)]).await;
    let say = |next: &str| Say::json(format!(r#"{{"status":"OK","next_url":"{next}"}}"#));
    for next in ["https://massive.com.example.org/x?cursor=1", "https://notmassive.com/x", "no address"] {
        let error = refused(say(next)).await;
        assert!(matches!(&error, FetchError::BadData { message, .. } if message.contains("elsewhere")), "{error}");
    }
    assert!(elsewhere.asked().is_empty());
    let error = refused(say("https://api.massive.com/x?cursor=1&apiKey=leaked")).await;
    assert!(error.code() == "bad_data" && error.to_string().contains("end"), "{error}");
}

/// Synthetic: minutes of three months.
#[tokio::test]
async fn minutes_are_asked_for_a_month_at_a_time_from_a_start_on_their_grid() {
    let server = Server::replaying(vec![Say::json(r#"{"status":"OK","resultsCount":0}"#)]).await;
    let quarter = request(&["BRK.B"], Timeframe::M15, "2026-03-02T14:37:00Z", "2026-05-20T20:00:00Z");
    let pages = all_pages(&source(&server, "free", "2026-11-20T18:00:00Z").await, &quarter).await;
    assert_eq!(pages.iter().map(|page| page.complete.len()).collect::<Vec<_>>(), [0, 0, 1]);
    let asked: Vec<_> = server.asked().into_iter().map(|asked| asked.path).collect();
    assert_eq!(asked[0], "/v2/aggs/ticker/BRK.B/range/15/minute/1772461800000/1775054219999");
    assert!(asked[2].ends_with("/1779307199999"), "{asked:?}");
}

/// Synthetic: a bar before the range, as snapping sends it, and one after.
#[tokio::test]
async fn bars_around_the_window_are_dropped() {
    let bar = |t: i64| format!(r#"{{"t":{t},"o":1,"h":1,"l":1,"c":1,"v":1.5e1}}"#);
    let body = format!(
        r#"{{"status":"DELAYED","results":[{},{},{}]}}"#,
        bar(1772461800000),
        bar(1772462700000),
        bar(1772463600000)
    );
    let server = Server::replaying(vec![Say::json(body)]).await;
    let asked = request(&["AAPL"], Timeframe::M15, "2026-03-02T14:37:00Z", "2026-03-02T15:00:00Z");
    let fetched = source(&server, "free", "2026-11-20T18:00:00Z").await.bars(&asked).await.unwrap();
    assert_eq!(rows(&fetched, "AAPL"), [("2026-03-02T14:45:00Z".to_owned(), [1.0, 1.0, 1.0, 1.0, 15.0])]);
}

#[tokio::test]
async fn refusals_are_told_apart() {
    for refusal in refusals("massive_401") {
        let error = refused(refusal.say()).await;
        assert!(error.code() == "credentials" && error.to_string().contains("MASSIVE_API_KEY"), "{error}");
    }
    for refusal in refusals("massive_403_plan") {
        let error = refused(refusal.say()).await;
        assert!(matches!(&error, FetchError::Unavailable { message, .. } if message.contains("entitled")), "{error}");
    }
}

/// Synthetic.
#[tokio::test]
async fn an_error_with_status_200_and_an_empty_429_ask_everyone_to_wait_for_a_minute() {
    let busy = r#"{"status":"ERROR","request_id":"x","error":"You've exceeded the maximum requests per minute"}"#;
    for say in [Say::json(busy), Say::status(429, "")] {
        let server = Server::replaying(vec![say]).await;
        let source = source(&server, "paid", "2026-11-20T18:00:00Z").await;
        for _ in 0..2 {
            match source.bars(&days()).await.unwrap_err() {
                FetchError::Throttled { retry_after, .. } => assert!(retry_after.as_secs() > 50, "{retry_after:?}"),
                other => panic!("{other}"),
            }
        }
        assert_eq!(server.asked().len(), 1, "the budget knows");
    }
}

/// Synthetic.
#[tokio::test]
async fn what_is_not_the_promised_json_is_bad_data() {
    for body in [
        "<html>gateway</html>",
        r#"{"status":"OK","results":[{"t":1112331600000,"o":1"#,
        "",
        r#"{"results":[{"t":"1112331600000","o":1,"h":1,"l":1,"c":1,"v":1}]}"#,
        r#"{"results":[{"t":1112331600000,"o":{},"h":1,"l":1,"c":1,"v":1}]}"#,
        r#"{"results":[{"t":1112331600000,"o":1,"h":1,"l":1,"v":1}]}"#,
        r#"{"results":[{"t":9223372036854775807,"o":1,"h":1,"l":1,"c":1,"v":1}]}"#,
    ] {
        assert_eq!(refused(Say::json(body)).await.code(), "bad_data", "{body}");
    }
}

/// Synthetic.
#[tokio::test]
async fn nothing_of_the_day_at_hand_is_asked_for_on_a_free_plan_nor_where_it_was_refused() {
    let today = request(&["AAPL"], Timeframe::M15, "2026-11-19T14:30:00Z", "2026-11-20T18:00:00Z");
    let midnight = "2026-11-20T05:00:00Z";
    let server = Server::replaying(vec![Say::json(r#"{"status":"OK"}"#)]).await;
    let free = source(&server, "free", "2026-11-20T18:00:00Z").await;
    assert_eq!(free.bars(&today).await.unwrap().answered, Some(range("2026-11-19T14:30:00Z", midnight)));
    let only_today = request(&["AAPL"], Timeframe::M15, "2026-11-20T14:30:00Z", "2026-11-20T18:00:00Z");
    let nothing = free.bars(&only_today).await.unwrap();
    assert_eq!((nothing.answered, nothing.requests), (None, 0));

    let no =
        Say::status(403, r#"{"status":"NOT_AUTHORIZED","message":"Your plan doesn't include this data timeframe."}"#);
    let server = Server::replaying(vec![no, Say::json(r#"{"status":"OK"}"#)]).await;
    let paid = source(&server, "paid", "2026-11-20T18:00:00Z").await;
    assert_eq!(paid.limits(AssetClass::Stock).grace, SignedDuration::from_mins(16));
    let fetched = paid.bars(&today).await.unwrap();
    assert_eq!((fetched.answered, fetched.requests), (Some(range("2026-11-19T14:30:00Z", midnight)), 2));
    assert_eq!(paid.limits(AssetClass::Stock).grace, SignedDuration::from_hours(24));
}

#[tokio::test]
async fn limits_say_what_can_not_be_had() {
    use Timeframe::{D1, M1, M5, M15, M30};
    let server = Server::replaying(vec![Say::json(r#"{"status":"OK"}"#)]).await;
    let free = source(&server, "free", "2026-11-20T18:00:00Z").await;
    let limits = free.limits(AssetClass::Stock);
    assert_eq!(limits.timeframes, [M1, M5, M15, M30, D1], "hours of stocks are the clock's here");
    assert_eq!((limits.requests_per_minute, limits.symbols_per_request), (5, 1));
    let now = "2026-11-20T00:00:00Z".parse().unwrap();
    assert_eq!(limits.earliest_of(M15, now), "2024-11-21T00:00:00Z".parse().unwrap());
    assert!(limits.split_adjusted.is_empty() && limits.from_open.is_empty());
    assert_eq!(free.limits(AssetClass::Crypto), Limits::nothing());
    for unasked in [
        request(&["AAPL"], Timeframe::H1, "2026-03-02T14:30:00Z", "2026-03-02T15:00:00Z"),
        request(&["AAPL", "MSFT"], Timeframe::M15, "2026-03-02T14:30:00Z", "2026-03-02T15:00:00Z"),
        request(&["BTC-USD"], Timeframe::M15, "2026-03-02T14:30:00Z", "2026-03-02T15:00:00Z"),
    ] {
        assert_eq!(free.bars(&unasked).await.unwrap_err().code(), "refused");
    }
    assert!(server.asked().is_empty());
}

/// Synthetic.
#[tokio::test]
async fn a_simulator_in_its_place_is_known_by_its_own_words() {
    let says =
        r#"{"name":"market-sim","earliest":"2021-05-03T00:00:00Z","requests_per_minute":1000,"delay_seconds":5}"#;
    let server = Server::answering_all(move |asked| match asked.path.as_str() {
        "/v1/market-sim" => Say::json(says),
        _ => Say::json(r#"{"status":"OK"}"#),
    })
    .await;
    let url = server.url.clone();
    let settings = MassiveSettings::from_lookup(|name| (name == "MASSIVE_API_URL").then(|| url.clone())).unwrap();
    assert!(settings.is_configured());
    let source =
        MassiveSource::connect_on(settings, clock("2026-11-20T18:00:00Z"), &InProcess::default()).await.unwrap();
    assert_eq!((source.endpoint().provider.as_str(), source.endpoint().simulated), ("market-sim", true));
    assert_eq!(source.limits(AssetClass::Stock).requests_per_minute, 1000);
    assert_eq!(source.bars(&days()).await.unwrap().provenance, "market-sim/massive");
}

/// Synthetic.
#[tokio::test]
async fn splits_and_dividends_are_asked_for_by_ex_date_and_come_in_order() {
    let server = Server::answering(|asked| match asked.path.as_str() {
        "/v3/reference/splits" => Say::json(
            r#"{"status":"OK","results":[{"execution_date":"2014-06-09","split_from":1,"split_to":7,"ticker":"AAPL"}]}"#,
        ),
        _ => Say::json(
            r#"{"status":"OK","results":[{"ex_dividend_date":"2014-05-08","cash_amount":3.29,"currency":"USD"},
               {"ex_dividend_date":"2014-05-09","cash_amount":1,"currency":"CAD"}]}"#,
        ),
    })
    .await;
    let source = source(&server, "free", "2026-11-20T18:00:00Z").await;
    let ticker: market::Ticker = "AAPL".parse().unwrap();
    let range = range("2014-05-01T04:00:00Z", "2014-07-01T04:00:00Z");
    let actions = source.actions(std::slice::from_ref(&ticker), range).await.unwrap().unwrap();
    let dividend = Action { ex_date: "2014-05-08".parse().unwrap(), kind: ActionKind::Dividend { amount: 3.29 } };
    let split = Action { ex_date: "2014-06-09".parse().unwrap(), kind: ActionKind::Split { new: 7.0, old: 1.0 } };
    assert_eq!(actions[&ticker], [dividend, split]);
    let asked = server.asked();
    let days = |n: usize, day: &str| {
        (asked[n].query[&format!("{day}.gte")].clone(), asked[n].query[&format!("{day}.lte")].clone())
    };
    assert_eq!(days(0, "execution_date"), ("2014-05-01".to_owned(), "2014-06-30".to_owned()));
    assert_eq!(days(1, "ex_dividend_date"), days(0, "execution_date"));
}

/// Synthetic.
#[tokio::test]
async fn assets_are_looked_up_and_listed_to_the_last_page() {
    let apple = r#"{"ticker":"AAPL","name":"Apple Inc.","market":"stocks","primary_exchange":"XNAS","active":true}"#;
    let warrant = r#"{"ticker":"ABC.WS.A.TOO.LONG.FOR.US","name":"","market":"stocks","active":true}"#;
    let preferred = r#"{"ticker":"AApL","name":"Something else","market":"stocks","active":true}"#;
    let server = Server::replaying(vec![
        Say::json(format!(r#"{{"results":{apple}}}"#)),
        Say::status(404, r#"{"status":"NOT_FOUND","message":"Ticker not found."}"#),
        Say::json(format!(
            r#"{{"results":[{warrant},{preferred}],"next_url":"https://api.polygon.io/v3/reference/tickers?cursor=x"}}"#
        )),
        Say::json(format!(r#"{{"results":[{apple}]}}"#)),
    ])
    .await;
    let source = source(&server, "free", "2026-11-20T18:00:00Z").await;
    let found = source.asset(&"AAPL".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!((found.name.as_str(), found.exchange.as_str(), found.active), ("Apple Inc.", "XNAS", true));
    assert_eq!(source.asset(&"NOPE".parse().unwrap()).await.unwrap(), None);
    assert_eq!(source.assets(AssetClass::Stock).await.unwrap(), Some(vec![found]));
    assert_eq!(source.assets(AssetClass::Crypto).await.unwrap(), None);
    assert_eq!(server.asked()[3].query["cursor"], "x");
}

#[test]
fn the_former_name_of_the_key_counts_too_and_no_key_shows() {
    let settings = |variable: &'static str, value: &'static str| {
        MassiveSettings::from_lookup(move |name| (name == variable).then(|| value.to_owned()))
    };
    for variable in ["MASSIVE_API_KEY", "POLYGON_API_KEY"] {
        let settings = settings(variable, KEY).unwrap();
        assert!(settings.is_configured() && !format!("{settings:?}").contains(KEY));
    }
    assert!(!settings("OTHER", "x").unwrap().is_configured());
    for (variable, value) in [
        ("MASSIVE_API_KEY", "no key"),
        ("MASSIVE_PLAN", "golden"),
        ("MASSIVE_API_URL", "http://api.massive.com"),
        ("MASSIVE_API_URL", "nowhere"),
    ] {
        let error = settings(variable, value).unwrap_err().to_string();
        assert!(error.starts_with(variable) && !error.contains(value), "{error}");
    }
}

/// Synthetic: the second month reaches into the day at hand.
#[tokio::test]
async fn months_before_the_day_at_hand_are_kept_where_that_is_refused() {
    let no =
        Say::status(403, r#"{"status":"NOT_AUTHORIZED","message":"Your plan doesn't include this data timeframe."}"#);
    let bar = Say::json(r#"{"results":[{"t":1791813600000,"o":1,"h":1,"l":1,"c":1,"v":1}]}"#);
    let server = Server::replaying(vec![bar, no, Say::json(r#"{"status":"OK"}"#)]).await;
    let weeks = request(&["AAPL"], Timeframe::M15, "2026-10-12T13:30:00Z", "2026-11-20T18:00:00Z");
    let pages = all_pages(&source(&server, "paid", "2026-11-20T18:00:00Z").await, &weeks).await;
    assert_eq!(pages.iter().map(|page| (page.bars.len(), page.complete.len())).collect::<Vec<_>>(), [(1, 0), (0, 1)]);
    assert_eq!(pages[1].answered, Some(range("2026-10-12T13:30:00Z", "2026-11-20T05:00:00Z")));
    let paths: Vec<_> = server.asked().into_iter().map(|asked| asked.path).collect();
    assert_eq!(paths.len(), 3);
    assert!(paths[2].ends_with("/1795150799999"), "up to New York's midnight: {paths:?}");
}
