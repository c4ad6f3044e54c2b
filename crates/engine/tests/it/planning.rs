//! Planning any number of times, at any point: nothing is ever queued twice.

use market::Timeframe;

use crate::stages::{Bench, EVENING, USUAL, plan};

/// Plans again, with everything due, what was planned already.
async fn again(bench: &Bench) -> usize {
    bench.make_due().await;
    let queued = bench.plan().await.slices;
    assert_eq!(bench.overlaps().await, 0);
    queued
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn planning_again_between_any_two_steps_queues_nothing_that_is_queued_running_or_done() {
    let bench = Bench::at(EVENING).await;
    bench.track(&["KO"], &USUAL).await;
    let queued = bench.plan().await.slices;
    assert_eq!(again(&bench).await, 0, "after a plan");
    let pack = bench.claim().await;
    assert_eq!(again(&bench).await, 0, "after a claim");
    let prepared = bench.prepare(&pack).await;
    let fetched = bench.fetch(&pack, &prepared).await;
    assert_eq!(again(&bench).await, 0, "after a fetch");
    bench.commit(&pack, &fetched).await.unwrap();
    assert_eq!(again(&bench).await, 0, "after a commit");
    bench.work_off().await;
    assert_eq!(again(&bench).await, 0, "in the end");
    assert_eq!(bench.runs().await.len(), queued);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_plans_at_once_queue_each_slice_once() {
    let bench = Bench::at(EVENING).await;
    let other = bench.another("second").await;
    bench.track(&["KO", "PEP", "IBM", "BTC-USD"], &USUAL).await;
    let (one, two) = tokio::join!(bench.plan(), plan(&other));
    let runs = bench.runs().await;
    assert_eq!(one.slices + two.slices, runs.len());
    assert_eq!(bench.overlaps().await, 0);
    assert_eq!(again(&bench).await, 0, "and nothing was left out");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_that_grows_while_a_run_is_under_way_queues_only_what_is_new() {
    let bench = Bench::at(EVENING).await;
    bench.track(&["KO"], &[Timeframe::H1]).await;
    bench.plan().await;
    let pack = bench.claim().await;
    bench.sql("update job_definitions set window_days = 180 where symbol = 'KO'").await;
    assert!(again(&bench).await > 0);
    let prepared = bench.prepare(&pack).await;
    let fetched = bench.fetch(&pack, &prepared).await;
    bench.commit(&pack, &fetched).await.unwrap();
    bench.work_off().await;
    assert_eq!(again(&bench).await, 0);
    assert_eq!(bench.covered("KO", Timeframe::H1).await.len(), 1, "old and new are one range");
    bench.assert_true("KO", Timeframe::H1).await;
}
