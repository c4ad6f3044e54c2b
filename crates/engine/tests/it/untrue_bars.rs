//! Invalid bars: requested again, and in the end quarantined with the reason while all others are stored.

use std::collections::BTreeSet;

use market::Timeframe;
use simulator::FaultKind;
use store::bars::StoredBar;

use crate::stages::{Bench, EVENING, USUAL};

/// Always open: any spoilt bar lies in a session.
const PAIR: &str = "BTC-USD";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn untrue_bars_are_asked_for_again_until_the_last_try_then_kept_apart_and_all_others_stored() {
    let sound = Bench::at(EVENING).await;
    sound.track(&[PAIR], &[Timeframe::H1]).await;
    sound.plan().await;
    sound.work_off().await;
    let all = starts(&sound.bars(PAIR, Timeframe::H1).await);

    let bench = Bench::at(EVENING).await;
    bench.simulator.set_faults(vec!["insane=1".parse().unwrap()]).unwrap();
    bench.track(&[PAIR], &[Timeframe::H1]).await;
    bench.plan().await;
    for failures in 1..5 {
        bench.end_waits().await;
        assert!(bench.work_off().await > 0);
        let spoilt: Vec<_> = bench.runs().await.into_iter().filter(|run| run.status != "success").collect();
        assert!(!spoilt.is_empty());
        for run in spoilt {
            assert_eq!((run.status.as_str(), run.failures, run.rows_written), ("queued", failures, 0), "{run:?}");
            assert_eq!(run.error_code.as_deref(), Some("bad_data"));
        }
        assert_eq!(bench.count("barkeep.quarantined_bars").await, 0);
    }
    bench.end_waits().await;
    bench.work_off().await;
    assert!(bench.runs().await.iter().all(|run| run.status == "success"), "{:?}", bench.runs().await);

    let apart: Vec<(String, String, String)> =
        bench.rows("select symbol, reason, provider from barkeep.quarantined_bars").await;
    assert!(!apart.is_empty());
    for (symbol, reason, provider) in &apart {
        assert_eq!((symbol.as_str(), provider.starts_with("market-sim/")), (PAIR, true));
        assert!(!reason.is_empty());
    }
    let stored = starts(&bench.bars(PAIR, Timeframe::H1).await);
    assert!(stored.is_subset(&all));
    let missing = all.len() - stored.len();
    assert!((1..=apart.len()).contains(&missing), "{missing} bars are missing for {} untrue ones", apart.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_untrue_bar_that_comes_right_at_the_second_try_is_stored_like_any_other() {
    let bench = Bench::at(EVENING).await;
    bench.track(&[PAIR], &[Timeframe::H1]).await;
    bench.plan().await;
    let pack = bench.claim().await;
    bench.simulator.set_faults(vec!["insane=1".parse().unwrap()]).unwrap();
    let prepared = bench.prepare(&pack).await;
    let fetched = bench.fetch(&pack, &prepared).await;
    bench.simulator.set_faults(Vec::new()).unwrap();
    bench.commit(&pack, &fetched).await.unwrap();
    let back = bench.runs_of(&pack.runs).await.into_iter().filter(|run| run.status == "queued").count();
    assert!(back > 0, "the run that it belongs to goes back");
    bench.end_waits().await;
    bench.work_off().await;
    assert_eq!(bench.count("barkeep.quarantined_bars").await, 0);
    bench.assert_true(PAIR, Timeframe::H1).await;
    assert_eq!(bench.covered(PAIR, Timeframe::H1).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_with_an_untrue_bar_is_one_failure_of_the_provider_however_many_runs_it_spoils() {
    let bench = Bench::at(EVENING).await;
    bench.track(&[PAIR], &USUAL).await;
    bench.plan().await;
    let pack = bench.claim().await;
    bench.simulator.set_next_faults([Some(FaultKind::Insane)]);
    let prepared = bench.prepare(&pack).await;
    let fetched = bench.fetch(&pack, &prepared).await;
    bench.commit(&pack, &fetched).await.unwrap();
    let spoilt = bench.runs_of(&pack.runs).await.into_iter().filter(|run| run.failures == 1).count();
    assert!(spoilt > 1, "{spoilt} of {} runs", pack.runs.len());
    let in_a_row: Vec<(i32,)> = bench.rows("select failures from barkeep.provider_health").await;
    assert_eq!(in_a_row, [(1,)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_with_untrue_bars_stays_a_failure_of_its_provider_when_it_has_ended() {
    let bench = Bench::at(EVENING).await;
    bench.track(&[PAIR], &USUAL).await;
    bench.plan().await;
    for failures in 1..=2 {
        let pack = bench.claim().await;
        bench.simulator.set_faults(vec!["insane=1".parse().unwrap()]).unwrap();
        engine::dispatch::execute(&bench.engine, pack, &engine::dispatch::Scope::All).await;
        let in_a_row: Vec<(i32,)> = bench.rows("select failures from barkeep.provider_health").await;
        assert_eq!(in_a_row, [(failures,)]);
        bench.end_waits().await;
    }
    bench.simulator.set_faults(Vec::new()).unwrap();
    bench.work_off().await;
    let in_a_row: Vec<(i32,)> = bench.rows("select failures from barkeep.provider_health").await;
    assert_eq!(in_a_row, [(0,)], "a good answer ends it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bars_that_come_twice_or_out_of_order_make_the_same_as_bars_in_order() {
    for fault in ["duplicate=1", "unsorted=1"] {
        let bench = Bench::at(EVENING).await;
        bench.simulator.set_faults(vec![fault.parse().unwrap()]).unwrap();
        bench.track(&["KO"], &[Timeframe::H1]).await;
        bench.plan().await;
        bench.work_off().await;
        bench.simulator.set_faults(Vec::new()).unwrap();
        bench.assert_true("KO", Timeframe::H1).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_for_another_range_covers_nothing_and_is_asked_for_again() {
    let bench = Bench::at(EVENING).await;
    bench.track(&[PAIR], &[Timeframe::H1]).await;
    bench.plan().await;
    let pack = bench.claim().await;
    let prepared = bench.prepare(&pack).await;
    let mut fetched = bench.fetch(&pack, &prepared).await;
    for bar in fetched.iter_mut().flat_map(|page| page.bars.values_mut()).flatten() {
        bar.start -= jiff::SignedDuration::from_hours(24 * 365 * 3);
    }
    bench.commit(&pack, &fetched).await.unwrap();
    for run in bench.runs_of(&pack.runs).await {
        assert_eq!((run.status.as_str(), run.error_code.as_deref()), ("queued", Some("bad_data")), "{run:?}");
    }
    assert_eq!(bench.count("ohlc_bars_v2").await, 0);
    assert_eq!(bench.covered(PAIR, Timeframe::H1).await, []);
    bench.end_waits().await;
    bench.work_off().await;
    bench.assert_true(PAIR, Timeframe::H1).await;
}

fn starts(bars: &[StoredBar]) -> BTreeSet<jiff::Timestamp> {
    bars.iter().map(|bar| bar.bar.start).collect()
}
