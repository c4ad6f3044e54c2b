//! Interest that changes between any two steps: new interest is served first, and withdrawn interest is not served.

use engine::dispatch::Claimed;
use market::Timeframe;
use store::symbols;

use crate::stages::{Bench, EVENING, USUAL, claim, claimed, ticker};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn interest_that_comes_after_background_series_were_planned_is_claimed_before_them() {
    let bench = Bench::at(EVENING).await;
    bench.keep(&["AAPL", "MSFT", "NVDA"]).await;
    bench.plan().await;
    bench.track(&["KO"], &USUAL).await;
    bench.plan().await;
    let pack = bench.claim().await;
    assert_eq!((pack.runs[0].ticker.as_str(), pack.runs[0].by_interest), ("KO", true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn interest_in_a_symbol_whose_background_runs_wait_already_moves_them_to_the_front_without_a_plan() {
    let bench = Bench::at(EVENING).await;
    bench.keep(&["AAPL", "MSFT", "TXN"]).await;
    bench.plan().await;
    let (before, requests) = (bench.runs().await.len(), bench.requests());
    // The run that would be claimed last.
    bench.sql("update job_runs set rank_at = now() + interval '1 hour' where symbol = 'TXN'").await;
    bench.track(&["TXN"], &USUAL).await;
    let pack = bench.claim().await;
    assert_eq!((pack.runs[0].ticker.as_str(), pack.runs[0].by_interest), ("TXN", true));
    assert_eq!((bench.runs().await.len(), bench.requests()), (before, requests), "nothing was queued twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_symbol_that_is_asked_for_does_not_wait_for_ten_thousand_background_runs() {
    let bench = Bench::at(EVENING).await;
    bench.sql(
        "update job_definitions set base_priority = 100, priority = 100, enabled = true, next_due_at = '2030-01-01';
        insert into job_runs (job_def_id, symbol, timeframe, job_type, slice_from, slice_to, priority, rank_at)
        select d.id, d.symbol, d.timeframe, d.job_type, n, n + interval '6.5 hours', 100, now() - interval '600 seconds'
        from job_definitions d
        cross join generate_series(timestamptz '2023-01-03 14:30:00+00', '2023-12-29', '1 day') n
        where d.symbol <> 'TEST' and extract(isodow from n) < 6
        order by n desc limit 10000",
    )
    .await;
    bench.track(&["KO"], &USUAL).await;
    bench.plan().await;
    while bench.count("job_runs where symbol = 'KO' and status = 'queued'").await > 0 {
        let pack = bench.claim().await;
        assert!(pack.runs.iter().any(|run| run.by_interest), "{:?}", pack.runs[0]);
    }
    assert!(bench.count("job_runs where status = 'queued' and not by_interest").await > 9_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_interest_nothing_is_claimed_or_planned() {
    let bench = Bench::at(EVENING).await;
    bench.track(&["KO", "PEP"], &USUAL).await;
    bench.plan().await;
    bench.untrack("KO").await;
    assert!(bench.runs().await.iter().filter(|run| run.symbol == "KO").all(|run| run.status == "cancelled"));
    let queued = bench.runs().await.len();
    bench.make_due().await;
    bench.plan().await;
    assert_eq!(bench.runs().await.len(), queued);
    while let Claimed::Pack(pack) = claimed(&bench.engine).await {
        assert!(pack.runs.iter().all(|run| run.ticker == ticker("PEP")));
    }

    bench.track(&["KO"], &USUAL).await;
    bench.plan().await;
    assert_eq!(bench.claim().await.runs[0].ticker, ticker("KO"), "renewed interest is served");
    assert_eq!(bench.overlaps().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn interest_that_is_taken_back_while_a_request_is_under_way_loses_nothing_that_was_paid_for() {
    let bench = Bench::at(EVENING).await;
    bench.track(&["KO"], &[Timeframe::H1]).await;
    bench.plan().await;
    let pack = bench.claim().await;
    bench.untrack("KO").await;
    let prepared = bench.prepare(&pack).await;
    let fetched = bench.fetch(&pack, &prepared).await;
    bench.commit(&pack, &fetched).await.unwrap();
    assert!(bench.runs_of(&pack.runs).await.iter().all(|run| run.status == "success" && run.rows_written > 0));
    bench.assert_true("KO", Timeframe::H1).await;
    assert!(matches!(claimed(&bench.engine).await, Claimed::Nothing));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_symbol_that_is_suspended_meanwhile_nothing_more_is_claimed_and_the_pack_under_way_ends_well() {
    let bench = Bench::at(EVENING).await;
    bench.track(&["KO"], &USUAL).await;
    bench.plan().await;
    let pack = bench.claim().await;
    assert!(pack.runs.len() < bench.runs().await.len(), "some are left");
    symbols::suspend(&bench.database, &ticker("KO"), "unknown symbol").await.unwrap();
    let prepared = bench.prepare(&pack).await;
    let fetched = bench.fetch(&pack, &prepared).await;
    bench.commit(&pack, &fetched).await.unwrap();
    let runs = bench.runs().await;
    assert!(bench.runs_of(&pack.runs).await.iter().all(|run| run.status == "success"));
    let others = runs.iter().filter(|run| !pack.runs.iter().any(|claimed| claimed.id == run.id));
    for run in others {
        assert_eq!((run.status.as_str(), run.error_code.as_deref()), ("cancelled", Some("unknown_symbol")));
    }
    bench.make_due().await;
    assert_eq!(bench.plan().await.scanned, 0);
    assert!(matches!(claimed(&bench.engine).await, Claimed::Nothing));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn background_runs_of_a_symbol_go_on_when_the_interest_in_it_is_taken_back() {
    let bench = Bench::at(EVENING).await;
    bench.keep(&["AAPL", "MSFT"]).await;
    bench.track(&["AAPL"], &USUAL).await;
    bench.plan().await;
    bench.untrack("AAPL").await;
    assert!(bench.runs().await.iter().all(|run| run.status == "queued"));
    let pack = claim(&bench.engine).await;
    assert!(pack.runs.iter().all(|run| !run.by_interest));
    bench.work_off().await;
    assert_eq!(bench.count("job_runs where status = 'queued'").await, 0);
}
