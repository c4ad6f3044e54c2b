//! One account's budget of requests is one for all processes.

use std::time::Duration;

use crate::{
    parts::{AS_OF, Site},
    running::eventually,
};

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_on_one_account_never_send_more_than_its_limit() {
    // Sixty a minute, and far more to do than that.
    let mut site = Site::new(|settings| {
        settings.requests_per_minute = 60;
        settings.latency = Duration::from_millis(20);
    })
    .await;
    let _planner = site.part(&["plan", "--as-of", AS_OF]);
    let _workers = [site.part(&["work"]), site.part(&["work"])];
    let many: Vec<String> = (0..450).map(|n| format!("S{n}")).collect();
    site.track(&many.iter().map(String::as_str).collect::<Vec<_>>()).await;
    eventually("the budget is used up", async || (site.market.simulator.stats().total() >= 60).then_some(())).await;
    // Until that minute is over: slots come free in the next.
    let stats = eventually("slots have come free", async || {
        let stats = site.market.simulator.stats();
        assert_eq!(stats.throttled, 0);
        (stats.total() >= 70).then_some(stats)
    })
    .await;
    assert!(stats.busiest_minute <= 60, "{stats:?}");
    let waiting = site.runs_by_status().await;
    assert!(waiting["queued"] > 0 && !waiting.contains_key("failed"), "{waiting:?}");
}
