//! What takes long to see: a worker that was frozen past its lease writes nothing, and what a provider tells one worker holds
//! for those of all processes.

use std::time::Duration;

use crate::{
    parts::{AS_OF, SYMBOLS, Site},
    running::eventually,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_frozen_past_its_lease_and_thawed_writes_nothing() {
    let mut site = Site::new(|settings| settings.latency = Duration::from_secs(2)).await;
    let _planner = site.part(&["plan", "--as-of", AS_OF]);
    let frozen = site.part(&["work", "--concurrency", "1"]);
    site.track(&["KO"]).await;
    let held = eventually("a run is under way", async || {
        let held: Vec<(uuid::Uuid, String)> =
            sqlx::query_as("select id, worker from job_runs where status = 'running'")
                .fetch_all(&mut site.sql().await)
                .await
                .unwrap();
        (!held.is_empty()).then_some(held)
    })
    .await;
    eventually("it has asked for bars", async || (!site.asked().is_empty()).then_some(())).await;
    frozen.signal("STOP");
    let other = site.part(&["work"]);
    let ids: Vec<uuid::Uuid> = held.iter().map(|(id, _)| *id).collect();
    // A minute, by the database's clock: that long it may still be at work.
    let lease =
        "select bool_and(lease_until <= clock_timestamp() + interval '60 seconds') from job_runs where id = any ($1)";
    let is_short: Option<bool> = sqlx::query_scalar(lease).bind(&ids).fetch_one(&mut site.sql().await).await.unwrap();
    assert_eq!(is_short, Some(true));
    let taken_over = "select id, attempt, worker, status from job_runs where id = any ($1) order by id";
    eventually("another has done them", async || {
        let runs: Vec<(uuid::Uuid, i32, Option<String>, String)> =
            sqlx::query_as(taken_over).bind(&ids).fetch_all(&mut site.sql().await).await.unwrap();
        let are_done = runs.iter().all(|(_, attempt, _, status)| *attempt == 2 && status == "success");
        assert!(!are_done || runs.iter().all(|(_, _, worker, _)| *worker != Some(held[0].1.clone())), "{runs:?}");
        are_done.then_some(())
    })
    .await;
    site.until_all_is_done().await;
    drop(other);
    let everything = async || -> Vec<String> {
        sqlx::query_scalar(
            "select 'b' || xmin::text || b::text from ohlc_bars_v2 b
            union all select 'c' || xmin::text || c::text from coverage_status c
            union all select 'r' || xmin::text || r::text from job_runs r
            order by 1",
        )
        .fetch_all(&mut site.sql().await)
        .await
        .unwrap()
    };
    let rows = everything().await;
    let asked = site.asked().len();
    frozen.signal("CONT");
    // It has found out, and looks for other work: its process says that it lives.
    let thawed = jiff::Timestamp::now();
    eventually("it goes on", async || {
        let seen: Option<bool> =
            sqlx::query_scalar("select last_seen > $2::timestamptz from barkeep.processes where name = $1")
                .bind(&held[0].1)
                .bind(thawed.to_string())
                .fetch_optional(&mut site.sql().await)
                .await
                .unwrap();
        (seen == Some(true)).then_some(())
    })
    .await;
    assert_eq!(everything().await, rows, "it wrote something");
    assert_eq!(site.asked().len(), asked, "it asked for something");
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_wait_30_seconds_no_worker_of_any_process_asks_before_and_no_attempt_is_spent() {
    let mut site = Site::new(|settings| {
        settings.faults = vec!["throttle:30=1".parse().unwrap()];
        settings.latency = Duration::from_millis(30);
    })
    .await;
    let _planner = site.part(&["plan", "--as-of", AS_OF]);
    let _workers = [site.part(&["work"]), site.part(&["work"])];
    site.track(&SYMBOLS).await;
    eventually("it is told to wait", async || (site.market.simulator.stats().throttled > 0).then_some(())).await;
    // What was under way when the first was told.
    eventually("nothing is under way", async || {
        let under_way: i64 = sqlx::query_scalar("select count(*) from barkeep.budget_requests")
            .fetch_one(&mut site.sql().await)
            .await
            .unwrap();
        (under_way == 0).then_some(())
    })
    .await;
    let told = site.market.simulator.seen();
    site.market.simulator.set_faults(Vec::new()).unwrap();
    site.until_all_is_done().await;
    let seen = site.market.simulator.seen();
    let (first_told, first_after) = (told[0].at, seen[told.len()].at);
    let waited = first_after - told[told.len() - 1].at;
    assert!(first_after - first_told >= Duration::from_secs(30), "asked again after {:?}", first_after - first_told);
    assert!(waited >= Duration::from_secs(29), "asked again after {waited:?}");
    // Those told were under way together: of ten slots none has sent a second one.
    assert!(told.len() <= 10, "{} requests", told.len());
    let tries: Vec<(i32, i32)> = sqlx::query_as("select distinct attempt, failures from job_runs")
        .fetch_all(&mut site.sql().await)
        .await
        .unwrap();
    assert_eq!(tries, [(1, 0)]);
}
