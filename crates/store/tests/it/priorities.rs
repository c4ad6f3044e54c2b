//! The interest of several users, and what remains when one of them leaves.

use market::Timeframe;
use store::{definitions, tracking, tracking::Source};
use testkit::{ALICE, BOB, Owner};

use crate::site::{Site, TUESDAY, fail, range, ticker, tickers};

for_every_owner! {
    the_highest_live_interest_counts_and_what_remains_when_it_leaves,
    what_nobody_wants_any_more_is_paused_and_its_queue_cancelled,
}

for_one_owner! {
    charts_run_out_after_30_days_searches_after_7_and_watchlists_never,
    queued_runs_are_ranked_anew_in_the_same_transaction,
    a_chart_opened_after_the_watchlist_demotes_nothing,
    background_definitions_fall_back_to_their_base,
    what_is_wanted_again_is_planned_at_once,
    a_timeframe_that_is_not_asked_for_keeps_its_priority,
    windows_are_never_narrowed,
}

const OF_AAPL: &str = "select distinct priority, enabled, by_interest from job_definitions where symbol = 'AAPL'";
const OF_FRESH: &str = "select distinct priority, enabled, by_interest from job_definitions where symbol = 'FRESH'";

async fn the_highest_live_interest_counts_and_what_remains_when_it_leaves(owner: Owner) {
    let site = Site::new(owner).await;
    site.track(ALICE, &["FRESH"], Source::Watchlist).await;
    site.track(BOB, &["FRESH"], Source::ChartView).await;
    assert_eq!(site.rows(OF_FRESH).await, ["(300,t,t)"]);
    assert_eq!(site.untrack(ALICE, "FRESH", None).await, 1);
    assert_eq!(site.rows(OF_FRESH).await, ["(200,t,t)"]);
    site.track(BOB, &["FRESH"], Source::RecentSearch).await;
    assert_eq!(site.untrack(BOB, "FRESH", Some(Source::ChartView)).await, 1);
    assert_eq!(site.rows(OF_FRESH).await, ["(100,t,t)"]);
}

async fn a_chart_opened_after_the_watchlist_demotes_nothing(owner: Owner) {
    let site = Site::new(owner).await;
    site.track(ALICE, &["FRESH"], Source::Watchlist).await;
    let before = site.rows("select timeframe, window_days, priority from job_definitions where symbol = 'FRESH'").await;
    site.track(ALICE, &["FRESH"], Source::ChartView).await;
    site.track(BOB, &["FRESH"], Source::RecentSearch).await;
    let after = site.rows("select timeframe, window_days, priority from job_definitions where symbol = 'FRESH'").await;
    assert_eq!(after, before);
    assert_eq!(site.rows(OF_FRESH).await, ["(300,t,t)"]);
}

async fn background_definitions_fall_back_to_their_base(owner: Owner) {
    let site = Site::new(owner).await;
    site.track(ALICE, &["AAPL"], Source::Watchlist).await;
    assert_eq!(site.rows(OF_AAPL).await, ["(300,t,t)"]);
    site.untrack(ALICE, "AAPL", None).await;
    let base = "select timeframe, priority, enabled, by_interest from job_definitions where symbol = 'AAPL' order by 1";
    assert_eq!(site.rows(base).await, ["(h1,200,t,f)", "(h4,150,t,f)", "(m15,100,t,f)"]);
    // A search gives it foreground priority, at the search's level.
    site.track(ALICE, &["AAPL"], Source::RecentSearch).await;
    assert_eq!(site.rows(OF_AAPL).await, ["(100,t,t)"]);
}

async fn what_nobody_wants_any_more_is_paused_and_its_queue_cancelled(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    site.track(ALICE, &["FRESH"], Source::Watchlist).await;
    let h1 = site.definition("FRESH", Timeframe::H1).await;
    let monday = range("2026-11-23T14:30:00Z", "2026-11-23T21:00:00Z");
    let friday = range("2026-11-20T14:30:00Z", "2026-11-20T21:00:00Z");
    assert_eq!(site.enqueue(&h1, &[monday, friday]).await, 2);
    let running = site.claim("worker").await.unwrap();
    assert_eq!(running.slice, monday);
    site.untrack(ALICE, "FRESH", None).await;
    assert_eq!(site.rows(OF_FRESH).await, ["(0,f,f)"]);
    let runs = "select status, error_message, finished_at is not null from job_runs order by status";
    let cancelled = "(cancelled,\"No user tracks this series any more\",t)";
    assert_eq!(site.rows(runs).await, [cancelled, "(running,,f)"]);
    // A running run may finish; if it fails it isn't retried.
    let failure = store::runs::Failure {
        code: "transport",
        message: "reset".to_owned(),
        retry_after: std::time::Duration::ZERO,
        blame: store::runs::Blame::Request,
        terminal: false,
        requests: 1,
    };
    assert!(fail(&site.database, &running, &failure).await.unwrap());
    assert_eq!(site.rows(runs).await, [cancelled, cancelled]);
    assert!(site.claim("worker").await.is_none());
}

async fn what_is_wanted_again_is_planned_at_once(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    let synced = tracking::sync(&site.database, ALICE, &[ticker("FRESH")], Source::Watchlist, &[Timeframe::W1]).await;
    assert_eq!(synced.unwrap().jobs_updated, 1);
    let mut tx = site.database.begin().await.unwrap();
    definitions::mark_planned(&mut tx, &[site.definition("FRESH", Timeframe::W1).await]).await.unwrap();
    tx.commit().await.unwrap();
    let of_fresh = tickers(&["FRESH"]);
    assert!(definitions::due(&site.database, Some(&of_fresh), 10).await.unwrap().is_empty());
    site.untrack(ALICE, "FRESH", None).await;
    assert!(definitions::due(&site.database, Some(&of_fresh), 10).await.unwrap().is_empty(), "it is paused");
    tracking::sync(&site.database, BOB, &of_fresh, Source::ChartView, &[Timeframe::W1]).await.unwrap();
    assert_eq!(definitions::due(&site.database, Some(&of_fresh), 10).await.unwrap().len(), 1);
}

async fn charts_run_out_after_30_days_searches_after_7_and_watchlists_never(owner: Owner) {
    let site = Site::new(owner).await;
    let age = |source: &str, age: &str| {
        format!("update user_symbol_tracking set updated_at = now() - interval '{age}' where source = '{source}'")
    };
    site.track(ALICE, &["FRESH"], Source::Watchlist).await;
    site.track(ALICE, &["FRESH"], Source::ChartView).await;
    site.track(BOB, &["FRESH"], Source::RecentSearch).await;
    site.run(&age("watchlist", "10 years")).await;
    site.run(&age("chart_view", "29 days 23 hours")).await;
    site.run(&age("recent_search", "6 days 23 hours")).await;
    assert_eq!(tracking::expire(&site.database).await.unwrap(), 0);
    site.untrack(ALICE, "FRESH", Some(Source::Watchlist)).await;
    assert_eq!(site.rows(OF_FRESH).await, ["(200,t,t)"]);
    site.run(&age("chart_view", "30 days")).await;
    assert_eq!(tracking::expire(&site.database).await.unwrap(), 1);
    assert_eq!(site.rows(OF_FRESH).await, ["(100,t,t)"]);
    site.run(&age("recent_search", "7 days")).await;
    assert_eq!(tracking::expire(&site.database).await.unwrap(), 1);
    assert_eq!(site.rows(OF_FRESH).await, ["(0,f,f)"]);
    // A repeated search extends its time.
    site.track(ALICE, &["FRESH"], Source::ChartView).await;
    site.run(&age("chart_view", "29 days")).await;
    site.track(ALICE, &["FRESH"], Source::ChartView).await;
    assert_eq!(site.value("select updated_at > now() - interval '1 minute' from user_symbol_tracking").await, "t");
}

async fn queued_runs_are_ranked_anew_in_the_same_transaction(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    let definition = site.definition("AAPL", Timeframe::H1).await;
    let slice = range("2026-11-23T14:30:00Z", "2026-11-23T21:00:00Z");
    site.enqueue(&definition, &[slice]).await;
    let ranked = "select priority, by_interest, created_at - rank_at from job_runs";
    assert_eq!(site.rows(ranked).await, ["(200,f,00:20:00)"]);
    let mut tx = site.database.begin().await.unwrap();
    crate::site::become_user(&mut tx, ALICE).await;
    let sync = "select public.sync_user_symbols('{AAPL}', 'watchlist')";
    sqlx::raw_sql(sync).execute(&mut *tx).await.unwrap();
    assert_eq!(crate::site::rows_in(&mut tx, ranked).await.unwrap(), ["(300,t,00:30:00)"]);
    tx.rollback().await.unwrap();
    assert_eq!(site.rows(ranked).await, ["(200,f,00:20:00)"]);
    site.track(ALICE, &["AAPL"], Source::RecentSearch).await;
    assert_eq!(site.rows(ranked).await, ["(100,t,00:10:00)"]);
    site.untrack(ALICE, "AAPL", None).await;
    assert_eq!(site.rows(ranked).await, ["(200,f,00:20:00)"]);
}

async fn a_timeframe_that_is_not_asked_for_keeps_its_priority(owner: Owner) {
    let site = Site::new(owner).await;
    let watch = |timeframe| {
        let database = site.database.clone();
        async move { tracking::sync(&database, ALICE, &[ticker("AAPL")], Source::Watchlist, &[timeframe]).await }
    };
    watch(Timeframe::H1).await.unwrap();
    let priorities = "select timeframe, priority, by_interest from job_definitions where symbol = 'AAPL' order by 1";
    assert_eq!(site.rows(priorities).await, ["(h1,300,t)", "(h4,150,f)", "(m15,100,f)"]);
    watch(Timeframe::D1).await.unwrap();
    assert_eq!(site.rows(priorities).await, ["(d1,300,t)", "(h1,300,t)", "(h4,150,f)", "(m15,100,f)"]);
}

async fn windows_are_never_narrowed(owner: Owner) {
    let site = Site::new(owner).await;
    let of = tickers(&["AAPL", "FRESH"]);
    let keep = async |days| {
        definitions::ensure_background(&site.database, &of, &[Timeframe::H1], days).await.unwrap();
        site.rows(
            "select symbol, window_days, priority, by_interest, enabled from job_definitions
            where symbol in ('AAPL', 'FRESH') and timeframe = 'h1' order by 1",
        )
        .await
    };
    assert_eq!(keep(Some(400)).await, ["(AAPL,400,200,f,t)", "(FRESH,400,50,f,t)"]);
    assert_eq!(keep(Some(10)).await, ["(AAPL,400,200,f,t)", "(FRESH,400,50,f,t)"]);
    assert_eq!(keep(None).await, ["(AAPL,400,200,f,t)", "(FRESH,400,50,f,t)"]);
    site.track(ALICE, &["FRESH"], Source::ChartView).await;
    assert_eq!(keep(None).await, ["(AAPL,400,200,f,t)", "(FRESH,400,200,t,t)"]);
}
