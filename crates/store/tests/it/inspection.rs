//! Diagnostics report what there is, and change nothing.

use store::{diagnostics, tracking::Source};
use testkit::{ALICE, Owner};

use crate::site::{Site, TUESDAY};

for_every_owner! {
    a_database_that_is_as_it_should_be_has_no_findings,
    looking_leaves_no_trace,
}

async fn a_database_that_is_as_it_should_be_has_no_findings(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    site.track(ALICE, &["AAPL", "FRESH"], Source::Watchlist).await;
    let facts = diagnostics::collect(&site.database).await.unwrap();
    assert_eq!(facts.triggers_missing, [""; 0]);
    assert_eq!(facts.open_tables, [""; 0]);
    assert_eq!(facts.anonymous_may, [""; 0]);
    assert_eq!(facts.broken_functions, [""; 0]);
    assert_eq!(
        [
            facts.definitions_missing,
            facts.wrong_priorities,
            facts.wrong_ranks,
            facts.overlaps,
            facts.slices_in_closed_hours,
            facts.stale_runs,
            facts.series_out_of_time,
            facts.stale_provisional,
            facts.quarantined,
        ],
        [0; 9]
    );
    assert_eq!((facts.symbols, facts.tracking_rows, facts.tracking_users), (21, 2, 1));
    assert!(facts.schedule_shown && facts.last_sync.is_some() && facts.as_of.is_some());
    assert!(facts.server_version.starts_with(|c: char| c.is_ascii_digit()));
}

async fn looking_leaves_no_trace(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    let h1 = site.definition("AAPL", market::Timeframe::H1).await;
    let gaps = site.gaps(&h1).await;
    site.enqueue(&h1, &gaps).await;
    let everything = "select xmin::text, r.* from job_runs r";
    let before = site.rows(everything).await;
    diagnostics::collect(&site.database).await.unwrap();
    assert_eq!(site.rows(everything).await, before, "the claim that was tried out was rolled back");
}
