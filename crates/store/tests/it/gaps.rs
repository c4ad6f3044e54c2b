//! What counts as a gap.

use market::{Calendar, Timeframe};
use store::{coverage, definitions, tracking, tracking::Source};
use testkit::{ALICE, Owner};

use crate::site::{Site, TUESDAY, at, range, range_of, tickers};

for_every_owner! {
    a_series_with_everything_is_one_range_without_gaps,
}

for_one_owner! {
    a_fresh_series_is_one_gap_over_its_window,
    what_cannot_be_had_is_no_gap,
    a_session_taken_out_is_exactly_that_gap,
    neighbouring_sessions_are_one_gap_and_others_are_not,
    weekends_and_holidays_are_never_gaps,
    gap_hours_are_hours_of_open_market,
    marks_are_lifted_from_where_a_provider_has_bars_now_and_nothing_else_is,
    without_a_provider_of_the_class_a_series_says_so,
    a_forming_bar_is_no_gap_until_grace_has_passed,
    a_pair_has_gaps_on_weekends_too,
    days_and_weeks_have_gaps_of_whole_sessions,
    without_sessions_nothing_looks_complete,
    what_is_unknown_has_no_gaps,
    next_due_is_when_the_next_bar_is_final,
    missing_bars_are_counted_within_a_range,
}

async fn a_fresh_series_is_one_gap_over_its_window(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    let h1 = site.definition("AAPL", Timeframe::H1).await;
    // 90 days back is 26 August; at noon in New York the bar from 10:30 is the last one that has ended.
    assert_eq!(site.gaps(&h1).await, [range("2026-08-26T13:30:00Z", "2026-11-24T16:30:00Z")]);
    let seven = site.rows("select gap_from, gap_to from get_coverage_gaps('aapl', 'h1')").await;
    assert_eq!(seven, ["(\"2026-11-17 14:30:00+00\",\"2026-11-24 16:30:00+00\")"]);
}

async fn a_series_with_everything_is_one_range_without_gaps(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    for timeframe in [Timeframe::M15, Timeframe::H1, Timeframe::H4] {
        let series = site.definition("AAPL", timeframe).await;
        // In parts, unordered, one of them ending within a session.
        let gap = site.gaps(&series).await[0];
        let (noon, friday) = (at("2026-11-18T18:30:00Z"), at("2026-11-20T21:00:00Z"));
        for piece in [range_of(friday, gap.to()), range_of(gap.from(), noon), range_of(noon, friday)] {
            let run = site.held(&series, piece, "worker").await;
            assert!(site.answer(&run, &crate::site::expected(&series, piece)).await);
        }
        assert_eq!(site.gaps(&series).await, []);
        let ranges = format!(
            "select (select count(*) from unnest(covered)), lower(covered) = from_ts, upper(covered) = to_ts
            from coverage_status where symbol = 'AAPL' and timeframe = '{timeframe}'"
        );
        assert_eq!(site.rows(&ranges).await, ["(1,t,t)"]);
    }
}

async fn a_session_taken_out_is_exactly_that_gap(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    for timeframe in [Timeframe::M15, Timeframe::H1, Timeframe::H4] {
        let series = site.definition("AAPL", timeframe).await;
        site.fill(&series).await;
        take_out(&site, timeframe, "2026-11-18T14:30:00Z", "2026-11-18T21:00:00Z").await;
        assert_eq!(site.gaps(&series).await, [range("2026-11-18T14:30:00Z", "2026-11-18T21:00:00Z")]);
        // Removing the closed hours around it changes nothing.
        take_out(&site, timeframe, "2026-11-17T21:00:00Z", "2026-11-19T14:30:00Z").await;
        assert_eq!(site.gaps(&series).await, [range("2026-11-18T14:30:00Z", "2026-11-18T21:00:00Z")]);
        site.fill(&series).await;
        assert_eq!(site.gaps(&series).await, []);
    }
}

async fn take_out(site: &Site, timeframe: Timeframe, from: &str, to: &str) {
    site.run(&format!(
        "update coverage_status set covered = covered - tstzmultirange(tstzrange('{from}', '{to}'))
        where timeframe = '{timeframe}'"
    ))
    .await;
}

async fn neighbouring_sessions_are_one_gap_and_others_are_not(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    let h1 = site.definition("AAPL", Timeframe::H1).await;
    site.fill(&h1).await;
    // Friday and Monday, with the weekend between them; and a Wednesday.
    take_out(&site, Timeframe::H1, "2026-11-13T14:30:00Z", "2026-11-16T21:00:00Z").await;
    take_out(&site, Timeframe::H1, "2026-11-18T14:30:00Z", "2026-11-18T21:00:00Z").await;
    assert_eq!(
        site.gaps(&h1).await,
        [range("2026-11-13T14:30:00Z", "2026-11-16T21:00:00Z"), range("2026-11-18T14:30:00Z", "2026-11-18T21:00:00Z"),]
    );
}

async fn weekends_and_holidays_are_never_gaps(owner: Owner) {
    let site = Site::at(owner, "2026-11-28T17:00:00Z").await;
    let h1 = site.definition("AAPL", Timeframe::H1).await;
    site.fill(&h1).await;
    // Covered just for the sessions, without the closed hours between them.
    site.run(
        "update coverage_status set covered = (
            select range_agg(tstzrange(open_at, close_at)) from barkeep.market_sessions where calendar = 'XNYS'
                and open_at < '2026-11-28'
        )",
    )
    .await;
    assert_eq!(site.gaps(&h1).await, []);
    // From Saturday to the moment before Monday's first bar is final nothing is missing.
    for now in ["2026-11-29T03:00:00Z", "2026-11-30T14:30:00Z", "2026-11-30T15:30:30Z"] {
        site.set_clock(now).await;
        assert_eq!(site.gaps(&h1).await, [], "{now}");
    }
    site.set_clock("2026-11-30T15:31:00Z").await;
    assert_eq!(site.gaps(&h1).await, [range("2026-11-30T14:30:00Z", "2026-11-30T15:30:00Z")]);
}

async fn gap_hours_are_hours_of_open_market(owner: Owner) {
    let site = Site::at(owner, "2026-11-30T14:00:00Z").await;
    // 23 to 25 November, Thanksgiving, a half day.
    assert_eq!(site.rows("select gap_hours from get_coverage_gaps('AAPL', 'm15', 7)").await, ["(23.00)"]);
}

async fn what_cannot_be_had_is_no_gap(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    let h4 = site.definition("AAPL", Timeframe::H4).await;
    let gap = site.gaps(&h4).await[0];
    let too_old = range_of(gap.from(), at("2026-06-01T13:30:00Z"));
    let mut tx = site.database.begin().await.unwrap();
    coverage::mark_unavailable(&mut tx, &h4, too_old, "the plan begins in June").await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(site.gaps(&h4).await, [range_of(too_old.to(), gap.to())]);
    let reason = "select reason from get_symbol_timeframe_coverage('AAPL') where timeframe = 'h4'";
    assert_eq!(site.value(reason).await, "the plan begins in June");
}

async fn marks_are_lifted_from_where_a_provider_has_bars_now_and_nothing_else_is(owner: Owner) {
    use store::installation::{Bars, claim};
    let site = Site::at(owner, TUESDAY).await;
    let h4 = site.definition("AAPL", Timeframe::H4).await;
    let gap = site.gaps(&h4).await[0];
    let june = at("2026-06-01T13:30:00Z");
    let mut tx = site.database.begin().await.unwrap();
    coverage::mark_unavailable(&mut tx, &h4, gap, "too old").await.unwrap();
    definitions::mark_planned(&mut tx, std::slice::from_ref(&h4)).await.unwrap();
    tx.commit().await.unwrap();
    // Neither another endpoint nor another timeframe, calendar or history that doesn't reach as far.
    for endpoint in ["https://one", "https://two"] {
        claim(&site.database, Bars::Real, endpoint).await.unwrap();
    }
    let lift = async |calendar, timeframe, from| {
        coverage::lift_unavailable(&site.database, calendar, timeframe, from).await.unwrap()
    };
    assert_eq!(lift(Calendar::Xnys, Timeframe::H1, june).await, 0);
    assert_eq!(lift(Calendar::AlwaysOpen, Timeframe::H4, june).await, 0);
    assert_eq!(lift(Calendar::Xnys, Timeframe::H4, gap.to()).await, 0);
    assert_eq!(site.gaps(&h4).await, []);
    assert_eq!(lift(Calendar::Xnys, Timeframe::H4, june).await, 1);
    assert_eq!(site.gaps(&h4).await, [range_of(june, gap.to())]);
    let reason = "select unavailable_reason from coverage_status where symbol = 'AAPL' and timeframe = 'h4'";
    assert_eq!(site.value(reason).await, "too old");
    let due = definitions::due(&site.database, Some(&tickers(&["AAPL"])), 10).await.unwrap();
    assert!(due.iter().any(|d| d.timeframe == Timeframe::H4), "it has a gap and isn't due");
    assert_eq!(lift(Calendar::Xnys, Timeframe::H4, june).await, 0, "once");
    assert_eq!(lift(Calendar::Xnys, Timeframe::H4, gap.from()).await, 1);
    assert_eq!(site.rows(reason).await, ["()"]);
    let error = claim(&site.database, Bars::Simulated, "http://127.0.0.1").await.unwrap_err();
    assert!(matches!(error, store::StoreError::WrongKind(_)), "{error}");
}

async fn without_a_provider_of_the_class_a_series_says_so(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    let shown = "select distinct state, reason from get_symbol_timeframe_coverage('AAPL')
        where job_enabled and missing_bars > 0";
    assert_eq!(site.rows(shown).await, ["(filling,)"]);
    let set = async |provided, only_more| {
        store::clock::set_provided(&site.database, Calendar::Xnys, provided, only_more).await.unwrap();
    };
    set(false, true).await;
    assert_eq!(site.rows(shown).await, ["(filling,)"], "another process may have one");
    set(false, false).await;
    assert_eq!(site.rows(shown).await, ["(failing,\"no provider is set up for stocks\")"]);
    set(true, true).await;
    assert_eq!(site.rows(shown).await, ["(filling,)"]);
}

async fn a_forming_bar_is_no_gap_until_grace_has_passed(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    let h1 = site.definition("AAPL", Timeframe::H1).await;
    site.fill(&h1).await;
    site.set_clock("2026-11-24T17:30:00Z").await;
    assert_eq!(site.gaps(&h1).await, []);
    site.set_clock("2026-11-24T17:31:00Z").await;
    assert_eq!(site.gaps(&h1).await, [range("2026-11-24T16:30:00Z", "2026-11-24T17:30:00Z")]);
    // The last bar of the day has half an hour.
    site.set_clock("2026-11-24T21:01:00Z").await;
    assert_eq!(site.gaps(&h1).await, [range("2026-11-24T16:30:00Z", "2026-11-24T21:00:00Z")]);
}

async fn a_pair_has_gaps_on_weekends_too(owner: Owner) {
    let site = Site::at(owner, "2026-11-28T17:00:00Z").await;
    site.track(ALICE, &["BTC-USD"], Source::Watchlist).await;
    let h1 = site.definition("BTC-USD", Timeframe::H1).await;
    assert_eq!(h1.calendar, Calendar::AlwaysOpen);
    assert_eq!(site.gaps(&h1).await, [range("2026-08-30T00:00:00Z", "2026-11-28T16:00:00Z")]);
    site.fill(&h1).await;
    assert_eq!(site.gaps(&h1).await, []);
    take_out(&site, Timeframe::H1, "2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z").await;
    assert_eq!(site.gaps(&h1).await, [range("2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z")]);
}

async fn days_and_weeks_have_gaps_of_whole_sessions(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    let of = tickers(&["AAPL"]);
    tracking::sync(&site.database, ALICE, &of, Source::Watchlist, &[Timeframe::D1, Timeframe::W1]).await.unwrap();
    let d1 = site.definition("AAPL", Timeframe::D1).await;
    let w1 = site.definition("AAPL", Timeframe::W1).await;
    // 730 days before 24 November 2026 is a Sunday, in the week of 18 November 2024.
    assert_eq!(site.gaps(&d1).await, [range("2024-11-25T14:30:00Z", "2026-11-23T21:00:00Z")]);
    assert_eq!(site.gaps(&w1).await, [range("2024-11-18T14:30:00Z", "2026-11-20T21:00:00Z")]);
    for series in [&d1, &w1] {
        site.fill(series).await;
        assert_eq!(site.gaps(series).await, []);
    }
    take_out(&site, Timeframe::D1, "2026-11-18T14:30:00Z", "2026-11-18T21:00:00Z").await;
    assert_eq!(site.gaps(&d1).await, [range("2026-11-18T14:30:00Z", "2026-11-18T21:00:00Z")]);
    // The week's last session has closed, and grace passed.
    site.set_clock("2026-11-27T18:01:00Z").await;
    assert_eq!(site.gaps(&w1).await, [range("2026-11-23T14:30:00Z", "2026-11-27T18:00:00Z")]);
}

async fn without_sessions_nothing_looks_complete(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    let gaps = "select * from get_coverage_gaps('AAPL', 'h1', 90)";
    for taken in ["calendar = 'XNYS'", "open_at > '2026-11-24'", "open_at < '2026-11-25'"] {
        let mut tx = site.database.begin().await.unwrap();
        let delete = format!("delete from barkeep.market_sessions where {taken}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(delete)).execute(&mut *tx).await.unwrap();
        let error = crate::site::rows_in(&mut tx, gaps).await.unwrap_err();
        assert!(error.to_string().contains("The sessions of calendar XNYS do not reach"), "{taken}: {error}");
    }
    assert_eq!(site.rows(gaps).await.len(), 1);
}

async fn what_is_unknown_has_no_gaps(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    for arguments in ["'NONESUCH', 'h1'", "'AAPL', 'h2'", "'no ticker', 'h1'", "null, 'h1'", "'AAPL', null"] {
        assert!(site.rows(&format!("select * from get_coverage_gaps({arguments})")).await.is_empty(), "{arguments}");
    }
}

async fn next_due_is_when_the_next_bar_is_final(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    let of = tickers(&["AAPL"]);
    let due = definitions::due(&site.database, Some(&of), 10).await.unwrap();
    assert_eq!(due.len(), 3);
    let h1 = due.iter().find(|d| d.timeframe == Timeframe::H1).unwrap();
    assert_eq!(*h1, site.definition("AAPL", Timeframe::H1).await);
    let mut tx = site.database.begin().await.unwrap();
    definitions::mark_planned(&mut tx, std::slice::from_ref(h1)).await.unwrap();
    tx.commit().await.unwrap();
    let next = "select next_due_at from job_definitions where symbol = 'AAPL' and timeframe = 'h1'";
    assert_eq!(site.value(next).await, "2026-11-24 17:31:00+00");
    assert_eq!(definitions::due(&site.database, Some(&of), 10).await.unwrap().len(), 2);
    let reason = "select coalesce(due_reason, 'none') from job_definitions where symbol = 'AAPL' and timeframe = 'h1'";
    assert_eq!(site.value(reason).await, "none");
    definitions::make_due(&site.database, &of).await.unwrap();
    assert_eq!(site.value(reason).await, "a user waits for it");
    assert_eq!(definitions::due(&site.database, Some(&of), 10).await.unwrap().len(), 3);
    // A later due time changes nothing.
    let later = "select barkeep.make_due(array(select id from job_definitions), 'later', now() + interval '1 hour')";
    assert_eq!(site.value(later).await, "0");
    assert_eq!(site.value(reason).await, "a user waits for it");
    assert_eq!(definitions::due(&site.database, None, 1000).await.unwrap().len(), 60);
}

async fn missing_bars_are_counted_within_a_range(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    let h1 = site.definition("AAPL", Timeframe::H1).await;
    let week = range("2026-11-16T00:00:00Z", "2026-11-21T00:00:00Z");
    let missing = async || coverage::missing_in(&site.database, &h1.ticker, Timeframe::H1, week, 90).await.unwrap();
    assert_eq!(missing().await, 35);
    site.fill(&h1).await;
    assert_eq!(missing().await, 0);
    take_out(&site, Timeframe::H1, "2026-11-18T14:30:00Z", "2026-11-18T21:00:00Z").await;
    assert_eq!(missing().await, 7);
}
