//! A worker that lost its lease writes nothing, and its run continues on another worker.

use std::time::Duration;

use market::Timeframe;
use store::{
    definitions::Definition,
    runs::{self, ClaimedRun, Failure},
};
use testkit::Owner;

use crate::site::{Site, TUESDAY, expected, fail, finish, range, renew, store_bars};

for_every_owner! {
    the_loser_can_neither_finish_nor_fail_nor_renew_and_its_bars_are_gone,
}

for_one_owner! {
    the_runs_of_workers_known_to_be_dead_are_freed_at_once,
    a_run_whose_lease_ended_goes_to_another_with_the_next_attempt,
    a_lease_that_ended_is_lost_even_if_nobody_took_the_run,
    a_lease_can_be_renewed_while_it_lasts,
    a_run_that_outlives_25_workers_is_failed_and_can_be_retried,
    a_run_is_finished_once,
}

async fn one_held(owner: Owner) -> (Site, Definition, ClaimedRun) {
    let site = Site::at(owner, TUESDAY).await;
    let h1 = site.definition("AAPL", Timeframe::H1).await;
    let run = site.held(&h1, range("2026-11-23T14:30:00Z", "2026-11-23T21:00:00Z"), "first").await;
    (site, h1, run)
}

async fn end_leases(site: &Site) {
    site.run("update job_runs set lease_until = now() - interval '1 millisecond' where status = 'running'").await;
}

fn failure() -> Failure {
    Failure {
        code: "transport",
        message: "connection reset".to_owned(),
        retry_after: Duration::ZERO,
        blame: store::runs::Blame::Request,
        terminal: false,
        requests: 1,
    }
}

async fn a_run_whose_lease_ended_goes_to_another_with_the_next_attempt(owner: Owner) {
    let (site, _, run) = one_held(owner).await;
    assert_eq!(runs::release(&site.database, None).await.unwrap(), 0);
    assert!(site.claim("second").await.is_none());
    end_leases(&site).await;
    assert_eq!(runs::release(&site.database, None).await.unwrap(), 1);
    let again = site.claim("second").await.unwrap();
    assert_eq!((again.id, again.slice), (run.id, run.slice));
    assert_eq!((again.worker.as_str(), again.attempt, again.failures), ("second", 2, 0));
}

async fn the_loser_can_neither_finish_nor_fail_nor_renew_and_its_bars_are_gone(owner: Owner) {
    let (site, h1, lost) = one_held(owner).await;
    end_leases(&site).await;
    runs::release(&site.database, None).await.unwrap();
    let second = site.claim("second").await.unwrap();

    assert!(!site.answer(&lost, &expected(&h1, lost.slice)).await);
    assert_eq!(site.value("select count(*) from ohlc_bars_v2").await, "0");
    assert!(!fail(&site.database, &lost, &failure()).await.unwrap());
    assert!(!renew(&site.database, &lost).await.unwrap());
    let held = "select status, worker, attempt, failures from job_runs";
    assert_eq!(site.rows(held).await, ["(running,second,2,0)"]);
    assert!(site.rows("select * from coverage_status").await.is_empty());

    assert!(site.answer(&second, &expected(&h1, second.slice)).await);
    assert!(!site.answer(&lost, &[]).await);
    assert!(!fail(&site.database, &lost, &failure()).await.unwrap());
    let done = "select status, rows_written, progress_percent, provider, requests from job_runs";
    assert_eq!(site.rows(done).await, ["(success,7,100,test/sip,1)"]);
}

async fn a_lease_that_ended_is_lost_even_if_nobody_took_the_run(owner: Owner) {
    let (site, h1, run) = one_held(owner).await;
    end_leases(&site).await;
    assert!(!renew(&site.database, &run).await.unwrap());
    assert!(!fail(&site.database, &run, &failure()).await.unwrap());
    assert!(!site.answer(&run, &expected(&h1, run.slice)).await);
    assert_eq!(site.value("select count(*) from ohlc_bars_v2").await, "0");
}

async fn a_lease_can_be_renewed_while_it_lasts(owner: Owner) {
    let (site, _, run) = one_held(owner).await;
    site.run("update job_runs set lease_until = now() + interval '25 seconds'").await;
    assert!(renew(&site.database, &run).await.unwrap());
    assert_eq!(site.value("select lease_until > now() + interval '30 seconds' from job_runs").await, "t");
    // An earlier claim of the same worker is as lost as another worker's.
    let mut earlier = run.clone();
    earlier.attempt -= 1;
    assert!(!renew(&site.database, &earlier).await.unwrap());
}

async fn the_runs_of_workers_known_to_be_dead_are_freed_at_once(owner: Owner) {
    let (site, _, _) = one_held(owner).await;
    assert_eq!(runs::release(&site.database, Some("fist")).await.unwrap(), 0);
    assert_eq!(runs::release(&site.database, Some("fir")).await.unwrap(), 1);
    assert!(site.claim("second").await.is_some());
}

async fn a_run_that_outlives_25_workers_is_failed_and_can_be_retried(owner: Owner) {
    let (site, h1, _) = one_held(owner).await;
    for attempt in 2..=25 {
        end_leases(&site).await;
        assert_eq!(runs::release(&site.database, None).await.unwrap(), 1);
        assert_eq!(site.claim("next").await.unwrap().attempt, attempt);
    }
    end_leases(&site).await;
    assert_eq!(runs::release(&site.database, None).await.unwrap(), 1);
    assert!(site.claim("next").await.is_none());
    let failed = "select status, error_code, finished_at is not null from job_runs";
    assert_eq!(site.rows(failed).await, ["(failed,worker_lost,t)"]);
    assert_eq!(runs::retry_failed(&site.database, Some(&[h1.ticker])).await.unwrap(), 1);
    assert_eq!(site.claim("next").await.unwrap().attempt, 1);
}

async fn a_run_is_finished_once(owner: Owner) {
    let (site, h1, run) = one_held(owner).await;
    assert!(site.answer(&run, &expected(&h1, run.slice)).await);
    assert!(!site.answer(&run, &[]).await);
    // A transaction that the worker gives up leaves neither bars nor outcome.
    let (site, h1, run) = one_held(owner).await;
    let mut tx = site.database.begin().await.unwrap();
    let bars = expected(&h1, run.slice);
    assert_eq!(store_bars(&mut tx, &run, &bars).await.unwrap(), 7);
    assert!(finish(&mut tx, &run, Some(run.slice), 7).await.unwrap());
    tx.rollback().await.unwrap();
    let left =
        "select (select count(*) from ohlc_bars_v2), (select count(*) from coverage_status), status from job_runs";
    assert_eq!(site.rows(left).await, ["(0,0,running)"]);
}
