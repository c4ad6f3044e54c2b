//! Foreground and background priority among concurrent claims.

use std::collections::BTreeSet;

use engine::dispatch::{self, Claimed, Scope};
use store::runs::Order;

use crate::stages::{Bench, EVENING, USUAL, claim, claimed, ticker};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_that_claim_at_once_never_get_the_same_run() {
    let bench = Bench::at(EVENING).await;
    let others = [bench.another("second").await, bench.another("third").await];
    bench.keep(&["AAPL", "MSFT", "NVDA", "GOOGL", "TSLA", "AMD", "META", "NFLX"]).await;
    bench.track(&["KO", "PEP", "IBM", "BA"], &USUAL).await;
    bench.plan().await;
    let queued = bench.runs().await.len();
    let mut seen = BTreeSet::new();
    loop {
        let (one, two, three) = tokio::join!(claimed(&bench.engine), claimed(&others[0]), claimed(&others[1]));
        let packs: Vec<_> = [one, two, three]
            .into_iter()
            .filter_map(|claimed| match claimed {
                Claimed::Pack(pack) => Some(pack),
                Claimed::Nothing | Claimed::NotNow(_) => None,
            })
            .collect();
        if packs.is_empty() {
            break;
        }
        for run in packs.iter().flat_map(|pack| &pack.runs) {
            assert!(seen.insert(run.id), "{run:?} was claimed twice");
        }
    }
    assert_eq!(seen.len(), queued, "and none was left");
    assert!(bench.runs().await.iter().all(|run| run.status == "running" && run.attempt == 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn background_work_is_not_claimed_during_foreground_work_and_foreground_runs_are() {
    let bench = Bench::at(EVENING).await;
    let other = bench.another("second").await;
    bench.keep(&["AAPL", "MSFT"]).await;
    bench.plan().await;
    let waits = bench.engine.foreground.enter();
    assert!(matches!(claimed(&bench.engine).await, Claimed::NotNow(_)));
    bench.track(&["KO"], &USUAL).await;
    bench.plan().await;
    assert_eq!(claim(&bench.engine).await.runs[0].ticker, ticker("KO"));
    while let Claimed::Pack(pack) = claimed(&bench.engine).await {
        assert!(pack.runs.iter().any(|run| run.by_interest), "{:?}", pack.runs);
    }
    let pack = claim(&other).await;
    assert!(pack.runs.iter().all(|run| !run.by_interest), "another process has processors of its own");
    // Requeued for the next worker.
    dispatch::failure::requeue_stopped(&other, &pack.runs).await.unwrap();
    drop(waits);
    bench.engine.foreground.wait_until_idle().await;
    assert!(!claim(&bench.engine).await.runs[0].by_interest);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_share_of_background_work_is_claimed_first_though_people_wait_for_other_things() {
    let bench = Bench::at(EVENING).await;
    bench.keep(&["AAPL"]).await;
    bench.track(&["KO"], &USUAL).await;
    bench.plan().await;
    let claimed = dispatch::claim(&bench.engine, Order::BackgroundFirst, &Scope::All).await.unwrap();
    let Claimed::Pack(pack) = claimed else { panic!("{claimed:?}") };
    assert_eq!((pack.runs[0].ticker.as_str(), pack.runs[0].by_interest), ("AAPL", false));
    let only = dispatch::claim(&bench.engine, Order::InterestOnly, &Scope::All).await.unwrap();
    let Claimed::Pack(pack) = only else { panic!("{only:?}") };
    assert_eq!(pack.runs[0].ticker, ticker("KO"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scope_of_symbols_claims_only_their_runs() {
    let bench = Bench::at(EVENING).await;
    bench.keep(&["AAPL", "MSFT"]).await;
    bench.track(&["KO"], &USUAL).await;
    bench.plan().await;
    let scope = Scope::Symbols(vec![ticker("MSFT")]);
    loop {
        match dispatch::claim(&bench.engine, Order::InterestFirst, &scope).await.unwrap() {
            Claimed::Pack(pack) => assert!(pack.runs.iter().all(|run| run.ticker == ticker("MSFT"))),
            Claimed::Nothing => break,
            Claimed::NotNow(wait) => panic!("{wait:?}"),
        }
    }
    assert_eq!(bench.count("job_runs where symbol = 'MSFT' and status <> 'running'").await, 0);
    assert_eq!(bench.count("job_runs where symbol <> 'MSFT' and status <> 'queued'").await, 0);
}
