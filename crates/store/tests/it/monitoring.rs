//! The monitoring functions count correctly.

use market::Timeframe;
use store::{coverage, scheduler, tracking, tracking::Source};
use testkit::{ALICE, BOB, Owner};

use crate::site::{Site, TUESDAY, range, ticker, tickers};

for_every_owner! {
    any_symbol_has_three_rows_or_more,
    a_series_says_how_it_stands,
    a_user_sees_what_they_track_with_its_bars_and_runs,
    the_planner_says_that_it_lives,
    wanted_symbols_are_those_that_are_kept,
}

for_one_owner! {
    many_runs_and_users_multiply_no_count,
    expected_stored_and_missing_add_up,
    a_week_that_begins_on_a_holiday_is_stored_too,
    runs_of_the_last_hours_are_counted_by_timeframe,
}

async fn states(site: &Site, symbol: &str) -> Vec<String> {
    site.rows(&format!("select timeframe, state from get_symbol_timeframe_coverage('{symbol}')")).await
}

async fn any_symbol_has_three_rows_or_more(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    let three = ["(m15,\"not tracked\")", "(h1,\"not tracked\")", "(h4,\"not tracked\")"];
    for symbol in ["NONESUCH", "no ticker", "", "TEST"] {
        assert_eq!(states(&site, symbol).await, three, "{symbol:?}");
    }
    assert_eq!(site.rows("select * from get_symbol_timeframe_coverage(null)").await.len(), 3);
    let eight = "select timeframe, bars_count, earliest_bar, latest_bar, coverage_days, last_fetch, job_enabled,
        job_priority from get_symbol_timeframe_coverage('NONESUCH')";
    assert_eq!(site.rows(eight).await, ["(m15,0,,,0,,f,0)", "(h1,0,,,0,,f,0)", "(h4,0,,,0,,f,0)"]);
    let all = [Timeframe::W1, Timeframe::D1, Timeframe::M1];
    tracking::sync(&site.database, ALICE, &tickers(&["aapl"]), Source::Watchlist, &all).await.unwrap();
    for user in [None, Some(ALICE)] {
        let rows = coverage::of_symbol(&site.database, user, &ticker("AAPL")).await.unwrap();
        let timeframes: Vec<Timeframe> = rows.iter().map(|row| row.timeframe).collect();
        use Timeframe::{D1, H1, H4, M1, M15, W1};
        assert_eq!(timeframes, [M1, M15, H1, H4, D1, W1]);
    }
}

async fn many_runs_and_users_multiply_no_count(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    let all = tickers(&["AAPL"]);
    for (user, source) in [(ALICE, Source::Watchlist), (ALICE, Source::ChartView), (BOB, Source::Watchlist)] {
        tracking::sync(&site.database, user, &all, source, &[Timeframe::M15, Timeframe::H1, Timeframe::H4])
            .await
            .unwrap();
    }
    let h1 = site.definition("AAPL", Timeframe::H1).await;
    site.fill(&h1).await;
    // Seven responses for the same range.
    for _ in 0..7 {
        let run = site.held(&h1, range("2026-11-23T14:30:00Z", "2026-11-23T21:00:00Z"), "worker").await;
        assert!(site.answer(&run, &crate::site::expected(&h1, run.slice)).await);
    }
    let bars: i64 = site.value("select count(*) from ohlc_bars_v2").await.parse().unwrap();
    let coverage = coverage::of_symbol(&site.database, None, &ticker("AAPL")).await.unwrap();
    let of_h1 = coverage.iter().find(|row| row.timeframe == Timeframe::H1).unwrap();
    assert_eq!((of_h1.bars, of_h1.stored, of_h1.expected, of_h1.missing), (bars, bars, bars, 0));
    assert_eq!(coverage.len(), 3);
    for user in [ALICE, BOB] {
        let status = site
            .rows(&format!("select source, h1_bars, m15_bars from get_user_tracked_symbols_status('{user}')"))
            .await;
        let expected: &[String] =
            &[format!("(watchlist,{bars},0)"), format!("(chart_view,{bars},0)")][..if user == BOB { 1 } else { 2 }];
        assert_eq!(status, expected);
    }
}

async fn a_series_says_how_it_stands(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    site.track(ALICE, &["FRESH"], Source::Watchlist).await;
    let state = async || states(&site, "FRESH").await[1].clone();
    assert_eq!(state().await, "(h1,filling)");
    let h1 = site.definition("FRESH", Timeframe::H1).await;
    let gap = site.gaps(&h1).await[0];
    let run = site.held(&h1, gap, "worker").await;
    assert!(site.answer(&run, &[]).await);
    // Everything is covered, without bars: the symbol was not checked yet.
    assert_eq!(state().await, "(h1,unchecked)");
    store::symbols::confirm_listed(&site.database, &ticker("FRESH"), "", "").await.unwrap();
    assert_eq!(state().await, "(h1,complete)");
    store::symbols::suspend(&site.database, &ticker("FRESH"), "gone").await.unwrap();
    assert_eq!(state().await, "(h1,unknown)");
    store::symbols::confirm_listed(&site.database, &ticker("FRESH"), "", "").await.unwrap();
    site.untrack(ALICE, "FRESH", None).await;
    assert_eq!(state().await, "(h1,paused)");
}

async fn expected_stored_and_missing_add_up(owner: Owner) {
    let site = Site::at(owner, "2026-11-30T14:00:00Z").await;
    site.run("update job_definitions set window_days = 7 where symbol = 'AAPL'").await;
    let counts = async || {
        site.rows(
            "select timeframe, bars_count, expected_bars, stored_bars, missing_bars, completeness, coverage_days
            from get_symbol_timeframe_coverage('AAPL')",
        )
        .await
    };
    // Three whole days and a half day.
    let nothing = ["(m15,0,92,0,92,0.0000,0)", "(h1,0,25,0,25,0.0000,0)", "(h4,0,7,0,7,0.0000,0)"];
    assert_eq!(counts().await, nothing);
    let h1 = site.definition("AAPL", Timeframe::H1).await;
    let monday = range("2026-11-23T14:30:00Z", "2026-11-23T21:00:00Z");
    let run = site.held(&h1, monday, "worker").await;
    let mut bars = crate::site::expected(&h1, monday);
    bars.pop();
    bars[0].is_final = false;
    assert!(site.answer(&run, &bars).await);
    assert_eq!(counts().await[1], "(h1,6,25,5,18,0.2800,0.21)");
    // Unavailable bars aren't expected.
    let mut tx = site.database.begin().await.unwrap();
    let friday = range("2026-11-27T14:30:00Z", "2026-11-27T18:00:00Z");
    coverage::mark_unavailable(&mut tx, &h1, friday, "not in the plan").await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(counts().await[1], "(h1,6,21,5,14,0.3333,0.21)");
}

async fn a_week_that_begins_on_a_holiday_is_stored_too(owner: Owner) {
    let site = Site::at(owner, "2026-11-30T14:00:00Z").await;
    let of = tickers(&["AAPL"]);
    tracking::sync(&site.database, ALICE, &of, Source::Watchlist, &[Timeframe::D1, Timeframe::W1]).await.unwrap();
    // 84 days back is Labor Day, 7 September: the window's first week has no session on its Monday.
    site.run("update job_definitions set window_days = 84 where symbol = 'AAPL'").await;
    for timeframe in [Timeframe::D1, Timeframe::W1] {
        site.fill(&site.definition("AAPL", timeframe).await).await;
    }
    let rows = coverage::of_symbol(&site.database, None, &ticker("AAPL")).await.unwrap();
    for (timeframe, bars) in [(Timeframe::D1, 58), (Timeframe::W1, 12)] {
        let row = rows.iter().find(|row| row.timeframe == timeframe).unwrap();
        assert_eq!((row.bars, row.expected, row.stored, row.missing), (bars, bars, bars, 0), "{timeframe}");
        assert_eq!(row.state, "complete");
    }
}

async fn runs_of_the_last_hours_are_counted_by_timeframe(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    let h1 = site.definition("AAPL", Timeframe::H1).await;
    let day = |d: u32| range(&format!("2026-11-{d}T14:30:00Z"), &format!("2026-11-{d}T21:00:00Z"));
    for d in [16, 17] {
        let run = site.held(&h1, day(d), "worker").await;
        assert!(site.answer(&run, &crate::site::expected(&h1, day(d))).await);
    }
    site.run("update job_runs set started_at = finished_at - interval '2 seconds'").await;
    site.held(&h1, day(18), "worker").await;
    site.enqueue(&h1, &[day(19), day(20)]).await;
    site.enqueue(&site.definition("AAPL", Timeframe::M15).await, &[day(19)]).await;
    let stats = "select * from get_timeframe_job_stats()";
    assert_eq!(site.rows(stats).await, ["(h1,5,2,1,2,0,14,2.000)", "(m15,1,1,0,0,0,0,)"]);
    site.run("update job_runs set created_at = now() - interval '90 minutes' where status = 'success'").await;
    assert_eq!(site.rows(stats).await, ["(h1,3,2,1,0,0,0,)", "(m15,1,1,0,0,0,0,)"]);
    let two_hours = "select * from get_timeframe_job_stats(2)";
    assert_eq!(site.rows(two_hours).await, ["(h1,5,2,1,2,0,14,2.000)", "(m15,1,1,0,0,0,0,)"]);
}

async fn a_user_sees_what_they_track_with_its_bars_and_runs(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    site.track(ALICE, &["NVDA"], Source::RecentSearch).await;
    site.track(ALICE, &["AAPL"], Source::Watchlist).await;
    let h1 = site.definition("AAPL", Timeframe::H1).await;
    let monday = range("2026-11-23T14:30:00Z", "2026-11-23T21:00:00Z");
    let run = site.held(&h1, monday, "worker").await;
    assert!(site.answer(&run, &crate::site::expected(&h1, monday)).await);
    site.held(&h1, monday, "worker").await;
    site.enqueue(&site.definition("AAPL", Timeframe::M15).await, &[monday]).await;
    for argument in [format!("'{ALICE}'::uuid"), format!("'{ALICE}'"), format!("upper('{ALICE}')")] {
        let status = format!(
            "select symbol, source, priority, m15_bars, h1_bars, h4_bars, jobs_pending, jobs_running
            from get_user_tracked_symbols_status({argument})"
        );
        let expected = ["(AAPL,watchlist,300,0,7,0,1,1)", "(NVDA,recent_search,100,0,0,0,0,0)"];
        assert_eq!(site.rows(&status).await, expected);
        assert_eq!(site.rows_as(ALICE, &status).await.unwrap(), expected);
    }
    for unknown in ["'your-user-id-here'", "''", "null::text", "'zzzzzzzz-0000-4000-8000-000000000001'", "null::uuid"] {
        let status = format!("select * from get_user_tracked_symbols_status({unknown})");
        assert!(site.rows(&status).await.is_empty(), "{unknown}");
    }
    let progress = store::backfill_progress::for_symbols(
        &site.database,
        &tickers(&["AAPL"]),
        "2020-01-01T00:00:00Z".parse().unwrap(),
    )
    .await;
    let progress = progress.unwrap();
    assert_eq!((progress.queued, progress.running, progress.succeeded, progress.rows), (1, 1, 1, 7));
}

async fn the_planner_says_that_it_lives(owner: Owner) {
    let site = Site::new(owner).await;
    let before = scheduler::readiness(&site.database).await.unwrap();
    assert_eq!((before.scheduler_seen_secs_ago, before.scheduler_status.as_str()), (None, "never ran"));
    scheduler::heartbeat(&site.database, scheduler::SCHEDULER, "ok", "2 series due").await.unwrap();
    let after = scheduler::readiness(&site.database).await.unwrap();
    assert!(after.scheduler_seen_secs_ago.unwrap() < 30);
    assert_eq!(after.scheduler_message.as_deref(), Some("2 series due"));
}

async fn wanted_symbols_are_those_that_are_kept(owner: Owner) {
    let site = Site::new(owner).await;
    assert_eq!(coverage::wanted_symbols(&site.database).await.unwrap().len(), 20);
    site.track(ALICE, &["FRESH", "TEST"], Source::Watchlist).await;
    let wanted = coverage::wanted_symbols(&site.database).await.unwrap();
    assert_eq!(wanted.len(), 21);
    assert!(wanted.contains(&ticker("FRESH")) && !wanted.contains(&ticker("TEST")));
}
