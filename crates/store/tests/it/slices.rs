//! Slices of one series never overlap, whichever caller queues them.

use jiff::ToSpan;
use market::{Range, Timeframe};
use store::runs::{self, Slices};
use testkit::Owner;
use tokio::task::JoinSet;

use crate::site::{Site, TUESDAY, at, range, range_of};

for_every_owner! {
    what_is_queued_or_running_already_is_left_out,
}

for_one_owner! {
    what_failed_is_left_out_until_it_is_admitted_again,
    overlapping_slices_of_one_call_are_queued_once,
    many_who_queue_overlapping_slices_at_once_leave_no_overlap,
    what_succeeded_may_be_asked_for_again,
    a_slice_that_is_no_range_is_refused,
    nothing_is_queued_for_a_definition_that_is_suspended_or_not_the_one_named,
}

const OVERLAPS: &str =
    "select a.slice_from, b.slice_from from job_runs a join job_runs b on a.job_def_id = b.job_def_id
    and a.id < b.id and tstzrange(a.slice_from, a.slice_to) && tstzrange(b.slice_from, b.slice_to)
    where a.status in ('queued', 'running') and b.status in ('queued', 'running')";

async fn queued(site: &Site) -> Vec<String> {
    site.rows(
        "select to_char(slice_from, 'DD HH24:MI') || ' to ' || to_char(slice_to, 'DD HH24:MI') as s from job_runs
        where status = 'queued' order by slice_from",
    )
    .await
}

async fn what_is_queued_or_running_already_is_left_out(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    let h1 = site.definition("AAPL", Timeframe::H1).await;
    site.held(&h1, range("2026-11-18T14:30:00Z", "2026-11-18T21:00:00Z"), "worker").await;
    assert_eq!(site.enqueue(&h1, &[range("2026-11-20T14:30:00Z", "2026-11-20T21:00:00Z")]).await, 1);
    let whole = range("2026-11-17T14:30:00Z", "2026-11-23T21:00:00Z");
    assert_eq!(site.enqueue(&h1, &[whole]).await, 3);
    assert_eq!(
        queued(&site).await,
        [
            "(\"17 14:30 to 18 14:30\")",
            "(\"18 21:00 to 20 14:30\")",
            "(\"20 14:30 to 20 21:00\")",
            "(\"20 21:00 to 23 21:00\")",
        ]
    );
    assert_eq!(site.enqueue(&h1, &[whole]).await, 0);
    // Another timeframe is another series.
    assert_eq!(site.enqueue(&site.definition("AAPL", Timeframe::H4).await, &[whole]).await, 1);
}

async fn overlapping_slices_of_one_call_are_queued_once(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    let h1 = site.definition("AAPL", Timeframe::H1).await;
    let slices = [
        range("2026-11-18T14:30:00Z", "2026-11-18T21:00:00Z"),
        range("2026-11-18T18:30:00Z", "2026-11-19T21:00:00Z"),
        range("2026-11-18T14:30:00Z", "2026-11-18T21:00:00Z"),
        range("2026-11-17T14:30:00Z", "2026-11-18T16:30:00Z"),
    ];
    assert_eq!(site.enqueue(&h1, &slices).await, 3);
    assert_eq!(
        queued(&site).await,
        ["(\"17 14:30 to 18 14:30\")", "(\"18 14:30 to 18 21:00\")", "(\"18 21:00 to 19 21:00\")"]
    );
}

async fn many_who_queue_overlapping_slices_at_once_leave_no_overlap(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    let h1 = site.definition("AAPL", Timeframe::H1).await;
    let (places, mut tasks) = (crate::site::places(), JoinSet::new());
    for task in 0..30_i64 {
        let (database, h1) = (site.database.clone(), h1.clone());
        let place = crate::site::place(&places);
        tasks.spawn(async move {
            let _place = place.await;
            let from = at("2026-11-02T14:30:00Z") + (task % 10 * 13).hours();
            let slices: Vec<Range> =
                (0..4).map(|n| range_of(from + (n * 20).hours(), from + (n * 20 + 30).hours())).collect();
            let mut tx = database.begin().await.unwrap();
            runs::enqueue(&mut tx, &[Slices { definition: &h1, slices, triggered_by: "test" }]).await.unwrap();
            tx.commit().await.unwrap();
        });
    }
    tasks.join_all().await;
    assert!(site.rows(OVERLAPS).await.is_empty());
    // All requested ranges are queued.
    let all = "select range_agg(tstzrange(slice_from, slice_to)) from job_runs";
    assert_eq!(site.value(all).await, r#"{[""2026-11-02 14:30:00+00"",""2026-11-11 05:30:00+00"")}"#);
}

async fn what_failed_is_left_out_until_it_is_admitted_again(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    let h1 = site.definition("AAPL", Timeframe::H1).await;
    let slice = range("2026-11-18T14:30:00Z", "2026-11-18T21:00:00Z");
    assert_eq!(site.enqueue(&h1, &[slice]).await, 1);
    for (code, too_soon, time) in [
        ("transport", "4 minutes", "6 minutes"),
        ("refused", "23 hours", "25 hours"),
        ("worker_lost", "23 hours", "25 hours"),
        ("", "4 minutes", "6 minutes"),
    ] {
        for (since, admitted) in [(too_soon, 0), (time, 1)] {
            site.run(&format!(
                "update job_runs set status = 'failed', failures = 5, error_code = nullif('{code}', ''),
                    finished_at = now() - interval '{since}'"
            ))
            .await;
            assert_eq!(site.enqueue(&h1, &[slice]).await, 0);
            assert_eq!(runs::readmit_failed(&site.database).await.unwrap(), admitted, "{code} {since}");
        }
        // One more failure and it waits again.
        assert_eq!(site.rows("select status, failures, finished_at from job_runs").await, ["(queued,4,)"]);
    }
    // Slices that are running again, covered or without interest are not changed.
    site.run("update job_runs set status = 'failed', finished_at = now() - interval '25 hours'").await;
    site.run("update job_definitions set enabled = false where symbol = 'AAPL'").await;
    assert_eq!(runs::readmit_failed(&site.database).await.unwrap(), 0);
}

async fn what_succeeded_may_be_asked_for_again(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    let h1 = site.definition("AAPL", Timeframe::H1).await;
    let slice = range("2026-11-18T14:30:00Z", "2026-11-18T21:00:00Z");
    let run = site.held(&h1, slice, "worker").await;
    assert!(site.answer(&run, &[]).await);
    assert_eq!(site.enqueue(&h1, &[slice]).await, 1);
}

async fn a_slice_that_is_no_range_is_refused(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    let id = site.definition("AAPL", Timeframe::H1).await.id;
    for slice in [r#"{"from": "2026-11-19", "to": "2026-11-18"}"#, r#"{"from": "2026-11-19"}"#, r#"{"from": "x"}"#] {
        let mut tx = site.database.begin().await.unwrap();
        let enqueue = format!(
            "select inserted_count from enqueue_job_slices('{id}', 'AAPL', 'h1', 'fetch_intraday', '[{slice}]')"
        );
        assert!(crate::site::rows_in(&mut tx, &enqueue).await.is_err(), "{slice}");
    }
    let empty = r#"[{"slice_from": "2026-11-18", "slice_to": "2026-11-18"}]"#;
    let enqueue =
        format!("select inserted_count from enqueue_job_slices('{id}', 'AAPL', 'h1', 'fetch_intraday', '{empty}')");
    assert_eq!(site.rows(&enqueue).await, ["(0)"]);
    assert_eq!(site.value("select count(*) from job_runs").await, "0");
}

async fn nothing_is_queued_for_a_definition_that_is_suspended_or_not_the_one_named(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    let h1 = site.definition("AAPL", Timeframe::H1).await;
    let slice = range("2026-11-18T14:30:00Z", "2026-11-18T21:00:00Z");
    let mut other = h1.clone();
    other.timeframe = Timeframe::H4;
    assert_eq!(site.enqueue(&other, &[slice]).await, 0);
    assert_eq!(site.enqueue(&h1, &[slice]).await, 1);
    store::symbols::suspend(&site.database, &h1.ticker, "no provider knows it").await.unwrap();
    let cancelled = "select status, error_code, error_message from job_runs";
    assert_eq!(site.rows(cancelled).await, ["(cancelled,unknown_symbol,\"no provider knows it\")"]);
    assert_eq!(site.enqueue(&h1, &[slice]).await, 0);
    store::symbols::confirm_listed(&site.database, &h1.ticker, "", "").await.unwrap();
    assert_eq!(site.enqueue(&h1, &[slice]).await, 1);
}
