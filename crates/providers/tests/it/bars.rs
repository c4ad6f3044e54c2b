//! What is asked for bars, and what becomes of the answers.

use std::collections::BTreeMap;

use market::{Bar, Ticker, Timeframe};
use providers::{BarSource, FetchError, alpaca::Feed};
use serde_json::{Value, json};

use crate::server::{
    Asked, KEY_ID, SECRET_KEY, Say, Server, answers, any_request, connect, paged_answers, range, request,
};

fn pairs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// The bars of pages by canonical ticker, read without our code.
fn bars_of(pages: &[&str]) -> BTreeMap<Ticker, Vec<Bar>> {
    let mut all = BTreeMap::<Ticker, Vec<Bar>>::new();
    for page in pages {
        let page: Value = serde_json::from_str(page).unwrap();
        for (symbol, bars) in page["bars"].as_object().unwrap() {
            let bars = bars.as_array().unwrap().iter().map(|bar| Bar {
                start: bar["t"].as_str().unwrap().parse().unwrap(),
                open: bar["o"].as_f64().unwrap(),
                high: bar["h"].as_f64().unwrap(),
                low: bar["l"].as_f64().unwrap(),
                close: bar["c"].as_f64().unwrap(),
                volume: bar["v"].as_f64().unwrap(),
                vwap: bar["vw"].as_f64(),
                trade_count: bar["n"].as_i64(),
            });
            all.entry(symbol.replace('/', "-").parse().unwrap()).or_default().extend(bars);
        }
    }
    all
}

/// A synthetic page of one-minute bars of AAPL that start at these minutes of 2021-10-15 14:00Z.
fn page(minutes: &[u32], token: Option<&str>) -> Say {
    let bars: Vec<_> = minutes
        .iter()
        .map(|n| json!({"t": format!("2021-10-15T14:{n:02}:00Z"), "o": 1.5, "h": 1.5, "l": 1.5, "c": 1.5, "v": 1}))
        .collect();
    let bars = if bars.is_empty() { json!({}) } else { json!({"AAPL": bars}) };
    Say::json(json!({"bars": bars, "next_page_token": token}).to_string())
}

fn aapl_minutes() -> providers::BarsRequest {
    request(&["AAPL"], Timeframe::M1, "2021-10-15T14:00:00Z", "2021-10-15T15:00:00Z")
}

#[tokio::test]
async fn stock_bars_arrive_as_sent_and_the_question_is_exactly_this() {
    for body in answers("alpaca/stock_bars.json", "alpaca/go__TestGetBars.json") {
        let server = Server::replaying(vec![Say::json(&body)]).await;
        let fetched = server.source().await.bars(&any_request()).await.unwrap();
        assert_eq!(fetched.bars, bars_of(&[&body]));
        assert!(fetched.bars.values().map(Vec::len).sum::<usize>() >= 4);
        assert_eq!(fetched.answered, Some(any_request().range));
        assert_eq!((fetched.provenance.as_str(), fetched.requests), ("alpaca/sip", 1));
        let [asked]: [Asked; 1] = server.asked().try_into().unwrap();
        assert_eq!(asked.path, "/v2/stocks/bars");
        assert_eq!(
            asked.query,
            pairs(&[
                ("symbols", "AMZN"),
                ("timeframe", "15Min"),
                ("start", "2021-10-15T16:00:00Z"),
                ("end", "2021-10-15T17:14:59.999999999Z"),
                ("limit", "10000"),
                ("adjustment", "raw"),
                ("feed", "sip"),
                ("sort", "asc"),
            ])
        );
        assert_eq!(asked.headers["apca-api-key-id"], KEY_ID);
        assert_eq!(asked.headers["apca-api-secret-key"], SECRET_KEY);
    }
}

#[tokio::test]
async fn bars_of_several_symbols_come_in_one_request() {
    for body in answers("alpaca/several_stocks.json", "alpaca/go__TestGetMultiBars.json") {
        let server = Server::replaying(vec![Say::json(&body)]).await;
        let request = request(&["NIO", "AAPL"], Timeframe::D1, "2021-10-13T00:00:00Z", "2021-10-16T00:00:00Z");
        let fetched = server.source().await.bars(&request).await.unwrap();
        assert_eq!(fetched.bars, bars_of(&[&body]));
        assert_eq!(fetched.bars.len(), 2);
        let asked = server.asked();
        assert_eq!(asked.len(), 1);
        assert_eq!((asked[0].query["symbols"].as_str(), asked[0].query["timeframe"].as_str()), ("AAPL,NIO", "1Day"));
    }
}

#[tokio::test]
async fn crypto_goes_out_with_a_slash_and_comes_back_canonical() {
    for body in answers("alpaca/crypto_bars.json", "alpaca/alpaca-py__test_get_crypto_bars.json") {
        let server = Server::replaying(vec![Say::json(&body)]).await;
        let request = request(&["BTC-USD", "ETH-USD"], Timeframe::H4, "2022-03-09T00:00:00Z", "2022-03-10T00:00:00Z");
        let mut settings = server.settings();
        (settings.key_id, settings.secret_key) = (None, None);
        let fetched = connect(settings).await.bars(&request).await.unwrap();
        assert_eq!(fetched.bars, bars_of(&[&body]));
        assert!(fetched.bars.contains_key(&"BTC-USD".parse().unwrap()));
        assert_eq!(fetched.provenance, "alpaca/us");
        let asked = &server.asked()[0];
        assert_eq!(asked.path, "/v1beta3/crypto/us/bars");
        assert_eq!(
            asked.query,
            pairs(&[
                ("symbols", "BTC/USD,ETH/USD"),
                ("timeframe", "4Hour"),
                ("start", "2022-03-09T00:00:00Z"),
                ("end", "2022-03-09T23:59:59.999999999Z"),
                ("limit", "10000"),
                ("sort", "asc"),
            ])
        );
        assert!(!asked.headers.contains_key("apca-api-key-id"), "crypto needs no keys");
    }
}

#[tokio::test]
async fn fractional_volumes_keep_every_digit() {
    let firsts = [(0.000_483_71, 301.281_709_46), (3.679_602_85, 679.632_444_973_1)];
    let bodies = answers("alpaca/fractional_volumes.json", "alpaca/go__TestGetCryptoBars.json");
    for (body, (volume, vwap)) in bodies.into_iter().zip(firsts) {
        let server = Server::replaying(vec![Say::json(&body)]).await;
        let request = request(&["BCH-USD"], Timeframe::M1, "2021-11-11T11:11:00Z", "2021-11-11T11:22:00Z");
        let fetched = server.source().await.bars(&request).await.unwrap();
        assert_eq!(fetched.bars, bars_of(&[&body]));
        let bars = &fetched.bars[&"BCH-USD".parse().unwrap()];
        assert_eq!((bars[0].volume, bars[0].vwap), (volume, Some(vwap)));
    }
}

#[tokio::test]
async fn pages_are_followed_by_their_tokens_to_the_null() {
    let own = ["alpaca/page_1.json", "alpaca/page_2.json", "alpaca/no_bars.json"];
    let others = ["go__TestGetBars_Asof", "go__TestGetBars_Asof_1", "alpaca-py__test_get_bars_multi_empty_response"]
        .map(|name| format!("alpaca/{name}.json"));
    for bodies in paged_answers(&own, &others.each_ref().map(String::as_str)) {
        let server = Server::replaying(bodies.iter().map(Say::json).collect()).await;
        let request = request(&["META"], Timeframe::D1, "2022-06-08T00:00:00Z", "2022-06-14T00:00:00Z");
        let fetched = server.source().await.bars(&request).await.unwrap();
        assert_eq!(fetched.bars, bars_of(&[&bodies[0], &bodies[1]]));
        assert_eq!((fetched.bars.len(), fetched.requests), (1, 3));
        let asked = server.asked();
        let tokens: Vec<_> = asked.iter().map(|asked| asked.query.get("page_token").cloned()).collect();
        let token = |body: &String| {
            let page: Value = serde_json::from_str(body).unwrap();
            page["next_page_token"].as_str().map(str::to_owned)
        };
        let (first, second) = (token(&bodies[0]), token(&bodies[1]));
        assert!(first.is_some() && second.is_some() && token(&bodies[2]).is_none());
        assert_eq!(tokens, [None, first, second]);
        for asked in &asked {
            let rest: BTreeMap<_, _> = asked.query.iter().filter(|(name, _)| *name != "page_token").collect();
            assert_eq!(rest, server.asked()[0].query.iter().collect(), "all else stays");
        }
    }
}

#[tokio::test]
async fn an_empty_answer_is_an_answer() {
    for body in answers("alpaca/no_bars.json", "alpaca/alpaca-py__test_get_bars_multi_empty_response.json") {
        let server = Server::replaying(vec![Say::json(body)]).await;
        let fetched = server.source().await.bars(&any_request()).await.unwrap();
        assert!(fetched.bars.is_empty());
        assert_eq!(fetched.answered, Some(any_request().range));
    }
}

/// Synthetic.
#[tokio::test]
async fn short_and_empty_pages_with_a_token_are_not_the_end() {
    let pages = vec![
        page(&[0, 1], Some("a")),
        page(&[], Some("b")),
        Say::json(r#"{"bars":null,"next_page_token":"c"}"#),
        page(&[30], None),
    ];
    let server = Server::replaying(pages).await;
    let fetched = server.source().await.bars(&aapl_minutes()).await.unwrap();
    assert_eq!((fetched.bars[&"AAPL".parse().unwrap()].len(), fetched.requests), (3, 4));
}

/// Synthetic.
#[tokio::test]
async fn a_token_that_repeats_itself_is_bad_data_and_ends_the_asking() {
    let server = Server::replaying(vec![page(&[0], Some("again"))]).await;
    let error = server.source().await.bars(&aapl_minutes()).await.unwrap_err();
    assert!(matches!(&error, FetchError::BadData { message, .. } if message.contains("next_page_token")), "{error}");
    assert_eq!(server.asked().len(), 2);
}

/// Synthetic.
#[tokio::test]
async fn endless_pages_with_ever_new_tokens_are_bad_data() {
    let server = Server::answering(|asked| {
        let n: u32 = asked.query.get("page_token").map_or(0, |token| token.parse().unwrap());
        page(&[0], Some(&(n + 1).to_string()))
    })
    .await;
    let error = server.source().await.bars(&aapl_minutes()).await.unwrap_err();
    assert!(matches!(error, FetchError::BadData { .. }), "{error}");
    assert!(server.asked().len() < 30, "{} pages", server.asked().len());
}

/// Synthetic.
#[tokio::test]
async fn the_iex_feed_is_asked_for_and_stands_in_the_provenance() {
    let server = Server::replaying(vec![Say::no_bars()]).await;
    let mut settings = server.settings();
    settings.feed = Some(Feed::Iex);
    let fetched = connect(settings).await.bars(&any_request()).await.unwrap();
    assert_eq!(fetched.provenance, "alpaca/iex");
    assert_eq!(server.asked()[0].query["feed"], "iex");
}

#[tokio::test]
async fn what_may_not_be_asked_is_refused_before_it_costs_a_request() {
    let server = Server::replaying(vec![Say::no_bars()]).await;
    let source = server.source().await;
    let many: Vec<_> = (0..101).map(|n| format!("T{n}")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    let (from, to) = ("2021-10-13T00:00:00Z", "2021-10-16T00:00:00Z");
    for request in [
        request(&[], Timeframe::M15, from, to),
        request(&many, Timeframe::M15, from, to),
        request(&["AAPL", "BTC-USD"], Timeframe::M15, from, to),
        request(&["AAPL"], Timeframe::H1, from, to),
        request(&["AAPL"], Timeframe::W1, from, to),
    ] {
        let error = source.bars(&request).await.unwrap_err();
        assert!(matches!(&error, FetchError::Refused { tickers, .. } if *tickers == request.tickers), "{error}");
    }
    assert!(server.asked().is_empty());
    assert_eq!(range(from, to), request(&[], Timeframe::M15, from, to).range);
}
