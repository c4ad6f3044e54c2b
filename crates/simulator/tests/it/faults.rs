//! Faults on request, each as a client meets it.

use std::time::Duration;

use market::Bar;
use serde_json::Value;
use simulator::Fault;

use crate::server::{Server, made_up, number, starts};

const BARS: &str = "/v2/stocks/bars?symbols=AAPL,MSFT&timeframe=15Min&start=2026-11-24&end=2026-11-25&limit=50";

async fn faulty(fault: &str) -> Server {
    let server = Server::start(made_up()).await;
    server.simulator.set_faults(vec![fault.parse::<Fault>().unwrap()]).unwrap();
    server
}

fn bars(body: &Value) -> Vec<Vec<Value>> {
    body["bars"].as_object().unwrap().values().map(|bars| bars.as_array().unwrap().clone()).collect()
}

#[tokio::test]
async fn throttling_says_how_long_to_wait() {
    let server = faulty("throttle:30=1").await;
    let response = server.get(BARS).await;
    assert_eq!((response.status().as_u16(), &response.headers()["retry-after"]), (429, &"30".parse().unwrap()));
    assert!(response.headers().contains_key("x-ratelimit-remaining"));
    assert_eq!(response.json::<Value>().await.unwrap()["message"], "too many requests.");
    assert_eq!(server.simulator.stats().throttled, 1);
    assert_eq!(server.ask("/v1/market-sim", None).await.unwrap().status(), 200);
}

#[tokio::test]
async fn server_errors_come_in_four_kinds_and_end_when_switched_off() {
    let server = faulty("5xx=1").await;
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(server.get(BARS).await.status().as_u16());
    }
    seen.sort_unstable();
    assert_eq!(seen, [500, 502, 503, 504]);
    server.simulator.set_faults(Vec::new()).unwrap();
    assert_eq!(server.get(BARS).await.status(), 200);
}

#[tokio::test]
async fn a_request_that_hangs_ends_when_the_simulator_stops() {
    let server = faulty("hang=1").await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.get(server.url(BARS)).header("APCA-API-KEY-ID", "a").header("APCA-API-SECRET-KEY", "b");
    let hanging = tokio::spawn(request.send());
    while server.simulator.stats().total() == 0 {
        tokio::task::yield_now().await;
    }
    // Others are answered meanwhile.
    server.simulator.set_faults(Vec::new()).unwrap();
    assert_eq!(server.get(BARS).await.status(), 200);
    assert!(!hanging.is_finished());
    assert!(server.stop().await.is_ok());
    assert!(tokio::time::timeout(Duration::from_secs(180), hanging).await.is_ok());
}

#[tokio::test]
async fn an_answer_that_is_cut_off_breaks_in_the_body() {
    let server = faulty("cut=1").await;
    let error = match server.ask(BARS, Some(("id", "secret"))).await {
        Ok(response) => response.bytes().await.unwrap_err(),
        Err(error) => error,
    };
    assert!(!error.is_timeout(), "{error}");
}

#[tokio::test]
async fn malformed_json_arrives_whole_with_status_200() {
    let server = faulty("malformed=1").await;
    let response = server.get(BARS).await;
    assert_eq!(response.status(), 200);
    let body = response.bytes().await.unwrap();
    assert!(serde_json::from_slice::<Value>(&body).unwrap_err().is_eof());
}

#[tokio::test]
async fn spoilt_bars_are_what_they_are_called() {
    let server = faulty("duplicate=1").await;
    for bars in bars(&server.json(BARS).await.1) {
        assert_eq!(bars[bars.len() - 1], bars[bars.len() - 2]);
    }
    let server = faulty("unsorted=1").await;
    for bars in bars(&server.json(BARS).await.1) {
        assert!(!starts(&bars).is_sorted());
    }
    let server = faulty("insane=1").await;
    for bars in bars(&server.json(BARS).await.1) {
        let defects = bars.iter().filter(|bar| {
            let [open, high, low, close, volume] = ["o", "h", "l", "c", "v"].map(|field| number(bar, field));
            let start = bar["t"].as_str().unwrap().parse().unwrap();
            Bar { start, open, high, low, close, volume, vwap: None, trade_count: None }.check().is_err()
        });
        assert_eq!(defects.count(), 1);
    }
}

#[tokio::test]
async fn short_and_empty_pages_lead_to_all_bars() {
    let (whole, pages) = Server::start(made_up()).await.all_pages(BARS).await;
    for fault in ["short=1", "empty=1", "short=0.5", "empty=0.5"] {
        let (all, more_pages) = faulty(fault).await.all_pages(BARS).await;
        assert_eq!(all, whole, "{fault}");
        assert!(more_pages > pages, "{fault}: {more_pages} pages");
    }
    let (_, first) = faulty("empty=1").await.json(BARS).await;
    assert_eq!(first["bars"], serde_json::json!({}));
    assert!(first["next_page_token"].is_string());
    let (all, _) = faulty("empty=1").await.all_pages(&format!("{BARS}&sort=desc")).await;
    assert_eq!(all.values().map(Vec::len).sum::<usize>(), whole.values().map(Vec::len).sum::<usize>());
}

#[tokio::test]
async fn half_of_the_requests_are_hit_in_any_run() {
    let server = faulty("5xx=0.5").await;
    let mut refused = 0;
    for _ in 0..40 {
        refused += u32::from(server.get(BARS).await.status().is_server_error());
    }
    assert!((19..=21).contains(&refused), "{refused} of 40");
}
