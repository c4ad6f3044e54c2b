//! Sessions that change while a request is in progress: bars fetched under the old edition are not stored.

use engine::dispatch::failure;
use market::{Timeframe, calendar::Exceptions};
use store::{StoreError, market_sessions};

use crate::stages::{Bench, EVENING, USUAL, at};

/// A Wednesday that ends early, at 17:00 UTC.
const EARLY: &str = "calendar,date,change,close\nXNYS,2026-06-17,early,13:00\n";

async fn change(bench: &Bench) {
    let replaced = market_sessions::apply(&bench.database, &Exceptions::parse(EARLY).unwrap()).await.unwrap();
    assert_eq!(replaced.map(|replaced| replaced.days), Some(1));
}

async fn assert_it_ends_early(bench: &Bench) {
    let hours = bench.bars("KO", Timeframe::H1).await;
    let of_the_day = |bar: &&store::bars::StoredBar| {
        bar.bar.start >= at("2026-06-17T00:00:00Z") && bar.bar.start < at("2026-06-18T00:00:00Z")
    };
    assert_eq!(hours.iter().filter(of_the_day).count(), 4, "09:30 to 13:00 in New York");
    for timeframe in USUAL {
        bench.assert_true("KO", timeframe).await;
        assert_eq!(bench.covered("KO", timeframe).await.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_fetched_by_sessions_that_have_changed_since_is_refused_and_fetched_again_it_is_right() {
    let bench = Bench::at(EVENING).await;
    bench.track(&["KO"], &USUAL).await;
    bench.plan().await;
    let pack = bench.claim().await;
    let prepared = bench.prepare(&pack).await;
    let by_the_old = bench.fetch(&pack, &prepared).await;
    change(&bench).await;
    let refused = bench.commit(&pack, &by_the_old).await;
    assert!(matches!(refused, Err(StoreError::SessionsChanged)), "{refused:?}");
    assert_eq!(bench.count("ohlc_bars_v2").await, 0);
    for timeframe in USUAL {
        assert_eq!(bench.covered("KO", timeframe).await, []);
    }
    assert!(bench.runs_of(&pack.runs).await.iter().all(|run| run.status == "running"), "still this worker's");

    let prepared = bench.prepare(&pack).await;
    let by_the_new = bench.fetch(&pack, &prepared).await;
    bench.commit(&pack, &by_the_new).await.unwrap();
    bench.plan().await;
    bench.work_off().await;
    assert_it_ends_early(&bench).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_changed_sessions_made_worthless_is_held_against_no_run() {
    let bench = Bench::at(EVENING).await;
    bench.track(&["KO"], &USUAL).await;
    bench.plan().await;
    let pack = bench.claim().await;
    let prepared = bench.prepare(&pack).await;
    let fetched = bench.fetch(&pack, &prepared).await;
    change(&bench).await;
    let refused = bench.commit(&pack, &fetched).await.unwrap_err();
    failure::requeue_not_stored(&bench.engine, &pack.runs, &refused).await;
    for run in bench.runs_of(&pack.runs).await {
        assert_eq!((run.status.as_str(), run.attempt, run.failures), ("queued", 0, 0), "{run:?}");
    }
    bench.end_waits().await;
    bench.plan().await;
    bench.work_off().await;
    assert_it_ends_early(&bench).await;
}
