//! Leases: a worker that lost one writes nothing, and the worker that holds it now does.

use market::Timeframe;
use store::runs;

use crate::stages::{Bench, EVENING, USUAL, claim, commit_all, fetch, prepare};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_fetched_under_a_lease_that_another_has_by_now_is_not_written_and_the_others_answer_counts() {
    let bench = Bench::at(EVENING).await;
    let other = bench.another("second").await;
    bench.track(&["KO"], &[Timeframe::H1]).await;
    bench.plan().await;
    let lost = bench.claim().await;
    let prepared = bench.prepare(&lost).await;
    let late = bench.fetch(&lost, &prepared).await;
    bench.expire_leases(&lost.runs).await;
    let pack = claim(&other).await;
    let ids = |runs: &[runs::ClaimedRun]| runs.iter().map(|run| run.id).collect::<Vec<_>>();
    assert_eq!(ids(&pack.runs), ids(&lost.runs), "the same runs");

    bench.commit(&lost, &late).await.unwrap();
    assert_eq!(bench.count("ohlc_bars_v2").await, 0);
    assert_eq!(bench.covered("KO", Timeframe::H1).await, []);
    for run in bench.runs_of(&pack.runs).await {
        assert_eq!((run.status.as_str(), run.attempt, run.worker.as_deref()), ("running", 2, Some("second")));
    }

    let prepared = prepare(&other, &pack).await;
    let fetched = fetch(&other, &pack, &prepared).await.unwrap();
    commit_all(&other, &pack, &fetched).await.unwrap();
    let runs = bench.runs_of(&pack.runs).await;
    assert!(runs.iter().all(|run| run.status == "success" && run.rows_written > 0 && run.failures == 0), "{runs:?}");
    bench.assert_true("KO", Timeframe::H1).await;

    // Once more, after both have ended.
    let before = bench.runs().await;
    bench.commit(&lost, &late).await.unwrap();
    assert_eq!(bench.runs().await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_has_run_out_is_lost_though_nobody_else_has_claimed_the_run() {
    let bench = Bench::at(EVENING).await;
    bench.track(&["KO"], &[Timeframe::H1]).await;
    bench.plan().await;
    let pack = bench.claim().await;
    let prepared = bench.prepare(&pack).await;
    let fetched = bench.fetch(&pack, &prepared).await;
    bench.sql("update job_runs set lease_until = now() - interval '1 second' where status = 'running'").await;
    bench.commit(&pack, &fetched).await.unwrap();
    assert_eq!(bench.count("ohlc_bars_v2").await, 0);
    // The next plan releases it, and it succeeds in the end.
    bench.plan().await;
    bench.work_off().await;
    bench.assert_true("KO", Timeframe::H1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_pack_some_of_whose_runs_are_lost_the_others_are_written() {
    let bench = Bench::at(EVENING).await;
    let other = bench.another("second").await;
    bench.track(&["KO"], &USUAL).await;
    bench.plan().await;
    let pack = bench.claim().await;
    assert!(pack.runs.len() > 1, "{:?}", pack.runs);
    let prepared = bench.prepare(&pack).await;
    let fetched = bench.fetch(&pack, &prepared).await;
    let (lost, kept) = pack.runs.split_at(1);
    bench.expire_leases(lost).await;
    bench.commit(&pack, &fetched).await.unwrap();
    assert!(bench.runs_of(kept).await.iter().all(|run| run.status == "success" && run.rows_written > 0));
    assert!(bench.runs_of(lost).await.iter().all(|run| run.status == "queued" && run.rows_written == 0));
    assert_eq!(bench.bars("KO", lost[0].timeframe).await, []);
    assert_eq!(bench.covered("KO", lost[0].timeframe).await, []);

    let again = claim(&other).await;
    assert!(again.runs.iter().any(|run| run.id == lost[0].id));
    let prepared = prepare(&other, &again).await;
    let fetched = fetch(&other, &again, &prepared).await.unwrap();
    commit_all(&other, &again, &fetched).await.unwrap();
    bench.work_off().await;
    for timeframe in USUAL {
        bench.assert_true("KO", timeframe).await;
    }
}
