//! Forming bars: stored as provisional, final once they have ended, and never provisional again.

use market::Timeframe;
use store::bars::StoredBar;

use crate::stages::{Bench, NOON, at, claim, commit_all, fetch, prepare};

const ITS_END: &str = "2026-06-18T15:46:00Z";

async fn forming(bench: &Bench) -> StoredBar {
    let bars = bench.bars("KO", Timeframe::M15).await;
    bars.into_iter().find(|bar| bar.bar.start == at("2026-06-18T15:30:00Z")).expect("the bar of 15:30 is there")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bar_that_is_forming_is_provisional_and_uncovered_and_a_later_run_makes_it_final() {
    let bench = Bench::at(NOON).await;
    bench.track(&["KO"], &[Timeframe::M15]).await;
    bench.plan().await;
    bench.work_off().await;
    let provisional = forming(&bench).await;
    assert!(!provisional.is_final);
    let covered = bench.covered("KO", Timeframe::M15).await;
    assert_eq!(covered.last().map(|range| range.to()), Some(at("2026-06-18T15:30:00Z")));

    bench.set_time(ITS_END).await;
    bench.plan().await;
    bench.work_off().await;
    let ended = forming(&bench).await;
    assert!(ended.is_final);
    assert!(ended.bar.volume > provisional.bar.volume, "its last minutes are included");
    let covered = bench.covered("KO", Timeframe::M15).await;
    assert_eq!(covered.last().map(|range| range.to()), Some(at("2026-06-18T15:45:00Z")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_from_before_the_end_of_a_bar_that_is_stored_late_does_not_make_it_provisional_again() {
    let bench = Bench::at(NOON).await;
    bench.track(&["KO"], &[Timeframe::M15]).await;
    bench.plan().await;
    let slow = bench.claim().await;
    let prepared = bench.prepare(&slow).await;
    let old = bench.fetch(&slow, &prepared).await;

    bench.set_time(ITS_END).await;
    let other = bench.another("second").await;
    bench.plan().await;
    let pack = claim(&other).await;
    let prepared = prepare(&other, &pack).await;
    let new = fetch(&other, &pack, &prepared).await.unwrap();
    commit_all(&other, &pack, &new).await.unwrap();
    let ended = forming(&bench).await;
    assert!(ended.is_final);

    bench.commit(&slow, &old).await.unwrap();
    assert!(bench.runs_of(&slow.runs).await.iter().all(|run| run.status == "success"), "its own slice was answered");
    assert_eq!(forming(&bench).await, ended);
    bench.work_off().await;
    assert_eq!(bench.covered("KO", Timeframe::M15).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bars_of_today_are_there_as_soon_as_they_have_ended_in_summer_and_in_winter() {
    // 14:31 in New York, an hour apart in UTC.
    for (now, open, last) in [
        ("2026-06-18T18:31:00Z", "2026-06-18T13:30:00Z", "2026-06-18T18:15:00Z"),
        ("2026-01-15T19:31:00Z", "2026-01-15T14:30:00Z", "2026-01-15T19:15:00Z"),
    ] {
        let bench = Bench::at(now).await;
        bench.track(&["KO"], &[Timeframe::M15]).await;
        bench.plan().await;
        bench.work_off().await;
        let mut today = bench.bars("KO", Timeframe::M15).await;
        today.retain(|bar| bar.is_final && bar.bar.start >= at(open));
        let start = |bar: Option<&StoredBar>| bar.map(|bar| bar.bar.start);
        assert_eq!((start(today.first()), start(today.last()), today.len()), (Some(at(open)), Some(at(last)), 20));
    }
}
