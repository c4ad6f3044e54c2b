//! A provider that fails in the middle of a pack: completed symbols are stored, the rest is retried, and failures are
//! counted only where the provider is to blame.

use engine::dispatch::{self, Claimed, ClaimedPack, Scope, execute};
use market::Timeframe;
use simulator::FaultKind;
use store::runs::ClaimedRun;

use crate::stages::{Bench, EVENING, Run, claimed};

const FOUR: [&str; 4] = ["BA", "IBM", "KO", "PEP"];

/// Plans hourly series of four symbols, and claims the pack that serves them with one request.
async fn a_pack_of_four(bench: &Bench) -> ClaimedPack {
    bench.track(&FOUR, &[Timeframe::H1]).await;
    bench.plan().await;
    let pack = bench.claim().await;
    assert_eq!(pack.pack.tickers.len(), 4, "{:?}", pack.pack);
    pack
}

async fn all_is_done(bench: &Bench) {
    bench.end_waits().await;
    bench.work_off().await;
    assert!(bench.runs().await.iter().all(|run| run.status == "success"), "{:?}", bench.runs().await);
}

fn split(runs: &[Run]) -> (Vec<&Run>, Vec<&Run>) {
    runs.iter().partition(|run| run.status == "success")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_an_answer_that_breaks_off_the_symbols_that_were_complete_are_stored_and_the_others_fail_once() {
    for fault in [FaultKind::ServerError, FaultKind::Cut, FaultKind::Malformed] {
        let bench = Bench::at(EVENING).await;
        let pack = a_pack_of_four(&bench).await;
        let runs: Vec<ClaimedRun> = pack.runs.clone();
        // Each response returns half of the remaining rows, and the third fails.
        bench.simulator.set_next_faults([Some(FaultKind::Short), Some(FaultKind::Short), Some(fault)]);
        execute(&bench.engine, pack, &Scope::All).await;

        let after = bench.runs_of(&runs).await;
        let (done, back) = split(&after);
        assert!(done.iter().any(|run| run.symbol == "BA") && back.iter().any(|run| run.symbol == "PEP"), "{after:?}");
        assert!(done.iter().all(|run| run.rows_written > 0 && run.failures == 0));
        for run in &back {
            // What was not answered may not be its fault.
            let counted = i32::from(fault == FaultKind::Malformed);
            let state = (run.status.as_str(), run.attempt, run.failures);
            assert_eq!(state, ("queued", counted, counted), "{fault}: {run:?}");
            assert!(["server", "transport", "bad_data"].contains(&run.error_code.as_deref().unwrap()));
            assert_eq!(bench.bars(&run.symbol, Timeframe::H1).await, []);
        }
        assert_eq!(after.iter().map(|run| run.requests).sum::<i32>(), 3, "each request is counted once");
        all_is_done(&bench).await;
        for symbol in FOUR {
            bench.assert_true(symbol, Timeframe::H1).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_fails_five_times_is_given_up_with_its_reason_and_what_is_missing_shows_as_failing() {
    let bench = Bench::at(EVENING).await;
    bench.track(&["KO"], &[Timeframe::H1]).await;
    bench.plan().await;
    bench.simulator.set_faults(vec!["malformed=1".parse().unwrap()]).unwrap();
    for failures in 1..=5 {
        bench.end_waits().await;
        assert!(bench.work_off().await > 0);
        assert!(bench.runs().await.iter().all(|run| run.failures == failures), "{:?}", bench.runs().await);
        let status = if failures < 5 { "queued" } else { "failed" };
        assert!(bench.runs().await.iter().all(|run| run.status == status));
    }
    bench.end_waits().await;
    assert_eq!(bench.work_off().await, 0, "it is not requested again");
    assert!(bench.states("KO").await.contains(&"failing".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn throttling_costs_no_failure_and_nothing_is_claimed_before_the_wait_is_over() {
    let bench = Bench::at(EVENING).await;
    let other = bench.another("second").await;
    let pack = a_pack_of_four(&bench).await;
    let runs = pack.runs.clone();
    bench.simulator.set_next_faults([Some(FaultKind::Throttle { seconds: 600 })]);
    execute(&bench.engine, pack, &Scope::All).await;
    for run in bench.runs_of(&runs).await {
        assert_eq!((run.status.as_str(), run.attempt, run.failures), ("queued", 0, 0), "{run:?}");
    }
    bench.sql("update job_runs set run_after = now()").await;
    for engine in [&bench.engine, &other] {
        let waits = matches!(claimed(engine).await, Claimed::NotNow(wait) if wait > std::time::Duration::from_secs(60));
        assert!(waits, "the wait applies to all workers");
    }
    assert_eq!(bench.requests(), 1);
    all_is_done(&bench).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wait_in_the_middle_of_an_answer_keeps_what_was_complete_and_costs_the_rest_nothing() {
    let bench = Bench::at(EVENING).await;
    let pack = a_pack_of_four(&bench).await;
    let runs = pack.runs.clone();
    bench.simulator.set_next_faults([
        Some(FaultKind::Short),
        Some(FaultKind::Short),
        Some(FaultKind::Throttle { seconds: 600 }),
    ]);
    execute(&bench.engine, pack, &Scope::All).await;
    let after = bench.runs_of(&runs).await;
    let (done, back) = split(&after);
    assert!(!done.is_empty() && !back.is_empty(), "{after:?}");
    assert!(back.iter().all(|run| run.status == "queued" && run.failures == 0), "{back:?}");
    all_is_done(&bench).await;
    for symbol in FOUR {
        bench.assert_true(symbol, Timeframe::H1).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_credentials_leave_runs_queued_until_there_are_better_ones() {
    let keys = |settings: &mut simulator::Settings| settings.credentials = Some(("id".into(), "right".into()));
    let bench = Bench::keyed(EVENING, keys, Some(("id", "wrong"))).await;
    let pack = a_pack_of_four(&bench).await;
    let runs = pack.runs.clone();
    execute(&bench.engine, pack, &Scope::All).await;
    for run in bench.runs_of(&runs).await {
        assert_eq!((run.status.as_str(), run.attempt, run.failures), ("queued", 0, 0), "{run:?}");
        assert_eq!(run.error_code.as_deref(), Some("credentials"));
    }
    assert!(matches!(claimed(&bench.engine).await, Claimed::NotNow(_)), "no request is sent on the account");
    assert_eq!(bench.requests(), 1);

    let second = bench.another_keyed("second", Some(("id", "right"))).await;
    dispatch::retry_waiting(&second).await.unwrap();
    while let Claimed::Pack(pack) = claimed(&second).await {
        execute(&second, pack, &Scope::All).await;
    }
    assert!(bench.runs().await.iter().all(|run| run.status == "success" && run.failures == 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_spoils_a_request_is_asked_for_in_ever_smaller_parts_until_it_is_alone() {
    let bench = Bench::at(EVENING).await;
    let symbols: Vec<String> = (10..24).map(|n| format!("S{n}")).collect();
    let symbols: Vec<&str> = symbols.iter().map(String::as_str).collect();
    bench.track(&symbols, &[Timeframe::H1]).await;
    bench.sql("update job_definitions set window_days = 5 where enabled").await;
    bench.plan().await;
    bench.simulator.set_faults(vec!["malformed=1".parse().unwrap()]).unwrap();
    let mut largest = Vec::new();
    for last in [false, false, false, false, true] {
        bench.end_waits().await;
        if last {
            bench.simulator.set_faults(Vec::new()).unwrap();
        }
        let mut most = 0;
        while let Claimed::Pack(pack) = claimed(&bench.engine).await {
            most = most.max(pack.pack.tickers.len());
            execute(&bench.engine, pack, &Scope::All).await;
        }
        largest.push(most);
    }
    assert_eq!(largest[0], 14);
    assert!(largest.is_sorted_by(|before, after| before >= after), "{largest:?}");
    assert_eq!(largest[4], 1);
    assert!(bench.runs().await.iter().all(|run| run.status == "success" && run.failures == 4));
}
