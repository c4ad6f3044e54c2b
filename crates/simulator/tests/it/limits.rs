//! Requests a minute, the market's clock, and what is held back.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use simulator::{Clock, Settings, SimError, Simulator, Source};

use crate::server::{Server, at, made_up, starts};

const BARS: &str = "/v2/stocks/bars?symbols=AAPL&timeframe=1Day&start=2026-11-23&end=2026-11-24";

/// Which minute of the wall clock it is: limits go by it.
fn minute() -> i64 {
    Timestamp::now().as_second() / 60
}

#[tokio::test]
async fn one_request_too_many_in_a_minute_is_a_429_and_every_answer_says_what_is_left() {
    // Anew where a minute ends between the first request and the last.
    loop {
        let begun = minute();
        let server = Server::start(Settings { requests_per_minute: 3, ..made_up() }).await;
        let mut said = Vec::new();
        for path in [BARS, "/v2/assets/ZZTOP", "/nowhere", BARS, BARS] {
            let response = server.get(path).await;
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            said.push((status, headers, response.json::<serde_json::Value>().await.ok()));
        }
        if minute() != begun {
            continue;
        }
        for (n, (status, headers, body)) in said.into_iter().enumerate() {
            let header = |name: &str| headers[name].to_str().unwrap().parse::<i64>().unwrap();
            assert_eq!(header("x-ratelimit-limit"), 3);
            assert_eq!(header("x-ratelimit-remaining"), [2, 1, 0, 0, 0][n]);
            assert_eq!(header("x-ratelimit-reset"), (begun + 1) * 60);
            assert_eq!(status, [200, 404, 404, 429, 429][n]);
            if n > 2 {
                assert!(!headers.contains_key("retry-after"));
                assert_eq!(body, Some(json!({"message": "too many requests."})));
            }
        }
        let stats = server.simulator.stats();
        assert_eq!((stats.throttled, stats.total(), stats.busiest_minute), (2, 5, 5));
        assert_eq!((stats.to("/v2/stocks/bars"), stats.to("/v2/assets/{symbol}"), stats.to("other")), (3, 1, 1));
        return;
    }
}

#[tokio::test]
async fn nothing_later_than_the_markets_clock_is_sent_and_a_bar_forms_minute_by_minute() {
    // Twenty and a half minutes after a Tuesday's open.
    let now = at("2026-11-24T14:50:30Z");
    let early = Server::start(Settings { clock: Clock::by(move || now), ..made_up() }).await;
    let late = Server::start(made_up()).await;
    let path =
        |span: &str| format!("/v2/stocks/bars?symbols=SPY&timeframe={span}&start=2026-11-24T14:30:00Z&end=2027-01-01");
    let minutes = early.bars(&path("1Min")).await;
    assert_eq!(minutes["SPY"].len(), 20);
    assert_eq!(starts(&minutes["SPY"]).last(), Some(&"2026-11-24T14:49:00Z"));
    let all = late.bars(&format!("{}&limit=10000", path("1Min"))).await;
    assert_eq!(minutes["SPY"][..], all["SPY"][..20]);

    let forming = early.bars(&path("15Min")).await;
    let whole = late.bars(&path("15Min")).await;
    assert_eq!(starts(&forming["SPY"]), ["2026-11-24T14:30:00Z", "2026-11-24T14:45:00Z"]);
    assert_eq!(forming["SPY"][0], whole["SPY"][0]);
    assert_eq!(forming["SPY"][1]["o"], whole["SPY"][1]["o"]);
    assert_eq!(forming["SPY"][1]["c"], minutes["SPY"][19]["c"]);
    assert!(forming["SPY"][1]["v"].as_u64() < whole["SPY"][1]["v"].as_u64());
}

#[tokio::test]
async fn without_a_start_it_is_today_and_without_an_end_until_now() {
    let now = at("2026-11-24T15:00:00Z");
    let server = Server::start(Settings { clock: Clock::by(move || now), ..made_up() }).await;
    let bars = server.bars("/v2/stocks/bars?symbols=SPY&timeframe=15Min&limit=10000").await;
    assert_eq!(starts(&bars["SPY"]).last(), Some(&"2026-11-24T14:45:00Z"));
    assert!(starts(&bars["SPY"])[0] >= "2026-11-24T09:00:00Z");
    let bars = server.bars("/v1beta3/crypto/us/bars?symbols=BTC/USD&timeframe=1Hour").await;
    assert_eq!((bars["BTC/USD"].len(), starts(&bars["BTC/USD"])[0]), (15, "2026-11-24T00:00:00Z"));
}

#[tokio::test]
async fn the_newest_sip_bars_are_held_back_as_on_the_free_plan() {
    let now = at("2026-11-24T16:00:00Z");
    let delay = SignedDuration::from_mins(15);
    let server = Server::start(Settings { clock: Clock::by(move || now), delay, ..made_up() }).await;
    let path = |rest: &str| format!("/v2/stocks/bars?symbols=SPY&timeframe=1Min&start=2026-11-24T15:30:00Z&{rest}");
    let refused = (403, "subscription does not permit querying recent SIP data".to_owned());
    assert_eq!(server.refusal(&path("end=2026-11-24T15:46:00Z")).await, refused);
    assert_eq!(server.refusal(&path("feed=sip&end=2026-11-25")).await, refused);
    assert_eq!(server.bars(&path("end=2026-11-24T15:45:00Z")).await["SPY"].len(), 15);
    assert_eq!(server.bars(&path("feed=sip")).await["SPY"].len(), 15);
    assert_eq!(server.bars(&path("feed=delayed_sip&end=2026-11-24T16:00:00Z")).await["SPY"].len(), 15);
    assert_eq!(server.bars(&path("feed=iex&end=2026-11-24T16:00:00Z")).await["SPY"].len(), 30);
    let crypto =
        "/v1beta3/crypto/us/bars?symbols=BTC/USD&timeframe=15Min&start=2026-11-24T15:00:00Z&end=2026-11-24T16:00:00Z";
    assert_eq!(server.bars(crypto).await["BTC/USD"].len(), 4);
}

#[tokio::test]
async fn a_clock_that_starts_in_the_past_runs_on_from_there() {
    let clock = Clock::starting_at(at("2013-10-12T00:00:00Z"));
    // It shows no more than what has gone by, and goes on.
    let (began, first) = (Timestamp::now(), clock.now());
    let mut last = clock.now();
    while last == first {
        last = clock.now();
    }
    let passed = Timestamp::now().duration_since(began);
    assert!(first >= at("2013-10-12T00:00:00Z") && first < last && last.duration_since(first) <= passed);
}

#[tokio::test]
async fn every_answer_takes_at_least_the_latency() {
    let latency = Duration::from_millis(80);
    let server = Server::start(Settings { latency, ..made_up() }).await;
    let began = Instant::now();
    assert_eq!(server.get(BARS).await.status(), 200);
    assert!(began.elapsed() >= latency); // by the clock: at least, and a busy machine only makes it more
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let new = |change: fn(&mut Settings)| {
        let mut settings = Settings::new(Source::Synthetic);
        change(&mut settings);
        Simulator::new(settings).err()
    };
    assert!(matches!(new(|s| s.requests_per_minute = 0), Some(SimError::NoRequests)));
    assert!(matches!(new(|s| s.delay = SignedDuration::from_secs(-1)), Some(SimError::NegativeDelay(-1))));
    assert!(matches!(new(|s| s.source = Source::Folder("no/such/folder".into())), Some(SimError::Folder { .. })));
    assert!(matches!(
        new(|s| s.faults = vec!["hang=0.9".parse().unwrap(), "cut=0.2".parse().unwrap()]),
        Some(SimError::Faults(_))
    ));
    assert!(new(|_| {}).is_none());
}
