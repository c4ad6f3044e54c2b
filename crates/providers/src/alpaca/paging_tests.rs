//! Assembled pages, and pages that would never end.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests may panic")]

use proptest::prelude::*;

use super::*;

fn tickers(names: &[&str]) -> Vec<Ticker> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

fn day() -> Range {
    Range::new("2026-11-20T00:00:00Z".parse().unwrap(), "2026-11-21T00:00:00Z".parse().unwrap()).unwrap()
}

fn page(symbol: &str, starts: &[String], token: Option<&str>) -> BarsPage {
    let bars: Vec<_> = starts
        .iter()
        .map(|start| serde_json::json!({"t": start, "o": 1.0, "h": 1.0, "l": 1.0, "c": 1.0, "v": 1}))
        .collect();
    serde_json::from_value(serde_json::json!({"bars": {symbol: bars}, "next_page_token": token})).unwrap()
}

fn minute(n: i64) -> String {
    (day().from() + SignedDuration::from_mins(n)).to_string()
}

/// Adds pages until one fails; returns how many were accepted, and the error.
fn until_refused(mut pages: Pages, mut next: impl FnMut(i64) -> BarsPage) -> (i64, String) {
    for n in 0.. {
        match pages.add(next(n)) {
            Ok(added) => assert!(added.token.is_some()),
            Err(problem) => return (n, problem),
        }
        assert!(n < 100_000, "no end");
    }
    unreachable!()
}

#[test]
fn each_ticker_is_asked_for_once_in_a_fixed_order() {
    let pages = Pages::new(&tickers(&["MSFT", "AAPL", "MSFT", "BTC-USD"]), Timeframe::M15, day());
    assert_eq!(pages.symbols(), "AAPL,BTC/USD,MSFT");
}

#[test]
fn a_token_seen_before_is_a_circle_even_with_another_between() {
    let mut pages = Pages::new(&tickers(&["AAPL"]), Timeframe::M1, day());
    for (n, token) in [(0, "a"), (1, "b")] {
        assert_eq!(pages.add(page("AAPL", &[minute(n)], Some(token))).unwrap().token.as_deref(), Some(token));
    }
    assert!(pages.add(page("AAPL", &[minute(2)], Some("a"))).unwrap_err().contains("circle"));
}

#[test]
fn an_empty_token_is_refused() {
    let mut pages = Pages::new(&tickers(&["AAPL"]), Timeframe::M1, day());
    assert!(pages.add(page("AAPL", &[minute(0)], Some(""))).is_err());
}

#[test]
fn bars_of_a_symbol_not_asked_for_are_refused_by_name() {
    let mut pages = Pages::new(&tickers(&["AAPL"]), Timeframe::M1, day());
    assert!(pages.add(page("MSFT", &[], None)).unwrap_err().contains("MSFT"));
}

#[test]
fn empty_pages_with_ever_new_tokens_come_to_an_end() {
    let pages = Pages::new(&tickers(&["AAPL"]), Timeframe::M15, day());
    let (taken, problem) = until_refused(pages, |n| page("AAPL", &[], Some(&n.to_string())));
    assert_eq!(taken, 17);
    assert!(problem.contains("nothing new"), "{problem}");
}

#[test]
fn the_same_page_with_ever_new_tokens_comes_to_an_end() {
    let pages = Pages::new(&tickers(&["AAPL"]), Timeframe::M15, day());
    let (taken, _) = until_refused(pages, |n| page("AAPL", &[minute(0)], Some(&n.to_string())));
    assert_eq!(taken, 18);
}

#[test]
fn more_rows_than_the_range_can_hold_come_to_an_end() {
    let pages = Pages::new(&tickers(&["AAPL"]), Timeframe::M15, day());
    let (_, problem) = until_refused(pages, |n| {
        let starts: Vec<_> = (n * 500..(n + 1) * 500).map(minute).collect();
        page("AAPL", &starts, Some(&n.to_string()))
    });
    assert!(problem.contains("more than the range can hold"), "{problem}");
}

proptest! {
    #[test]
    fn every_bar_arrives_once_however_the_pages_are_cut(
        sizes in prop::collection::vec(0_i64..40, 1..20), empty_between in any::<bool>(),
    ) {
        let mut pages = Pages::new(&tickers(&["AAPL", "MSFT"]), Timeframe::M1, day());
        let mut expected = BTreeMap::<&str, Vec<String>>::new();
        let mut got = BTreeMap::<Ticker, Vec<String>>::new();
        let mut complete = Vec::new();
        let (mut from, mut token) = (0, 0_u32);
        let mut take = |added: Result<Added, String>| {
            let added = added.expect("a sound page");
            for (ticker, bars) in added.bars {
                assert!(!complete.contains(&ticker), "{ticker} was complete");
                got.entry(ticker).or_default().extend(bars.iter().map(|bar| bar.start.to_string()));
            }
            complete.extend(added.complete);
            (added.token, complete.len())
        };
        let mut send = |page_of: &str, starts: &[String]| {
            token += 1;
            take(pages.add(page(page_of, starts, Some(&token.to_string()))))
        };
        for (symbol, size) in ["AAPL", "MSFT"].into_iter().flat_map(|symbol| sizes.iter().map(move |size| (symbol, *size))) {
            let starts: Vec<_> = (from..from + size).map(minute).collect();
            from += size;
            // Empty pages are counted; their end has tests of its own.
            if size > 0 {
                send(symbol, &starts);
                expected.entry(symbol).or_default().extend(starts);
            }
        }
        if empty_between {
            send("AAPL", &[]);
        }
        let (begun, before_the_end) = (expected.len(), send("AAPL", &[]).1);
        prop_assert_eq!(before_the_end, begun.saturating_sub(1), "all but the one that may go on");
        prop_assert_eq!(take(pages.add(page("MSFT", &[], None))), (None, 2));
        prop_assert_eq!(got.len(), expected.len());
        for (symbol, starts) in expected {
            prop_assert_eq!(&got[&symbol.parse().unwrap()], &starts);
        }
    }
}

#[test]
fn a_symbol_is_complete_once_another_follows_and_never_comes_again() {
    let mut pages = Pages::new(&tickers(&["AAPL", "IBM", "MSFT"]), Timeframe::M1, day());
    let first = pages.add(page("AAPL", &[minute(0)], Some("a"))).unwrap();
    assert!(first.complete.is_empty(), "it may go on: {first:?}");
    let second = pages.add(page("MSFT", &[minute(0)], Some("b"))).unwrap();
    assert_eq!(second.complete, tickers(&["AAPL"]));
    let problem = pages.add(page("AAPL", &[minute(1)], Some("c"))).unwrap_err();
    assert!(problem.contains("AAPL once more"), "{problem}");

    let mut pages = Pages::new(&tickers(&["AAPL", "IBM", "MSFT"]), Timeframe::M1, day());
    pages.add(page("AAPL", &[minute(0)], Some("a"))).unwrap();
    let last = pages.add(page("MSFT", &[minute(0)], None)).unwrap();
    assert_eq!(last.complete, tickers(&["AAPL", "IBM", "MSFT"]), "those without a bar too");
}
