//! Synthetic: an answer is empty only when it says so. Anything else without bars, another ticker's bars and those of another
//! range are bad data, with the provider's words.

use providers::{BarSource, BarsRequest, FetchError};

use crate::{
    binance, coinbase, finnhub, massive,
    server::{Say, Server, any_request},
    tradier, yahoo,
};

const NOW: &str = "2026-11-20T22:00:00Z";

/// What nobody sends in place of bars: a status 200, and what the error has to quote of it.
const NO_ANSWERS: [(&str, &str); 9] = [
    ("{}", ""),
    ("null", ""),
    ("", ""),
    ("7", ""),
    (r#"{"status":"error","error":"Unknown symbol"}"#, "Unknown symbol"),
    (r#"{"message":"maintenance until noon"}"#, "maintenance until noon"),
    (r#""try again""#, "try again"),
    ("Service is down for maintenance", "Service is down for maintenance"),
    ("<!doctype html><title>Sign in</title>", "an HTML page"),
];

/// `empty` are read as no bars; all of `wrong` and of [`NO_ANSWERS`] are bad data.
async fn says_so<S: BarSource>(
    source: impl AsyncFn(&Server) -> S,
    request: BarsRequest,
    empty: &[&str],
    wrong: &[(&str, &str)],
) {
    for body in empty {
        let server = Server::replaying(vec![Say::json(*body)]).await;
        let fetched = source(&server).await.bars(&request).await.unwrap_or_else(|error| panic!("{body}: {error}"));
        assert!(fetched.bars.values().all(Vec::is_empty), "{body}");
        assert_eq!(fetched.answered, Some(request.range), "{body}");
    }
    for (body, words) in NO_ANSWERS.iter().chain(wrong) {
        if empty.contains(body) {
            continue;
        }
        let server = Server::replaying(vec![Say::json(*body)]).await;
        let read = source(&server).await.bars(&request).await;
        let Err(error) = read else { panic!("{body} is read as {read:?}") };
        assert!(matches!(error, FetchError::BadData { .. }), "{body}: {error:?}");
        assert!(error.to_string().contains(words), "{body}: {error}");
    }
}

#[tokio::test]
async fn alpaca() {
    says_so(
        async |server| server.source().await,
        any_request(),
        &[r#"{"bars":{},"next_page_token":null}"#, r#"{"bars":null,"next_page_token":null}"#],
        &[
            (r#"{"bars":{}}"#, "next_page_token"),
            (r#"{"next_page_token":null}"#, "bars"),
            (
                r#"{"bars":{"MSFT":[{"t":"2021-10-15T16:00:00Z","o":10,"h":12,"l":9,"c":11,"v":5}]},"next_page_token":null}"#,
                "MSFT",
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn massive() {
    says_so(
        async |server| massive::source(server, "paid", NOW).await,
        any_request(),
        &[
            r#"{"ticker":"AMZN","queryCount":0,"resultsCount":0,"adjusted":false,"status":"OK","request_id":"x"}"#,
            r#"{"status":"DELAYED","results":[],"resultsCount":0}"#,
            r#"{"status":"OK","results":null}"#,
        ],
        &[
            (r#"{"results":[]}"#, "resultsCount"),
            (r#"{"status":"NOT_FOUND","message":"no such thing"}"#, "no such thing"),
            (r#"{"status":"OK","resultsCount":3}"#, "resultsCount"),
            (
                r#"{"status":"OK","ticker":"MSFT","results":[{"t":1634313600000,"o":10,"h":12,"l":9,"c":11,"v":5}]}"#,
                "bars of MSFT where AMZN was asked for",
            ),
            (r#"{"status":"OK","ticker":"MSFT","resultsCount":0}"#, "MSFT"),
            (
                r#"{"status":"OK","results":[{"t":1600000000000,"o":10,"h":12,"l":9,"c":11,"v":5}]}"#,
                "bars of another range",
            ),
        ],
    )
    .await;
}

/// The last page of a list may be an empty object, the first one not.
#[tokio::test]
async fn an_empty_object_ends_massives_pages_and_does_not_begin_them() {
    let server = Server::answering(|asked| match asked.query.contains_key("cursor") {
        true => Say::json("{}"),
        false => Say::json(format!(
            r#"{{"status":"OK","results":[{{"t":1634313600000,"o":10,"h":12,"l":9,"c":11,"v":5}}],"next_url":"http://{}/v2/aggs?cursor=x"}}"#,
            "127.0.0.1"
        )),
    })
    .await;
    let fetched = massive::source(&server, "paid", NOW).await.bars(&any_request()).await.unwrap();
    assert_eq!(fetched.bars.values().map(Vec::len).sum::<usize>(), 1);
}

#[tokio::test]
async fn massives_lists_of_splits_are_empty_only_when_they_say_so() {
    let tickers = ["AMZN".parse().unwrap()];
    let of = async |body: &str| {
        let server = Server::replaying(vec![Say::json(body)]).await;
        massive::source(&server, "paid", NOW).await.actions(&tickers, any_request().range).await
    };
    assert!(of(r#"{"status":"OK","results":[]}"#).await.unwrap().unwrap().is_empty());
    for body in ["{}", r#"{"status":"OK","resultsCount":1}"#, r#"{"results":[]}"#] {
        assert!(matches!(of(body).await, Err(FetchError::BadData { .. })), "{body}");
    }
}

#[tokio::test]
async fn finnhub() {
    says_so(
        async |server| finnhub::source(server).await,
        finnhub::quarters(),
        &[r#"{"s":"no_data"}"#, r#"{"s":"no_data","t":[]}"#],
        &[
            (r#"{"s":"ok"}"#, "none"),
            (r#"{"s":"ok","t":[],"o":[],"h":[],"l":[],"c":[],"v":[]}"#, "none"),
            (r#"{"s":"no_data","t":[1795185000],"o":[1],"h":[1],"l":[1],"c":[1],"v":[1]}"#, "no_data"),
            (r#"{"s":"ok","t":[1495185000],"o":[1],"h":[1],"l":[1],"c":[1],"v":[1]}"#, "bars of another range"),
        ],
    )
    .await;
}

#[tokio::test]
async fn tradier() {
    says_so(
        async |server| tradier::source(server).await,
        tradier::quarters(),
        &[r#"{"series":null}"#],
        &[
            (r#"{"series":{}}"#, "data"),
            (r#"{"series":{"data":null}}"#, ""),
            (r#"{"history":null}"#, "series"),
            (r#"{"fault":{"faultstring":"Rate limit quota violation"}}"#, "Rate limit quota violation"),
            (
                r#"{"series":{"data":{"timestamp":1495185000,"open":10,"high":12,"low":9,"close":11,"volume":5}}}"#,
                "bars of another range",
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn yahoo() {
    let chart = |symbol: &str, rest: &str| {
        format!(
            r#"{{"chart":{{"error":null,"result":[{{"meta":{{"symbol":"{symbol}","firstTradeDate":831562200,
            "dataGranularity":"15m"}},"indicators":{{"quote":[{{{rest}}}]}}}}]}}}}"#
        )
    };
    let lists = r#""open":[10],"high":[12],"low":[9],"close":[11],"volume":[5]"#;
    let other_range = chart("BRK-B", lists).replace(r#""indicators""#, r#""timestamp":[1495185300],"indicators""#);
    says_so(
        async |server| yahoo::source(server, NOW).await,
        yahoo::quarters(),
        &[&chart("BRK-B", "")],
        &[
            (&chart("MSFT", ""), "a chart of MSFT where BRK.B was asked for"),
            (
                r#"{"chart":{"result":null,"error":{"code":"Internal Server Error","description":"try again later"}}}"#,
                "try again later",
            ),
            (r#"{"chart":{"result":[],"error":null}}"#, "not one chart"),
            (r#"{"chart":{"result":null,"error":null}}"#, "not one chart"),
            (&other_range, "bars of another range"),
        ],
    )
    .await;
}

#[tokio::test]
async fn binance() {
    says_so(
        async |server| binance::source(server).await,
        binance::minutes(),
        &["[]"],
        &[
            (r#"{"code":0,"msg":"Success, and nothing"}"#, "Success, and nothing"),
            (r#"[[1434943780000,"10","12","9","11","5",1634943839999,"1",1,"1","1","0"]]"#, "bars of another range"),
        ],
    )
    .await;
}

#[tokio::test]
async fn coinbase() {
    says_so(
        async |server| coinbase::source(server).await,
        coinbase::hours(),
        &["[]"],
        &[("[[]]", ""), ("[[1410334800,9,12,10,11,5]]", "bars of another range")],
    )
    .await;
}

/// What each provider declares is what people read.
#[test]
fn the_table_of_empty_answers_is_that_of_the_providers() {
    let path = format!("{}/../../docs/data-quality.md", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    for candidate in providers::registry::all(|_| None).unwrap() {
        let row = format!("| {} | {} |", candidate.name(), candidate.empty_answer());
        assert!(text.contains(&row), "docs/data-quality.md has no row {row}");
    }
}
