//! A provider that fails now and then, in every way there is: what is stored in the end is what an undisturbed run stores.

use engine::dispatch::{Claimed, Scope, execute};
use market::Bar;
use simulator::Fault;

use crate::stages::{Bench, NOON, USUAL, claimed, ticker};

const SYMBOLS: [&str; 2] = ["KO", "PEP"];

/// More rounds of planning and fetching than any of the faults needs.
const ROUNDS: usize = 20;

/// Everything stored of the symbols: their bars, and whether each is final.
type Stored = Vec<(String, Bar, bool)>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_fails_now_and_then_the_bars_are_those_of_an_undisturbed_run() {
    let undisturbed = interested(&SYMBOLS).await;
    work_until_complete(&undisturbed, &SYMBOLS, "nothing").await;
    let (expected, requests) = (stored(&undisturbed).await, undisturbed.requests());
    assert!(expected.len() > 1_000);

    // Those of the second column cost requests: how it is known that they happened. The others befall every answer.
    let trials = [
        ("throttle=0.4", true),
        ("5xx=0.4", true),
        ("cut=0.4", true),
        ("malformed=0.4", true),
        // Bars outside the sessions may be as they like, and many of these are.
        ("insane=0.2", false),
        ("short=0.9", true),
        ("empty=0.9", true),
        ("duplicate=1", false),
        ("stray=0.5", false),
        ("unsorted=1", false),
        ("nan=0.4", false),
        ("off-grid=0.4", false),
        ("contradiction=0.4", false),
        ("words=0.4", true),
        ("foreign=0.4", true),
        (
            "throttle=0.1 5xx=0.06 cut=0.06 malformed=0.06 insane=0.06 short=0.15 empty=0.15 duplicate=0.15 unsorted=0.15",
            true,
        ),
    ];
    for (faults, costs) in trials {
        let bench = interested(&SYMBOLS).await;
        bench.simulator.set_faults(faults.split_whitespace().map(|fault| fault.parse().unwrap()).collect()).unwrap();
        // Which requests faults fall on follows from their number: one that certainly has one goes first.
        let first: Fault = faults.split_whitespace().next().unwrap().parse().unwrap();
        bench.simulator.set_next_faults([Some(first.kind)]);
        work_until_complete(&bench, &SYMBOLS, faults).await;
        same(&expected, &stored(&bench).await, faults);
        let stats = bench.simulator.stats();
        assert!(stats.faulted("/v2/stocks/bars") > 0, "{faults}: no request for bars met a fault");
        assert!(!costs || bench.requests() > requests, "{faults}: {} requests, {requests} without", bench.requests());
    }
}

/// A bar outside of the requested range is quarantined, counts as a failure of its provider, and all else is stored.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bars_outside_of_the_requested_range_are_kept_apart_and_told_and_all_else_is_stored() {
    let bench = Bench::at(NOON).await;
    bench.simulator.set_faults(vec!["stray=1".parse().unwrap()]).unwrap();
    bench.track(&["KO"], &USUAL).await;
    work_until_complete(&bench, &["KO"], "stray").await;
    assert_eq!(bench.count("ohlc_bars_v2 where ts <= '2024-06-01'").await, 0);
    let apart: Vec<(String, String)> = bench.rows("select symbol, reason from barkeep.quarantined_bars").await;
    let says = |(symbol, reason): &(String, String)| symbol == "KO" && reason.contains("out of range");
    assert!(!apart.is_empty() && apart.iter().all(says), "{apart:?}");
    let told: Vec<(Option<String>,)> = bench.rows("select last_error from barkeep.provider_health").await;
    assert!(told[0].0.as_ref().is_some_and(|told| told.contains("bars outside of the requested range")), "{told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_never_comes_right_ends_with_its_reason_and_stores_nothing() {
    let bench = Bench::at(NOON).await;
    bench.simulator.set_faults(vec!["malformed=1".parse().unwrap()]).unwrap();
    bench.track(&["KO"], &USUAL).await;
    bench.plan().await;
    for _ in 0..5 {
        bench.end_waits().await;
        bench.work_off().await;
    }
    let runs = bench.runs().await;
    assert!(!runs.is_empty());
    assert!(runs.iter().all(|run| (run.status.as_str(), run.failures) == ("failed", 5)), "{runs:?}");
    let series = store::coverage::of_symbol(&bench.database, None, &ticker("KO")).await.unwrap();
    for series in series.iter().filter(|series| USUAL.contains(&series.timeframe)) {
        assert_eq!(series.state, "failing", "{series:?}");
        assert!(series.reason.as_ref().is_some_and(|given| given.contains("can't read")), "{series:?}");
    }
    assert_eq!(bench.count("ohlc_bars_v2").await, 0);
}

/// Somebody wants a month of these symbols.
async fn interested(symbols: &[&str]) -> Bench {
    let bench = Bench::at(NOON).await;
    bench.track(symbols, &USUAL).await;
    bench.sql("update job_definitions set window_days = 30 where enabled").await;
    bench
}

/// Plans and fetches, without any waits, until all series are complete.
async fn work_until_complete(bench: &Bench, symbols: &[&str], faults: &str) {
    for _ in 0..ROUNDS {
        bench.make_due().await;
        bench.plan().await;
        bench.end_waits().await;
        while let Claimed::Pack(pack) = claimed(&bench.engine).await {
            execute(&bench.engine, pack, &Scope::All).await;
        }
        let mut complete = true;
        for symbol in symbols {
            let series = store::coverage::of_symbol(&bench.database, None, &ticker(symbol)).await.unwrap();
            complete &= series.iter().all(|series| !USUAL.contains(&series.timeframe) || series.state == "complete");
        }
        if complete {
            return;
        }
    }
    panic!("{faults}: {:?} after {ROUNDS} rounds", bench.runs().await);
}

async fn stored(bench: &Bench) -> Stored {
    let mut stored = Vec::new();
    for symbol in SYMBOLS {
        for timeframe in USUAL {
            let bars = bench.bars(symbol, timeframe).await;
            stored.extend(bars.into_iter().map(|bar| (format!("{symbol} {timeframe}"), bar.bar, bar.is_final)));
        }
    }
    stored
}

/// The bars are those of an undisturbed run; else says where they first differ.
///
/// Bars of a timeframe are made of 15- or of 30-minute ones, as it fits what is missing: a provider rounds the average price
/// of each to six decimals, so the averages of what is made of them agree as closely as that and no closer.
fn same(expected: &Stored, stored: &Stored, faults: &str) {
    let alike = |one: &(String, Bar, bool), other: &(String, Bar, bool)| {
        let vwap = |bar: &Bar| bar.vwap.unwrap_or_default();
        let rest =
            |(series, bar, is_final): &(String, Bar, bool)| (series.clone(), Bar { vwap: None, ..*bar }, *is_final);
        rest(one) == rest(other)
            && one.1.vwap.is_some() == other.1.vwap.is_some()
            && (vwap(&one.1) - vwap(&other.1)).abs() < 1e-6
    };
    let differ = expected.iter().zip(stored).find(|(one, other)| !alike(one, other));
    let (all, some) = (expected.len(), stored.len());
    assert!(differ.is_none() && all == some, "{faults}: {some} bars and not {all}, the first other one {differ:?}");
}
