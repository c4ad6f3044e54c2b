//! A run from plan to outcome: none of it can be read before its commit, and all of it afterwards.

use engine::plan::Planned;
use market::Timeframe;

use crate::stages::{Bench, EVENING, NOON, USUAL};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn before_its_commit_nothing_of_a_run_can_be_read_and_after_it_bars_coverage_and_outcome_are_there() {
    let bench = Bench::at(EVENING).await;
    bench.track(&["KO"], &USUAL).await;
    assert_eq!(bench.runs().await, []);
    let planned = bench.plan().await;
    assert_eq!((planned.scanned, planned.slices), (3, bench.runs().await.len()));
    assert!(bench.runs().await.iter().all(|run| run.status == "queued" && run.attempt == 0));

    let nothing_to_read = async |bench: &Bench| {
        assert_eq!(bench.count("ohlc_bars_v2").await, 0);
        for timeframe in USUAL {
            assert_eq!(bench.covered("KO", timeframe).await, []);
        }
    };
    nothing_to_read(&bench).await;
    let pack = bench.claim().await;
    nothing_to_read(&bench).await;
    let prepared = bench.prepare(&pack).await;
    let fetched = bench.fetch(&pack, &prepared).await;
    nothing_to_read(&bench).await;
    for run in bench.runs_of(&pack.runs).await {
        assert_eq!((run.status.as_str(), run.attempt, run.worker.as_deref()), ("running", 1, Some("first")));
    }

    bench.commit(&pack, &fetched).await.unwrap();
    let ended = bench.runs_of(&pack.runs).await;
    assert_eq!(ended.len(), pack.runs.len());
    for run in &ended {
        assert_eq!((run.status.as_str(), run.attempt, run.failures), ("success", 1, 0));
        assert!(run.rows_written > 0);
    }
    let rows: i64 = ended.iter().map(|run| run.rows_written).sum();
    assert_eq!(bench.count("ohlc_bars_v2").await, rows);
    assert_eq!(ended.iter().map(|run| run.requests).sum::<i32>(), 1, "one request served them all");
    for run in &pack.runs {
        let covered = bench.covered("KO", run.timeframe).await;
        assert!(covered.iter().any(|range| range.encloses(&run.slice)), "{covered:?} and {:?}", run.slice);
    }
    let waiting = bench.runs().await.iter().filter(|run| run.status == "queued").count();
    assert_eq!(waiting, planned.slices - ended.len(), "the others wait as before");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bars_of_every_timeframe_are_those_that_the_providers_minutes_make() {
    let bench = Bench::at(EVENING).await;
    bench.track(&["KO", "BTC-USD"], &USUAL).await;
    bench.plan().await;
    bench.work_off().await;
    assert!(bench.runs().await.iter().all(|run| run.status == "success"), "{:?}", bench.runs().await);
    for symbol in ["KO", "BTC-USD"] {
        for timeframe in USUAL {
            bench.assert_true(symbol, timeframe).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_series_that_is_complete_is_not_planned_again_before_its_next_bar_is_final() {
    let bench = Bench::at(NOON).await;
    bench.track(&["KO"], &[Timeframe::M15]).await;
    bench.plan().await;
    bench.work_off().await;
    let requests = bench.requests();
    assert_eq!(bench.plan().await, Planned::default());
    assert_eq!(bench.work_off().await, 0);
    bench.set_time("2026-06-18T15:46:00Z").await;
    assert_eq!(bench.plan().await, Planned { scanned: 1, slices: 1 });
    assert_eq!(bench.work_off().await, 1);
    assert_eq!(bench.requests(), requests + 1);
    assert_eq!(bench.covered("KO", Timeframe::M15).await.len(), 1, "without a hole");
}
