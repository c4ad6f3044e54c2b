//! Rereads of the last session after it has ended.

use std::time::Duration;

use market::{Range, Timeframe};
use store::{
    definitions, rereads,
    runs::{Failure, Outcome},
};
use testkit::{ALICE, Owner};

use crate::site::{Site, expected, fail, finish, flat, range, store_bars, tickers};

for_every_owner! {
    a_session_that_was_read_before_late_trades_is_read_once_more_an_hour_after_its_close,
}

for_one_owner! {
    final_bars_that_change_are_counted_and_others_are_not,
    a_session_that_was_first_read_later_is_not_read_again,
    reading_once_more_is_background_work_and_no_gap,
    a_series_is_due_when_its_session_is_to_be_read_once_more,
    a_session_that_could_not_be_read_once_more_is_tried_again_and_is_no_failure,
    the_day_of_a_market_that_never_closes_is_read_once_more_an_hour_after_midnight,
}

/// Ten minutes after the close of a Monday, and over an hour after it.
const JUST_CLOSED: &str = "2026-11-23T21:10:00Z";
const LATER: &str = "2026-11-23T22:05:00Z";

fn monday() -> Range {
    range("2026-11-23T14:30:00Z", "2026-11-23T21:00:00Z")
}

/// Fills the gaps of a series as workers do, and returns how many final bars that changed.
async fn fill(site: &Site, symbol: &str, timeframe: Timeframe, price: f64) -> u64 {
    let definition = site.definition(symbol, timeframe).await;
    let mut changed = 0;
    for gap in site.gaps(&definition).await {
        let run = site.held(&definition, gap, "worker").await;
        let mut bars = expected(&definition, gap);
        // Late trades change the last one.
        if let Some(last) = bars.last_mut() {
            *last = flat(last.bar.start, price);
        }
        let mut tx = site.database.begin().await.unwrap();
        let rows = store_bars(&mut tx, &run, &bars).await.unwrap();
        assert!(finish(&mut tx, &run, Some(gap), rows).await.unwrap());
        let outcome = Outcome { run: &run, covered: Some(gap), rows, requests: 1 };
        changed += rereads::note(&mut tx, &[outcome]).await.unwrap();
        tx.commit().await.unwrap();
    }
    changed
}

async fn gaps(site: &Site, timeframe: Timeframe) -> Vec<Range> {
    site.gaps(&site.definition("AAPL", timeframe).await).await
}

async fn a_session_that_was_read_before_late_trades_is_read_once_more_an_hour_after_its_close(owner: Owner) {
    let site = Site::at(owner, JUST_CLOSED).await;
    definitions::ensure_background(&site.database, &tickers(&["AAPL"]), &[Timeframe::D1], None).await.unwrap();
    for timeframe in [Timeframe::M15, Timeframe::H1, Timeframe::H4, Timeframe::D1] {
        fill(&site, "AAPL", timeframe, 100.0).await;
        assert_eq!(gaps(&site, timeframe).await, []);
    }
    site.set_clock(LATER).await;
    for timeframe in [Timeframe::M15, Timeframe::H1, Timeframe::H4, Timeframe::D1] {
        assert_eq!(gaps(&site, timeframe).await, [monday()], "{timeframe}");
        assert_eq!(fill(&site, "AAPL", timeframe, 101.0).await, 1, "{timeframe}");
        assert_eq!(gaps(&site, timeframe).await, [], "{timeframe}: once");
    }
    assert_eq!(site.value("select count(*) from barkeep.rereads").await, "0");
}

async fn a_session_that_was_first_read_later_is_not_read_again(owner: Owner) {
    let site = Site::at(owner, LATER).await;
    fill(&site, "AAPL", Timeframe::M15, 100.0).await;
    assert_eq!(site.value("select count(*) from barkeep.rereads").await, "0");
}

async fn reading_once_more_is_background_work_and_no_gap(owner: Owner) {
    let site = Site::at(owner, JUST_CLOSED).await;
    site.track(ALICE, &["AAPL"], store::tracking::Source::Watchlist).await;
    fill(&site, "AAPL", Timeframe::M15, 100.0).await;
    site.set_clock(LATER).await;
    assert_eq!(site.rows("select * from get_coverage_gaps('AAPL', 'm15', 30)").await, Vec::<String>::new());
    let m15 = site.definition("AAPL", Timeframe::M15).await;
    assert!(m15.by_interest);
    assert_eq!(site.enqueue(&m15, &site.gaps(&m15).await).await, 1);
    let runs = "select by_interest, triggered_by from job_runs where status = 'queued'";
    assert_eq!(site.rows(runs).await, ["(f,reread)"]);
}

async fn a_series_is_due_when_its_session_is_to_be_read_once_more(owner: Owner) {
    let site = Site::at(owner, JUST_CLOSED).await;
    let h4 = site.definition("AAPL", Timeframe::H4).await;
    let next = "select next_due_at from job_definitions where symbol = 'AAPL' and timeframe = 'h4'";
    let plan = async || {
        let mut tx = site.database.begin().await.unwrap();
        definitions::mark_planned(&mut tx, std::slice::from_ref(&h4)).await.unwrap();
        tx.commit().await.unwrap();
    };
    plan().await;
    assert_eq!(site.value(next).await, "2026-11-24 18:31:00+00");
    fill(&site, "AAPL", Timeframe::H4, 100.0).await;
    assert_eq!(site.value(next).await, "2026-11-23 22:00:00+00");
    plan().await;
    assert_eq!(site.value(next).await, "2026-11-23 22:00:00+00");
}

async fn final_bars_that_change_are_counted_and_others_are_not(owner: Owner) {
    let site = Site::at(owner, JUST_CLOSED).await;
    let counted = "select corrections from coverage_status where symbol = 'AAPL' and timeframe = 'h1'";
    assert_eq!(fill(&site, "AAPL", Timeframe::H1, 100.0).await, 0);
    assert_eq!(site.value(counted).await, "0");
    site.set_clock(LATER).await;
    // A provisional one becomes final, which is no correction; the other is unchanged.
    site.run("update ohlc_bars_v2 set data_status = 'provisional' where ts = '2026-11-23 20:30+00'").await;
    assert_eq!(fill(&site, "AAPL", Timeframe::H1, 102.0).await, 0);
    assert_eq!(site.value(counted).await, "0");
    site.run("update ohlc_bars_v2 set close = 100.5, high = 103 where ts >= '2026-11-23 19:30+00'").await;
    assert_eq!(site.value(counted).await, "2");
}

async fn a_session_that_could_not_be_read_once_more_is_tried_again_and_is_no_failure(owner: Owner) {
    let site = Site::at(owner, JUST_CLOSED).await;
    fill(&site, "AAPL", Timeframe::M15, 100.0).await;
    site.set_clock(LATER).await;
    let m15 = site.definition("AAPL", Timeframe::M15).await;
    let run = site.held(&m15, monday(), "worker").await;
    let failure = Failure {
        code: "refused",
        message: "no".to_owned(),
        retry_after: Duration::ZERO,
        blame: store::runs::Blame::Request,
        terminal: true,
        requests: 1,
    };
    assert!(fail(&site.database, &run, &failure).await.unwrap());
    let ended = "select status, error_message from job_runs order by created_at desc limit 1";
    assert_eq!(site.rows(ended).await, ["(cancelled,\"The reread failed: no\")"]);
    assert_eq!(site.gaps(&m15).await, []);
    site.set_clock("2026-11-23T23:10:00Z").await;
    assert_eq!(site.gaps(&m15).await, [monday()]);
}

async fn the_day_of_a_market_that_never_closes_is_read_once_more_an_hour_after_midnight(owner: Owner) {
    let site = Site::at(owner, "2026-11-24T00:10:00Z").await;
    site.track(ALICE, &["BTC-USD"], store::tracking::Source::Watchlist).await;
    fill(&site, "BTC-USD", Timeframe::H4, 100.0).await;
    site.set_clock("2026-11-24T01:05:00Z").await;
    let gaps = site.gaps(&site.definition("BTC-USD", Timeframe::H4).await).await;
    assert_eq!(gaps, [range("2026-11-23T00:00:00Z", "2026-11-24T00:00:00Z")]);
    fill(&site, "BTC-USD", Timeframe::H4, 100.0).await;
    assert_eq!(site.gaps(&site.definition("BTC-USD", Timeframe::H4).await).await, []);
}
