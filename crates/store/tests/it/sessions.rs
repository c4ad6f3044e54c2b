//! Sessions that differ from the rules: what a change affects is planned again, and nothing else is.

use market::{
    Timeframe,
    calendar::{Exceptions, StockHours},
};
use store::{definitions, definitions::Definition, market_sessions, market_sessions::Replaced, migrations};
use testkit::Owner;

use crate::site::{Site, TUESDAY, eventually, range, tickers};

for_every_owner! {
    a_session_that_closes_leaves_one_range_without_gaps_and_its_bars,
    exceptions_outlive_a_migration_and_are_read_as_they_were_given,
}

for_one_owner! {
    what_was_queued_for_a_session_that_closes_is_cancelled,
    other_hours_make_hours_anew_and_leave_what_fits_both,
    the_gap_of_a_session_that_closes_goes_away_and_comes_back_when_it_reopens,
    a_day_that_closes_early_has_to_be_made_again_only_where_a_bar_is_cut,
    of_a_closed_day_that_becomes_a_half_day_half_a_day_is_a_gap,
    of_a_half_day_that_becomes_a_whole_one_the_rest_is_a_gap,
    a_day_that_closes_is_no_gap_of_days_and_comes_back_as_one,
    series_that_a_change_touches_are_due_and_others_are_not,
    a_list_that_is_in_force_already_changes_nothing,
    a_change_is_another_edition_which_waits_for_whoever_stores,
}

/// A Wednesday, summer time over: 14:30 to 21:00 UTC.
const CLOSED: &str = "XNYS,2026-11-18,closed";
const EARLY: &str = "XNYS,2026-11-18,early,13:00";

async fn apply(site: &Site, rows: &str) -> Option<Replaced> {
    let exceptions = Exceptions::parse(&format!("calendar,date,change,close\n{rows}")).unwrap();
    market_sessions::apply(&site.database, &exceptions).await.unwrap()
}

async fn filled(site: &Site, timeframe: Timeframe) -> Definition {
    let definition = site.definition("AAPL", timeframe).await;
    site.fill(&definition).await;
    assert_eq!(site.gaps(&definition).await, []);
    definition
}

async fn ranges(site: &Site, timeframe: Timeframe) -> String {
    site.value(&format!(
        "select (select count(*) from unnest(covered)), lower(covered) = from_ts, upper(covered) = to_ts
        from coverage_status where symbol = 'AAPL' and timeframe = '{timeframe}'"
    ))
    .await
}

async fn a_session_that_closes_leaves_one_range_without_gaps_and_its_bars(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    let h1 = filled(&site, Timeframe::H1).await;
    let m15 = filled(&site, Timeframe::M15).await;
    assert_eq!(apply(&site, CLOSED).await, Some(Replaced { days: 1, bars_outside: 7 + 26 }));
    for series in [&h1, &m15] {
        assert_eq!(site.gaps(series).await, []);
        assert_eq!(ranges(&site, series.timeframe).await, "1,t,t");
    }
    let there = "select count(*) from ohlc_bars_v2 where timeframe = 'h1' and ts::date = '2026-11-18'";
    assert_eq!(site.value(there).await, "7");
    let expected = "select barkeep.expected_bars('XNYS', 'h1', '2026-11-16', '2026-11-21')";
    assert_eq!(site.value(expected).await, "28");
}

async fn the_gap_of_a_session_that_closes_goes_away_and_comes_back_when_it_reopens(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    let h1 = filled(&site, Timeframe::H1).await;
    let session = range("2026-11-18T14:30:00Z", "2026-11-18T21:00:00Z");
    site.run(
        "update coverage_status set covered = covered - '{[2026-11-18 14:30+00, 2026-11-18 21:00+00)}'::tstzmultirange",
    )
    .await;
    assert_eq!(site.gaps(&h1).await, [session]);
    apply(&site, CLOSED).await;
    assert_eq!(site.gaps(&h1).await, []);
    apply(&site, "").await;
    assert_eq!(site.gaps(&h1).await, [session]);
    site.fill(&h1).await;
    assert_eq!(site.gaps(&h1).await, []);
    assert_eq!(ranges(&site, Timeframe::H1).await, "1,t,t");
}

async fn a_day_that_closes_early_has_to_be_made_again_only_where_a_bar_is_cut(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    let (m15, h1, h4) =
        (filled(&site, Timeframe::M15).await, filled(&site, Timeframe::H1).await, filled(&site, Timeframe::H4).await);
    // From 18:00 on: 12 of m15; of h1 those from 18:30, 19:30 and 20:30; of h4 the one from 18:30.
    assert_eq!(apply(&site, EARLY).await, Some(Replaced { days: 1, bars_outside: 12 + 3 + 1 }));
    assert_eq!(site.gaps(&m15).await, []);
    assert_eq!(site.gaps(&h1).await, [range("2026-11-18T17:30:00Z", "2026-11-18T18:00:00Z")]);
    assert_eq!(site.gaps(&h4).await, [range("2026-11-18T14:30:00Z", "2026-11-18T18:00:00Z")]);
    for series in [&h1, &h4] {
        site.fill(series).await;
        assert_eq!(ranges(&site, series.timeframe).await, "1,t,t");
    }
}

async fn of_a_closed_day_that_becomes_a_half_day_half_a_day_is_a_gap(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    apply(&site, CLOSED).await;
    let m15 = filled(&site, Timeframe::M15).await;
    apply(&site, EARLY).await;
    assert_eq!(site.gaps(&m15).await, [range("2026-11-18T14:30:00Z", "2026-11-18T18:00:00Z")]);
    site.fill(&m15).await;
    assert_eq!(ranges(&site, Timeframe::M15).await, "1,t,t");
}

async fn of_a_half_day_that_becomes_a_whole_one_the_rest_is_a_gap(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    apply(&site, EARLY).await;
    let h1 = filled(&site, Timeframe::H1).await;
    apply(&site, "").await;
    assert_eq!(site.gaps(&h1).await, [range("2026-11-18T18:00:00Z", "2026-11-18T21:00:00Z")]);
}

async fn a_day_that_closes_is_no_gap_of_days_and_comes_back_as_one(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    let of = tickers(&["AAPL"]);
    definitions::ensure_background(&site.database, &of, &[Timeframe::D1, Timeframe::W1], None).await.unwrap();
    let (d1, w1) = (filled(&site, Timeframe::D1).await, filled(&site, Timeframe::W1).await);
    assert_eq!(apply(&site, CLOSED).await, Some(Replaced { days: 1, bars_outside: 1 }));
    assert_eq!((site.gaps(&d1).await, site.gaps(&w1).await), (vec![], vec![]));
    apply(&site, "").await;
    let session = range("2026-11-18T14:30:00Z", "2026-11-18T21:00:00Z");
    assert_eq!((site.gaps(&d1).await, site.gaps(&w1).await), (vec![session], vec![session]));
}

async fn what_was_queued_for_a_session_that_closes_is_cancelled(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    let h1 = site.definition("AAPL", Timeframe::H1).await;
    let wednesday = range("2026-11-18T14:30:00Z", "2026-11-18T21:00:00Z");
    let longer = range("2026-11-10T14:30:00Z", "2026-11-12T21:00:00Z");
    assert_eq!(site.enqueue(&h1, &[wednesday, longer]).await, 2);
    apply(&site, &format!("{CLOSED}\nXNYS,2026-11-12,closed")).await;
    let runs = "select slice_from::date, status from job_runs order by 1";
    assert_eq!(site.rows(runs).await, ["(2026-11-10,queued)", "(2026-11-18,cancelled)"]);
}

async fn series_that_a_change_touches_are_due_and_others_are_not(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    let all = definitions::due(&site.database, None, 1000).await.unwrap();
    let plan = async || {
        let mut tx = site.database.begin().await.unwrap();
        definitions::mark_planned(&mut tx, &all).await.unwrap();
        tx.commit().await.unwrap();
    };
    let due = async || -> Vec<Timeframe> {
        let of = tickers(&["AAPL"]);
        definitions::due(&site.database, Some(&of), 10).await.unwrap().iter().map(|d| d.timeframe).collect()
    };
    plan().await;
    assert_eq!(due().await, []);
    // Within the 90 days of h1 and the 365 of h4, and before the 30 of m15.
    apply(&site, "XNYS,2026-09-16,closed").await;
    assert_eq!(due().await, [Timeframe::H1, Timeframe::H4]);
    plan().await;
    // In the future: the due time of the next bar may have changed.
    apply(&site, "XNYS,2026-09-16,closed\nXNYS,2026-11-25,closed").await;
    assert_eq!(due().await.len(), 3);
    plan().await;
    apply(&site, "XNYS,2026-09-16,closed\nXNYS,2026-11-25,closed\nXNYS,1999-03-03,closed").await;
    assert_eq!(due().await, []);
}

async fn a_list_that_is_in_force_already_changes_nothing(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    assert_eq!(apply(&site, "").await, None);
    assert!(apply(&site, CLOSED).await.is_some());
    let edition = market_sessions::edition(&site.database).await.unwrap();
    assert_eq!(apply(&site, CLOSED).await, None);
    assert_eq!(market_sessions::edition(&site.database).await.unwrap(), edition);
    // A date that the rules contain already: recorded, without any change.
    assert_eq!(apply(&site, &format!("{CLOSED}\nXNYS,2025-01-09,closed")).await, Some(Replaced::default()));
}

async fn a_change_is_another_edition_which_waits_for_whoever_stores(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    let mut storing = site.database.begin().await.unwrap();
    let before = market_sessions::lock_shared(&mut storing).await.unwrap();
    let database = site.database.clone();
    let change = tokio::spawn(async move {
        let exceptions = Exceptions::parse(&format!("calendar,date,change\n{CLOSED}")).unwrap();
        market_sessions::apply(&database, &exceptions).await.unwrap()
    });
    let waiting =
        "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    eventually("it waits", async || site.value(waiting).await == "1").await;
    assert!(!change.is_finished(), "it should wait");
    storing.commit().await.unwrap();
    assert!(change.await.unwrap().is_some());
    let mut next = site.database.begin().await.unwrap();
    assert_eq!(market_sessions::lock_shared(&mut next).await.unwrap(), before + 1);
}

async fn exceptions_outlive_a_migration_and_are_read_as_they_were_given(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    let rows = format!("{CLOSED}\nXNYS,2026-11-19,early,12:30");
    apply(&site, &rows).await;
    migrations::migrate(&site.database).await.unwrap();
    let mut tx = site.database.begin().await.unwrap();
    let read = market_sessions::read(&mut tx).await.unwrap();
    assert_eq!(
        *read.calendars.exceptions(),
        Exceptions::parse(&format!("calendar,date,change,close\n{rows}")).unwrap()
    );
    tx.rollback().await.unwrap();
    let closes = "select close_at from barkeep.market_sessions
        where calendar = 'XNYS' and session_date between '2026-11-18' and '2026-11-19'";
    assert_eq!(site.rows(closes).await, ["(\"2026-11-19 17:30:00+00\")"]);
}

async fn other_hours_make_hours_anew_and_leave_what_fits_both(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    site.run("insert into job_definitions (symbol, timeframe, job_type, window_days) values ('AAPL', 'd1', 'fetch_historical', 730)")
        .await;
    let (h1, m15) = (filled(&site, Timeframe::H1).await, filled(&site, Timeframe::M15).await);
    filled(&site, Timeframe::D1).await;
    let bars = async |timeframe: &str| {
        site.value(&format!("select count(*) from ohlc_bars_v2 where timeframe = '{timeframe}'")).await
    };
    let quarters = bars("m15").await;
    site.run(
        "insert into job_runs (job_def_id, symbol, timeframe, job_type, slice_from, slice_to, status, worker, lease_until)
        select id, symbol, timeframe, job_type, '2026-11-18 14:30+00', '2026-11-18 21:00+00', 'running', 'w',
            now() + interval '1 minute'
        from job_definitions where symbol = 'AAPL' and timeframe in ('h1', 'm15')",
    )
    .await;
    let apply = async |hours| {
        let exceptions = Exceptions::default().with_hours(hours);
        market_sessions::apply(&site.database, &exceptions).await.unwrap().is_some()
    };
    assert!(!apply(StockHours::Regular).await, "they are in force");
    assert!(apply(StockHours::Extended).await);
    assert!(!apply(StockHours::Extended).await);
    let read = market_sessions::read(&mut site.database.begin().await.unwrap()).await.unwrap();
    assert_eq!((read.number, read.calendars.exceptions().hours()), (1, StockHours::Extended));
    // A day has 16 hours, and a half day 13; bars that began at half past nine are none of them.
    let expected = "select barkeep.expected_bars('XNYS', 'h1', '2026-11-24 06:00+00', '2026-11-25 06:00+00'),
        barkeep.expected_bars('XNYS', 'm15', '2026-11-24 06:00+00', '2026-11-25 06:00+00'),
        barkeep.expected_bars('XNYS', 'h4', '2026-11-27 06:00+00', '2026-11-28 06:00+00')";
    assert_eq!(site.rows(expected).await, ["(16,64,4)"]);
    assert_eq!((bars("m15").await, bars("h1").await), (quarters.clone(), "0".to_owned()));
    let hours = site.gaps(&h1).await;
    assert_eq!(hours.len(), 1, "all of it is missing");
    assert_eq!(site.gaps(&m15).await.len(), 1, "evenings and mornings are fetched in one piece");
    let d1 = site.definition("AAPL", Timeframe::D1).await;
    assert_eq!(site.gaps(&d1).await, [], "a day is a day");
    let runs = "select timeframe, status from job_runs where status <> 'success' order by 1";
    assert_eq!(site.rows(runs).await, ["(h1,cancelled)", "(m15,cancelled)"]);
    site.run("update coverage_status set covered = '{[2026-01-01,2026-11-24 17:00+00)}' where timeframe = 'm15'").await;

    // And back: bars before the open and after the close are deleted.
    site.run(
        "insert into ohlc_bars_v2 (symbol_id, timeframe, ts, open, high, low, close, volume, provider)
        select id, 'm15', '2026-11-18 10:00+00', 1, 1, 1, 1, 1, 'market-sim/sip' from symbols where ticker = 'AAPL'",
    )
    .await;
    assert!(apply(StockHours::Regular).await);
    assert_eq!(bars("m15").await, quarters);
    assert_eq!(site.gaps(&m15).await, []);
    assert_eq!(site.value("select barkeep.expected_bars('XNYS', 'h1', '2026-11-24', '2026-11-25')").await, "7");
}
