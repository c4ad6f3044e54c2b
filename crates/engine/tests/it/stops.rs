//! A stop between any two steps: the runs are requeued unchanged, for the next worker.

use engine::dispatch::{Scope, execute, failure};
use market::Timeframe;
use simulator::FaultKind;

use crate::stages::{Bench, EVENING, Run, claim, commit_all, eventually, fetch, prepare};

/// They have no delay and no failure.
fn assert_as_they_were(runs: &[Run]) {
    for run in runs {
        assert_eq!((run.status.as_str(), run.attempt, run.failures), ("queued", 0, 0), "{run:?}");
        assert_eq!((run.error_code.as_deref(), run.worker.as_deref()), (Some("stopped"), None));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_that_were_claimed_when_the_process_was_stopped_can_be_claimed_at_once_and_nothing_was_asked() {
    let bench = Bench::at(EVENING).await;
    let other = bench.another("second").await;
    bench.track(&["KO"], &[Timeframe::H1]).await;
    bench.plan().await;
    let pack = bench.claim().await;
    let claimed = pack.runs.clone();
    bench.engine.stop.cancel();
    execute(&bench.engine, pack, &Scope::All).await;
    assert_as_they_were(&bench.runs_of(&claimed).await);
    assert_eq!(bench.requests(), 0);
    let pack = claim(&other).await;
    assert_eq!(pack.runs.len(), claimed.len());
    execute(&other, pack, &Scope::All).await;
    assert!(bench.runs_of(&claimed).await.iter().all(|run| run.status == "success" && run.attempt == 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_is_under_way_when_the_process_is_stopped_is_dropped_and_its_runs_go_back() {
    let bench = Bench::at(EVENING).await;
    bench.track(&["KO"], &[Timeframe::H1]).await;
    bench.plan().await;
    let pack = bench.claim().await;
    let claimed = pack.runs.clone();
    bench.simulator.set_next_faults([Some(FaultKind::Hang)]);
    tokio::join!(execute(&bench.engine, pack, &Scope::All), async {
        eventually(async || bench.requests() > 0).await;
        bench.engine.stop.cancel();
    });
    assert_as_they_were(&bench.runs_of(&claimed).await);
    assert_eq!(bench.count("ohlc_bars_v2").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_fetched_and_not_yet_stored_at_the_stop_is_asked_for_again_and_stored_once() {
    let bench = Bench::at(EVENING).await;
    let other = bench.another("second").await;
    bench.track(&["KO"], &[Timeframe::H1]).await;
    bench.plan().await;
    let stopped = bench.claim().await;
    let prepared = bench.prepare(&stopped).await;
    let late = bench.fetch(&stopped, &prepared).await;
    failure::requeue_stopped(&bench.engine, &stopped.runs).await.unwrap();
    assert_as_they_were(&bench.runs_of(&stopped.runs).await);
    // The worker that was stopped commits late: it holds none of the runs any more.
    bench.commit(&stopped, &late).await.unwrap();
    assert_eq!(bench.count("ohlc_bars_v2").await, 0);

    let pack = claim(&other).await;
    let prepared = prepare(&other, &pack).await;
    let fetched = fetch(&other, &pack, &prepared).await.unwrap();
    bench.commit(&stopped, &late).await.unwrap();
    assert_eq!(bench.count("ohlc_bars_v2").await, 0, "nor while another has claimed it");
    commit_all(&other, &pack, &fetched).await.unwrap();
    let ended = bench.runs_of(&pack.runs).await;
    assert!(ended.iter().all(|run| run.status == "success" && run.attempt == 1 && run.failures == 0), "{ended:?}");
    bench.assert_true("KO", Timeframe::H1).await;
}
