//! The order of claims.

use std::collections::BTreeSet;

use jiff::ToSpan;
use market::{Range, Timeframe};
use store::{definitions, runs::Order, tracking::Source};
use testkit::{ALICE, Owner};
use tokio::task::JoinSet;

use crate::site::{Site, TUESDAY, at, claim, range, range_of, ticker, tickers};

for_every_owner! {
    a_claim_says_everything_that_a_worker_needs,
    the_public_claim_and_reset_work_as_they_used_to,
}

for_one_owner! {
    fifty_claims_at_once_get_fifty_different_runs,
    what_people_asked_for_comes_by_priority_before_background_work,
    the_slot_kept_for_background_work_takes_it_first,
    the_newest_slice_comes_first,
    what_has_waited_long_enough_comes_before_a_higher_priority,
    a_run_that_is_to_wait_is_not_claimed_before,
    claims_can_be_narrowed_to_symbols,
}

fn days(n: i64) -> Vec<Range> {
    let first = at("2026-09-01T13:30:00Z");
    (0..n).map(|day| range_of(first + (day * 24).hours(), first + (day * 24 + 6).hours())).collect()
}

async fn fifty_claims_at_once_get_fifty_different_runs(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    assert_eq!(site.enqueue(&site.definition("AAPL", Timeframe::H1).await, &days(50)).await, 50);
    let (places, mut tasks) = (crate::site::places(), JoinSet::new());
    for task in 0..50 {
        let database = site.database.clone();
        let place = crate::site::place(&places);
        tasks.spawn(async move {
            let _place = place.await;
            claim(&database, &format!("worker {task}"), Order::InterestFirst, None).await.unwrap().map(|run| run.id)
        });
    }
    let claimed: Vec<_> = tasks.join_all().await;
    assert!(claimed.iter().all(Option::is_some));
    assert_eq!(claimed.into_iter().collect::<BTreeSet<_>>().len(), 50);
    assert!(site.claim("late").await.is_none());
    let workers = "select count(distinct worker), min(attempt), max(attempt) from job_runs where status = 'running'";
    assert_eq!(site.rows(workers).await, ["(50,1,1)"]);
}

/// Queues one slice for one series of each symbol.
async fn queue(site: &Site, symbols: &[(&str, Timeframe)]) {
    for (symbol, timeframe) in symbols {
        let definition = site.definition(symbol, *timeframe).await;
        assert_eq!(site.enqueue(&definition, &days(1)).await, 1);
    }
}

async fn claimed_in_order(site: &Site, order: Order, n: usize) -> Vec<String> {
    let mut claimed = Vec::new();
    for _ in 0..n {
        let run = claim(&site.database, "worker", order, None).await.unwrap().unwrap();
        claimed.push(format!("{} {}", run.ticker, run.timeframe));
    }
    claimed
}

async fn interest_of_all_kinds(owner: Owner) -> Site {
    let site = Site::at(owner, TUESDAY).await;
    site.track(ALICE, &["NVDA"], Source::RecentSearch).await;
    site.track(ALICE, &["TSLA"], Source::Watchlist).await;
    site.track(ALICE, &["AMD"], Source::ChartView).await;
    let h1 = Timeframe::H1;
    queue(&site, &[("NVDA", h1), ("MSFT", Timeframe::M15), ("MSFT", h1), ("TSLA", h1), ("AMD", h1)]).await;
    site
}

async fn what_people_asked_for_comes_by_priority_before_background_work(owner: Owner) {
    let site = interest_of_all_kinds(owner).await;
    // 300, 200, 100; then the background's 200 and 100.
    let order = claimed_in_order(&site, Order::InterestFirst, 5).await;
    assert_eq!(order, ["TSLA h1", "AMD h1", "NVDA h1", "MSFT h1", "MSFT m15"]);
}

async fn the_slot_kept_for_background_work_takes_it_first(owner: Owner) {
    let site = interest_of_all_kinds(owner).await;
    let order = claimed_in_order(&site, Order::BackgroundFirst, 5).await;
    assert_eq!(order, ["MSFT h1", "MSFT m15", "TSLA h1", "AMD h1", "NVDA h1"]);
}

async fn the_newest_slice_comes_first(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    let h1 = site.definition("AAPL", Timeframe::H1).await;
    let mut slices = days(6);
    slices.swap(0, 3);
    slices.swap(1, 5);
    site.enqueue(&h1, &slices).await;
    let mut expected = days(6);
    expected.reverse();
    for slice in expected {
        assert_eq!(site.claim("worker").await.unwrap().slice, slice);
    }
}

async fn what_has_waited_long_enough_comes_before_a_higher_priority(owner: Owner) {
    for (waited, first) in [("19 minutes 50 seconds", "TSLA h1"), ("20 minutes 10 seconds", "NVDA h1")] {
        let site = Site::at(owner, TUESDAY).await;
        site.track(ALICE, &["TSLA"], Source::Watchlist).await;
        site.track(ALICE, &["NVDA"], Source::RecentSearch).await;
        queue(&site, &[("NVDA", Timeframe::H1)]).await;
        let wait = format!(
            "update job_runs set created_at = created_at - interval '{waited}', \
            rank_at = rank_at - interval '{waited}'"
        );
        site.run(&wait).await;
        queue(&site, &[("TSLA", Timeframe::H1), ("MSFT", Timeframe::H1)]).await;
        assert_eq!(claimed_in_order(&site, Order::InterestFirst, 2).await[0], first, "{waited}");
        // Background work comes last, however long it waited.
        site.run("update job_runs set rank_at = '2000-01-01' where status = 'queued'").await;
        assert_eq!(claimed_in_order(&site, Order::InterestFirst, 1).await, ["MSFT h1"]);
    }
}

async fn a_run_that_is_to_wait_is_not_claimed_before(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    queue(&site, &[("AAPL", Timeframe::H1)]).await;
    site.run("update job_runs set run_after = now() + interval '1 hour'").await;
    assert!(site.claim("worker").await.is_none());
    site.run("update job_runs set run_after = now()").await;
    assert!(site.claim("worker").await.is_some());
}

async fn claims_can_be_narrowed_to_symbols(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    queue(&site, &[("AAPL", Timeframe::H1), ("MSFT", Timeframe::H1)]).await;
    let narrowed = async |symbols: &[&str]| {
        let of = tickers(symbols);
        claim(&site.database, "worker", Order::InterestFirst, Some(&of)).await.unwrap().map(|run| run.ticker)
    };
    assert_eq!(narrowed(&["TSLA"]).await, None);
    assert_eq!(narrowed(&["TSLA", "MSFT"]).await, Some(ticker("MSFT")));
    assert_eq!(narrowed(&["TSLA", "MSFT"]).await, None);
}

async fn a_claim_says_everything_that_a_worker_needs(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    definitions::ensure_background(&site.database, &tickers(&["BTC-USD"]), &[Timeframe::H1], None).await.unwrap();
    let slice = range("2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z");
    let run = site.held(&site.definition("BTC-USD", Timeframe::H1).await, slice, "worker").await;
    assert_eq!((run.worker.as_str(), run.attempt, run.failures), ("worker", 1, 0));
    assert_eq!((run.ticker, run.timeframe, run.slice), (ticker("BTC-USD"), Timeframe::H1, slice));
    assert_eq!(run.calendar, market::Calendar::AlwaysOpen);
    let row = "select r.status, r.job_type, s.id is not null, r.lease_until > now() + interval '30 seconds',
        r.started_at is not null from job_runs r join symbols s on s.ticker = r.symbol";
    assert_eq!(site.rows(row).await, ["(running,fetch_intraday,t,t,t)"]);
    let progress =
        store::backfill_progress::for_symbols(&site.database, &tickers(&["BTC-USD"]), at("2020-01-01T00:00:00Z"))
            .await
            .unwrap();
    assert_eq!((progress.queued, progress.running), (0, 1));
}

async fn the_public_claim_and_reset_work_as_they_used_to(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    assert!(site.rows("select * from claim_queued_job()").await.is_empty());
    assert_eq!(site.value("select reset_count from reset_stale_running_jobs()").await, "0");
    queue(&site, &[("AAPL", Timeframe::H1)]).await;
    assert_eq!(
        site.rows("select symbol, timeframe, job_type, slice_from, slice_to from claim_queued_job()").await,
        ["(AAPL,h1,fetch_intraday,\"2026-09-01 13:30:00+00\",\"2026-09-01 19:30:00+00\")"]
    );
    assert!(site.rows("select * from claim_queued_job()").await.is_empty());
    assert_eq!(site.value("select reset_count from reset_stale_running_jobs(60, 5)").await, "0");
    site.run("update job_runs set started_at = now() - interval '61 minutes'").await;
    assert_eq!(site.value("select reset_count from reset_stale_running_jobs(60, 5)").await, "1");
    assert_eq!(site.rows("select job_run_id is not null, symbol from claim_queued_job()").await, ["(t,AAPL)"]);
    site.run("update job_runs set failures = 5, lease_until = now() - interval '1 second'").await;
    assert_eq!(site.value("select reset_count from reset_stale_running_jobs()").await, "1");
    assert_eq!(site.value("select status from job_runs").await, "failed");
}
