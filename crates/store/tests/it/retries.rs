//! What `retry_failed` queues again, and what it doesn't.

use market::{Range, Timeframe};
use store::{runs, tracking::Source};
use testkit::{ALICE, Owner};

use crate::site::{Site, TUESDAY, range, ticker};

for_every_owner! {
    one_symbol_alone_can_be_retried,
}

for_one_owner! {
    failed_runs_start_afresh,
    a_stretch_that_failed_several_times_is_queued_once,
    what_has_been_fetched_or_is_under_way_is_left_alone,
    what_nobody_wants_any_more_is_left_alone,
    a_retried_run_has_the_priority_of_now,
}

fn monday() -> Range {
    range("2026-11-23T14:30:00Z", "2026-11-23T21:00:00Z")
}

/// A run of `symbol` that ended as failed `hours` ago.
async fn failed(site: &Site, symbol: &str, slice: Range, hours: u32) {
    site.run(&format!(
        "insert into job_runs (
            job_def_id, symbol, timeframe, job_type, slice_from, slice_to, status, attempt, failures, error_code,
            finished_at
        )
        select id, symbol, timeframe, job_type, '{}', '{}', 'failed', 5, 5, 'transport',
            now() - interval '{hours} hours'
        from job_definitions where symbol = '{symbol}' and timeframe = 'h1'",
        slice.from(),
        slice.to()
    ))
    .await;
}

async fn failed_runs_start_afresh(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    failed(&site, "AAPL", monday(), 1).await;
    assert_eq!(runs::retry_failed(&site.database, None).await.unwrap(), 1);
    let run = "select status, attempt, failures, finished_at, run_after <= clock_timestamp() from job_runs";
    assert_eq!(site.rows(run).await, ["(queued,0,0,,t)"]);
    assert_eq!(runs::retry_failed(&site.database, None).await.unwrap(), 0);
}

async fn one_symbol_alone_can_be_retried(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    failed(&site, "AAPL", monday(), 1).await;
    failed(&site, "MSFT", monday(), 1).await;
    assert_eq!(runs::retry_failed(&site.database, Some(&[ticker("MSFT")])).await.unwrap(), 1);
    assert_eq!(site.rows("select symbol from job_runs where status = 'queued'").await, ["(MSFT)"]);
}

async fn a_stretch_that_failed_several_times_is_queued_once(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    failed(&site, "AAPL", monday(), 60).await;
    failed(&site, "AAPL", range("2026-11-20T14:30:00Z", "2026-11-23T21:00:00Z"), 30).await;
    failed(&site, "AAPL", range("2026-11-23T16:30:00Z", "2026-11-23T18:30:00Z"), 1).await;
    assert_eq!(runs::retry_failed(&site.database, None).await.unwrap(), 1);
    let queued = "select slice_from from job_runs where status = 'queued'";
    assert_eq!(site.value(queued).await, "2026-11-23 16:30:00+00", "the newest failure");
}

async fn what_has_been_fetched_or_is_under_way_is_left_alone(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    let h1 = site.definition("AAPL", Timeframe::H1).await;
    let run = site.held(&h1, monday(), "worker").await;
    failed(&site, "AAPL", monday(), 48).await;
    assert_eq!(runs::retry_failed(&site.database, None).await.unwrap(), 0, "running");
    assert!(site.answer(&run, &crate::site::expected(&h1, monday())).await);
    assert_eq!(runs::retry_failed(&site.database, None).await.unwrap(), 0, "fetched");
    // A partly covered one is retried.
    failed(&site, "AAPL", range("2026-11-20T14:30:00Z", "2026-11-23T21:00:00Z"), 2).await;
    assert_eq!(runs::retry_failed(&site.database, None).await.unwrap(), 1);
}

async fn what_nobody_wants_any_more_is_left_alone(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    site.track(ALICE, &["FRESH"], Source::Watchlist).await;
    failed(&site, "FRESH", monday(), 1).await;
    site.untrack(ALICE, "FRESH", None).await;
    assert_eq!(runs::retry_failed(&site.database, None).await.unwrap(), 0);
    assert_eq!(site.value("select status from job_runs").await, "failed");
}

async fn a_retried_run_has_the_priority_of_now(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    failed(&site, "AAPL", monday(), 1).await;
    site.track(ALICE, &["AAPL"], Source::Watchlist).await;
    assert_eq!(runs::retry_failed(&site.database, None).await.unwrap(), 1);
    let ranked = "select priority, by_interest, created_at - rank_at from job_runs";
    assert_eq!(site.rows(ranked).await, ["(300,t,00:30:00)"]);
}
