//! Pages, and that a bar is the same whichever way it is asked for.

use std::sync::OnceLock;

use proptest::prelude::*;
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::server::{Bars, Server, made_up, number, starts};

const WEEK: &str = "/v2/stocks/bars?symbols=MSFT,AAPL,BRK.B&start=2026-11-20T00:00:00Z&end=2026-11-27T00:00:00Z";

#[tokio::test]
async fn pages_of_any_size_add_up_to_the_one_page() {
    let server = Server::start(made_up()).await;
    let whole = server.bars(&format!("{WEEK}&timeframe=15Min&limit=10000")).await;
    assert_eq!(whole.keys().collect::<Vec<_>>(), ["AAPL", "BRK.B", "MSFT"]);
    let rows: usize = whole.values().map(Vec::len).sum();
    for limit in [1, 7, rows - 1, rows] {
        let (bars, pages) = server.all_pages(&format!("{WEEK}&timeframe=15Min&limit={limit}")).await;
        assert_eq!(bars, whole, "{limit} a page");
        assert_eq!(pages, rows.div_ceil(limit), "{limit} a page");
    }
}

#[tokio::test]
async fn the_limit_counts_rows_of_all_symbols_in_order() {
    let server = Server::start(made_up()).await;
    let (_, body) = server.json(&format!("{WEEK}&timeframe=1Min")).await;
    let page = body["bars"].as_object().unwrap();
    assert_eq!(page.values().map(|bars| bars.as_array().unwrap().len()).sum::<usize>(), 1_000);
    assert_eq!(page.keys().next().unwrap(), "AAPL");
    assert!(body["next_page_token"].is_string());
}

#[tokio::test]
async fn the_newest_come_first_on_request_and_are_the_same() {
    let server = Server::start(made_up()).await;
    for timeframe in ["1Min", "30Min", "5Hour", "1Day"] {
        let mut forwards = server.bars(&format!("{WEEK}&timeframe={timeframe}&limit=10000")).await;
        let (backwards, _) = server.all_pages(&format!("{WEEK}&timeframe={timeframe}&limit=97&sort=desc")).await;
        forwards.values_mut().for_each(|bars| bars.reverse());
        assert_eq!(backwards, forwards, "{timeframe}");
    }
}

#[tokio::test]
async fn both_ends_of_a_range_are_included() {
    let server = Server::start(made_up()).await;
    let path = "/v2/stocks/bars?symbols=AAPL&timeframe=15Min";
    let bars = server.bars(&format!("{path}&start=2026-11-24T14:30:00Z&end=2026-11-24T15:00:00Z")).await;
    assert_eq!(starts(&bars["AAPL"]), ["2026-11-24T14:30:00Z", "2026-11-24T14:45:00Z", "2026-11-24T15:00:00Z"]);
    let bars = server.bars(&format!("{path}&start=2026-11-24T14:30:00.5Z&end=2026-11-24T14:59:59.999999999Z")).await;
    assert_eq!(starts(&bars["AAPL"]), ["2026-11-24T14:45:00Z"]);
}

#[tokio::test]
async fn a_date_as_an_end_includes_that_day_in_new_york() {
    let server = Server::start(made_up()).await;
    let day = |span: &str| format!("/v2/stocks/bars?symbols=AAPL&timeframe={span}&start=2026-11-24&end=2026-11-24");
    assert_eq!(starts(&server.bars(&day("1Day")).await["AAPL"]), ["2026-11-24T05:00:00Z"]);
    let minutes = server.bars(&day("1Min")).await;
    let minutes = starts(&minutes["AAPL"]);
    assert!(
        minutes.first().unwrap().starts_with("2026-11-24T") && minutes.last().unwrap().starts_with("2026-11-25T00:")
    );
}

/// The sum of minutes, as a bar.
fn sum(start: &str, minutes: &[&Value]) -> Value {
    let numbers = |field: &'static str| minutes.iter().map(move |bar| number(bar, field));
    let mut bar = minutes[0].clone();
    bar["t"] = start.into();
    bar["h"] = numbers("h").fold(f64::MIN, f64::max).into();
    bar["l"] = numbers("l").fold(f64::MAX, f64::min).into();
    bar["c"] = minutes[minutes.len() - 1]["c"].clone();
    bar["v"] = numbers("v").sum::<f64>().into();
    bar["n"] = numbers("n").sum::<f64>().into();
    bar
}

fn same(ours: &Value, theirs: &Value) -> bool {
    let exactly = ["o", "h", "l", "c", "n"].iter().all(|field| number(ours, field) == number(theirs, field));
    exactly && ours["t"] == theirs["t"] && (number(ours, "v") - number(theirs, "v")).abs() < 1e-6
}

/// Coarse bars out of minutes: each minute goes to the last bar that starts at or before it.
fn coarse(minutes: &[Value], starts: &[&str]) -> Vec<Value> {
    let mut groups: Vec<Vec<&Value>> = vec![Vec::new(); starts.len()];
    for minute in minutes {
        let place = starts.partition_point(|start| *start <= minute["t"].as_str().unwrap());
        groups[place.checked_sub(1).expect("a bar for each minute")].push(minute);
    }
    starts.iter().zip(&groups).map(|(start, minutes)| sum(start, minutes)).collect()
}

#[tokio::test]
async fn a_coarse_bar_is_the_sum_of_its_minutes() {
    let server = Server::start(made_up()).await;
    for (path, symbol) in [
        ("/v2/stocks/bars?symbols=INTC&start=2026-11-02&end=2026-11-06", "INTC"),
        ("/v1beta3/crypto/us/bars?symbols=BTC/USD&start=2026-11-02&end=2026-11-08", "BTC/USD"),
    ] {
        let (minutes, _) = server.all_pages(&format!("{path}&timeframe=1Min&limit=10000")).await;
        for timeframe in ["5Min", "7Min", "15Min", "30Min", "1Hour", "4Hour", "5Hour", "1Day", "1Week"] {
            let bars = server.bars(&format!("{path}&timeframe={timeframe}&limit=10000")).await;
            let bars = &bars[symbol];
            let sums = coarse(&minutes[symbol], &starts(bars));
            assert!(bars.iter().zip(&sums).all(|(ours, theirs)| same(ours, theirs)), "{symbol} {timeframe}");
        }
    }
}

/// One server for all cases.
fn shared() -> &'static (Runtime, Server) {
    static SHARED: OnceLock<(Runtime, Server)> = OnceLock::new();
    SHARED.get_or_init(|| {
        let runtime = Runtime::new().unwrap();
        let server = runtime.block_on(Server::start(made_up()));
        (runtime, server)
    })
}

fn ask(path: &str) -> Bars {
    let (runtime, server) = shared();
    runtime.block_on(server.all_pages(path)).0
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_bar_is_the_same_through_any_page_symbol_list_and_range(
        symbol in prop::sample::select(vec!["AAPL", "F", "XYZW", "BRK.B"]),
        others in prop::sample::subsequence(vec!["AMD", "GE", "ZZZZ", "QQQ"], 0..4),
        timeframe in prop::sample::select(vec!["1Min", "7Min", "15Min", "2Hour", "1Day", "1Week", "3Month"]),
        start in 631_152_000_i64..1_795_000_000,
        hours in 1_i64..400,
        before in 0_i64..2_000,
        limit in 1_usize..2_000,
    ) {
        let limit = if timeframe == "1Min" { limit.max(300) } else { limit.max(20) };
        let instant = |second: i64| jiff::Timestamp::from_second(second).unwrap();
        let (from, to) = (instant(start), instant(start + hours * 3600));
        let path = |symbols: &str, from| {
            format!("/v2/stocks/bars?symbols={symbols}&timeframe={timeframe}&start={from}&end={to}")
        };
        let alone = ask(&format!("{}&limit=10000", path(symbol, from)));
        let symbols = [&others[..], &[symbol]].concat().join(",");
        let earlier = instant(start - before * 3600);
        let mut among = ask(&format!("{}&limit={limit}", path(&symbols, earlier)));
        let mut bars = among.remove(symbol).unwrap_or_default();
        bars.retain(|bar| bar["t"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap() >= from);
        prop_assert_eq!(bars, alone.get(symbol).cloned().unwrap_or_default());
        prop_assert!(!among.contains_key("ZZZZ"));
    }
}
