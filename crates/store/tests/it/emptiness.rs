//! Sessions without a bar: covered at once, requested once more a day later, then verified as empty.

use market::{Range, Timeframe};
use store::{definitions, definitions::Definition};
use testkit::Owner;

use crate::site::{Site, TUESDAY, expected, finish, range, tickers};

for_every_owner! {
    an_empty_session_is_asked_for_once_more_after_a_day_and_then_believed,
}

for_one_owner! {
    bars_that_come_with_the_second_look_end_the_matter,
    part_of_a_session_without_a_bar_is_believed_at_once,
    a_session_with_bars_is_not_asked_for_again,
    an_empty_session_answered_again_before_its_time_keeps_its_turn,
    what_was_not_answered_is_not_covered,
    a_session_that_came_back_empty_bar_by_bar_is_asked_for_once_more_too,
    what_an_answer_left_open_is_looked_at_again_soon,
}

const EMPTY: (&str, &str) = ("2026-11-18T14:30:00Z", "2026-11-18T21:00:00Z");

fn empty() -> Range {
    range(EMPTY.0, EMPTY.1)
}

/// A series that is complete except for one session, which was returned without a bar.
async fn with_an_empty_session(owner: Owner) -> (Site, Definition) {
    let site = Site::at(owner, TUESDAY).await;
    let h1 = site.definition("AAPL", Timeframe::H1).await;
    for gap in site.gaps(&h1).await {
        let run = site.held(&h1, gap, "worker").await;
        let mut bars = expected(&h1, gap);
        bars.retain(|bar| !empty().contains(bar.bar.start));
        assert!(site.answer(&run, &bars).await);
    }
    (site, h1)
}

async fn an_empty_session_is_asked_for_once_more_after_a_day_and_then_believed(owner: Owner) {
    let (site, h1) = with_an_empty_session(owner).await;
    assert_eq!(site.gaps(&h1).await, [], "covered at once");
    let mut tx = site.database.begin().await.unwrap();
    definitions::mark_planned(&mut tx, std::slice::from_ref(&h1)).await.unwrap();
    tx.commit().await.unwrap();

    // A day later, on the market's clock; then there are new bars too.
    site.set_clock("2026-11-25T17:00:05Z").await;
    let gaps = site.gaps(&h1).await;
    assert_eq!(gaps, [empty(), range("2026-11-24T16:30:00Z", "2026-11-25T16:30:00Z")]);
    for gap in gaps {
        let run = site.held(&h1, gap, "worker").await;
        let bars = if gap == empty() { Vec::new() } else { expected(&h1, gap) };
        assert!(site.answer(&run, &bars).await);
    }
    assert_eq!(site.gaps(&h1).await, []);
    assert!(site.rows("select * from barkeep.empty_sessions").await.is_empty());
    let whole = "select count(*) from coverage_status, unnest(covered)";
    assert_eq!(site.value(whole).await, "1", "still one range");

    site.run("update barkeep.market_clock set as_of = '2026-11-27T14:00:00Z', set_at = now()").await;
    assert_eq!(site.gaps(&h1).await, [range("2026-11-25T16:30:00Z", "2026-11-25T21:00:00Z")], "never again");
}

async fn bars_that_come_with_the_second_look_end_the_matter(owner: Owner) {
    let (site, h1) = with_an_empty_session(owner).await;
    site.set_clock("2026-11-25T17:00:05Z").await;
    site.fill(&h1).await;
    assert_eq!(site.gaps(&h1).await, []);
    assert!(site.rows("select * from barkeep.empty_sessions").await.is_empty());
    let day = "select count(*) from ohlc_bars_v2 where ts >= '2026-11-18' and ts < '2026-11-19'";
    assert_eq!(site.value(day).await, "7");
}

async fn part_of_a_session_without_a_bar_is_believed_at_once(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    let h1 = site.definition("AAPL", Timeframe::H1).await;
    let run = site.held(&h1, range("2026-11-23T16:30:00Z", "2026-11-23T21:00:00Z"), "worker").await;
    assert!(site.answer(&run, &[]).await);
    assert!(site.rows("select * from barkeep.empty_sessions").await.is_empty());
}

async fn a_session_with_bars_is_not_asked_for_again(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    let h1 = site.definition("AAPL", Timeframe::H1).await;
    site.fill(&h1).await;
    assert!(site.rows("select * from barkeep.empty_sessions").await.is_empty());
    // The planner returns for an empty session even if no new bar would be due before.
    let (site, h1) = with_an_empty_session(owner).await;
    site.run("update barkeep.empty_sessions set recheck_at = barkeep.market_now() + interval '5 minutes'").await;
    let mut tx = site.database.begin().await.unwrap();
    definitions::mark_planned(&mut tx, std::slice::from_ref(&h1)).await.unwrap();
    tx.commit().await.unwrap();
    let soon = "select next_due_at < barkeep.market_now() + interval '5 minutes' from job_definitions
        where symbol = 'AAPL' and timeframe = 'h1'";
    assert_eq!(site.value(soon).await, "t");
    assert_eq!(definitions::due(&site.database, Some(&tickers(&["AAPL"])), 10).await.unwrap().len(), 2);
}

async fn an_empty_session_answered_again_before_its_time_keeps_its_turn(owner: Owner) {
    let (site, h1) = with_an_empty_session(owner).await;
    site.set_clock("2026-11-24T18:00:00Z").await;
    let run = site.held(&h1, empty(), "worker").await;
    assert!(site.answer(&run, &[]).await);
    assert_eq!(site.value("select count(*) from barkeep.empty_sessions").await, "1");
    site.set_clock("2026-11-25T17:00:05Z").await;
    let again = site.held(&h1, empty(), "worker").await;
    assert!(site.answer(&again, &[]).await);
    assert!(site.rows("select * from barkeep.empty_sessions").await.is_empty());
}

async fn what_was_not_answered_is_not_covered(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    let h1 = site.definition("AAPL", Timeframe::H1).await;
    let slice = range("2026-11-23T14:30:00Z", "2026-11-24T16:30:00Z");
    let run = site.held(&h1, slice, "worker").await;
    let mut tx = site.database.begin().await.unwrap();
    let half = range("2026-11-23T14:30:00Z", "2026-11-23T18:30:00Z");
    assert!(finish(&mut tx, &run, Some(half), 0).await.unwrap());
    tx.commit().await.unwrap();
    let gaps = site.gaps(&h1).await;
    assert_eq!(gaps.last().unwrap(), &range("2026-11-23T18:30:00Z", "2026-11-24T16:30:00Z"));
    // Nothing was covered at all.
    let run = site.held(&h1, *gaps.last().unwrap(), "worker").await;
    let mut tx = site.database.begin().await.unwrap();
    assert!(finish(&mut tx, &run, None, 0).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(site.gaps(&h1).await, gaps);
}

async fn a_session_that_came_back_empty_bar_by_bar_is_asked_for_once_more_too(owner: Owner) {
    let site = Site::at(owner, "2026-11-18T14:30:00Z").await;
    let h1 = site.definition("AAPL", Timeframe::H1).await;
    site.fill(&h1).await;
    for now in ["15:30", "16:30", "17:30", "18:30", "19:30", "20:30"] {
        site.set_clock(&format!("2026-11-18T{now}:05Z")).await;
        for gap in site.gaps(&h1).await {
            let run = site.held(&h1, gap, "worker").await;
            assert!(site.answer(&run, &[]).await);
        }
        assert!(site.rows("select * from barkeep.empty_sessions").await.is_empty(), "the session is not over");
    }
    site.set_clock("2026-11-18T21:05:00Z").await;
    for gap in site.gaps(&h1).await {
        let run = site.held(&h1, gap, "worker").await;
        assert!(site.answer(&run, &[]).await);
    }
    site.set_clock("2026-11-20T12:00:00Z").await;
    assert_eq!(site.gaps(&h1).await.first(), Some(&empty()), "the whole of it");
}

async fn what_an_answer_left_open_is_looked_at_again_soon(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    let h4 = site.definition("AAPL", Timeframe::H4).await;
    let slice = range("2026-11-20T14:30:00Z", "2026-11-23T21:00:00Z");
    let run = site.held(&h4, slice, "worker").await;
    let mut tx = site.database.begin().await.unwrap();
    definitions::mark_planned(&mut tx, std::slice::from_ref(&h4)).await.unwrap();
    let half = range("2026-11-20T14:30:00Z", "2026-11-20T21:00:00Z");
    assert!(finish(&mut tx, &run, Some(half), 1).await.unwrap());
    tx.commit().await.unwrap();
    let soon = "select next_due_at <= barkeep.market_now() + interval '1 minute' from job_definitions
        where symbol = 'AAPL' and timeframe = 'h4'";
    assert_eq!(site.value(soon).await, "t", "and not only when the next bar ends");
}
