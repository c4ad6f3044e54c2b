//! Synthetic: one number that is none costs its own bar and no other, whoever sends it and however it is written.

use market::{BarDefect, Timeframe};
use providers::{BarSource, BarsRequest};

use crate::{
    binance, coinbase, finnhub, massive,
    server::{Say, Server, any_request, request},
    tradier, yahoo,
};

/// What takes the place of `OPEN`, the first bar's, in an answer of two bars.
const NO_NUMBERS: [&str; 6] = ["NaN", "-Infinity", "Infinity", "null", "\"n/a\"", "\"\""];
const NUMBERS: [&str; 3] = ["10", "10.0", "\"10\""];

const NOW: &str = "2026-11-20T22:00:00Z";

/// The defects of both bars, oldest first.
async fn defects(source: &dyn BarSource, request: &BarsRequest) -> Vec<Option<BarDefect>> {
    let fetched = source.bars(request).await.unwrap();
    fetched.bars.values().flatten().map(|bar| bar.check().err()).collect()
}

/// An answer of `body` for each way to write the first bar's open.
async fn costs_one_bar<S: BarSource>(source: impl AsyncFn(&Server) -> S, request: BarsRequest, body: &str) {
    for (written, first) in
        NO_NUMBERS.map(|open| (open, Some(BarDefect::Price))).into_iter().chain(NUMBERS.map(|open| (open, None)))
    {
        let server = Server::replaying(vec![Say::json(body.replace("OPEN", written))]).await;
        let source = source(&server).await;
        assert_eq!(defects(&source, &request).await, [first, None], "{} for the open", written);
    }
}

#[tokio::test]
async fn alpaca() {
    let body = r#"{"bars":{"AMZN":[{"t":"2021-10-15T16:00:00Z","o":OPEN,"h":12,"l":9,"c":11,"v":5},
        {"t":"2021-10-15T16:15:00Z","o":10,"h":12,"l":9,"c":11,"v":5,"vw":NaN}]},"next_page_token":null}"#;
    costs_one_bar(async |server| server.source().await, any_request(), body).await;
}

#[tokio::test]
async fn massive() {
    let body = r#"{"status":"OK","results":[{"t":1634313600000,"o":OPEN,"h":12,"l":9,"c":11,"v":5},
        {"t":1634314500000,"o":10,"h":12,"l":9,"c":11,"v":5,"n":"7","a":NaN}]}"#;
    costs_one_bar(async |server| massive::source(server, "paid", NOW).await, any_request(), body).await;
}

#[tokio::test]
async fn finnhub() {
    let body = r#"{"s":"ok","t":[1795185000,1795185900],"o":[OPEN,10],"h":[12,12],"l":[9,9],"c":[11,11],"v":[5,5]}"#;
    costs_one_bar(async |server| finnhub::source(server).await, finnhub::quarters(), body).await;
}

#[tokio::test]
async fn tradier() {
    let body = r#"{"series":{"data":[{"timestamp":1795185000,"open":OPEN,"high":12,"low":9,"close":11,"volume":5},
        {"timestamp":1795185900,"open":10,"high":12,"low":9,"close":11,"volume":5,"vwap":"NaN"}]}}"#;
    costs_one_bar(async |server| tradier::source(server).await, tradier::quarters(), body).await;
}

#[tokio::test]
async fn yahoo() {
    let body = r#"{"chart":{"error":null,"result":[{"timestamp":[1795185000,1795185900],
        "meta":{"symbol":"BRK-B","firstTradeDate":831562200,"dataGranularity":"15m"},"indicators":{"quote":[
        {"open":[OPEN,10],"high":[12,12],"low":[9,9],"close":[11,11],"volume":[5,5]}]}}]}}"#;
    costs_one_bar(async |server| yahoo::source(server, NOW).await, yahoo::quarters(), body).await;
}

#[tokio::test]
async fn binance() {
    let body = r#"[[1634943780000,OPEN,"12","9","11","5",1634943839999,"1",1,"1","1","0"],
        [1634943840000,"10","12","9","11","5",1634943899999,"1",1,"1","1","0"]]"#;
    costs_one_bar(async |server| binance::source(server).await, binance::minutes(), body).await;
}

#[tokio::test]
async fn coinbase() {
    let hours = request(&["BTC-USDT"], Timeframe::H1, "2024-03-13T12:00:00Z", "2024-03-13T14:00:00Z");
    let body = "[[1710334800,9,12,10,11,5],[1710331200,9,12,OPEN,11,5]]";
    costs_one_bar(async |server| coinbase::source(server).await, hours, body).await;
}
