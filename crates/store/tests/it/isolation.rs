//! Users don't see one another's data.

use market::Timeframe;
use store::tracking::Source;
use testkit::{ALICE, BOB, Owner};

use crate::site::{Site, TUESDAY};

for_every_owner! {
    a_user_sees_nothing_of_what_another_tracks,
    a_user_sees_the_work_on_what_both_track,
    a_user_cannot_track_for_another_or_at_another_priority,
    a_user_takes_back_only_their_own_interest,
    with_nobody_signed_in_nothing_is_shown,
    a_user_who_is_deleted_leaves_no_interest,
}

async fn a_user_sees_nothing_of_what_another_tracks(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    site.track(BOB, &["TSLA", "SECRET"], Source::Watchlist).await;
    site.fill(&site.definition("TSLA", Timeframe::H1).await).await;
    let empty = site.definition("SECRET", Timeframe::H1).await;
    let gap = site.gaps(&empty).await[0];
    let run = site.held(&empty, gap, "worker").await;
    assert!(site.answer(&run, &[]).await);
    site.run(
        "insert into barkeep.quarantined_bars (symbol, timeframe, series, ts, provider, reason, sent)
        values ('SECRET', 'm30', 'h1', now(), 'test/sip', 'a price is below zero', '{-1,1,1,1,1}')",
    )
    .await;

    for query in [
        "select * from public.user_symbol_tracking",
        "select * from public.job_definitions",
        "select * from public.job_runs",
        "select * from public.coverage_status",
        "select * from barkeep.empty_sessions",
        "select * from barkeep.quarantined_bars",
        "select * from public.get_timeframe_job_stats(24)",
    ] {
        assert!(site.rows_as(ALICE, query).await.unwrap().is_empty(), "{query}");
        assert!(!site.rows_as(BOB, query).await.unwrap().is_empty(), "{query}");
    }
    for argument in [format!("'{BOB}'::uuid"), format!("'{BOB}'::text")] {
        let query = format!("select * from public.get_user_tracked_symbols_status({argument})");
        assert!(site.rows_as(ALICE, &query).await.unwrap().is_empty());
        assert_eq!(site.rows_as(BOB, &query).await.unwrap().len(), 2);
    }
    let coverage = "select distinct state, last_fetch, reason from public.get_symbol_timeframe_coverage('TSLA')";
    assert_eq!(site.rows_as(ALICE, coverage).await.unwrap(), ["(\"not tracked\",,)"]);
}

async fn a_user_sees_the_work_on_what_both_track(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    site.track(BOB, &["TSLA"], Source::Watchlist).await;
    site.track(ALICE, &["TSLA"], Source::RecentSearch).await;
    site.fill(&site.definition("TSLA", Timeframe::H1).await).await;
    for query in ["select id from public.job_runs", "select symbol, covered from public.coverage_status"] {
        let (alice, bob) = (site.rows_as(ALICE, query).await.unwrap(), site.rows_as(BOB, query).await.unwrap());
        assert_eq!(alice, bob);
        assert_eq!(alice.len(), 1);
    }
    let state = "select state from public.get_symbol_timeframe_coverage('TSLA') where timeframe = 'h1'";
    assert_eq!(site.rows_as(ALICE, state).await.unwrap(), ["(complete)"]);
    assert_eq!(site.rows_as(ALICE, "select user_id from public.user_symbol_tracking").await.unwrap().len(), 1);
}

async fn a_user_cannot_track_for_another_or_at_another_priority(owner: Owner) {
    let site = Site::new(owner).await;
    let insert = |user, priority| {
        format!(
            "insert into public.user_symbol_tracking (user_id, symbol_id, source, priority)
            select '{user}', id, 'recent_search', {priority} from public.symbols where ticker = 'AAPL'"
        )
    };
    assert_eq!(site.refusal_as(ALICE, &insert(BOB, 100)).await, "42501");
    assert_eq!(site.refusal_as(ALICE, &insert(ALICE, 300)).await, "23514");
    site.track(BOB, &["AAPL"], Source::Watchlist).await;
    for statement in ["set user_id = auth.uid()", "set priority = 300", "set updated_at = now()"] {
        let update = format!("update public.user_symbol_tracking {statement}");
        assert_eq!(site.refusal_as(ALICE, &update).await, "42501", "{update}");
    }
    let mut tx = site.database.begin().await.unwrap();
    crate::site::become_user(&mut tx, ALICE).await;
    sqlx::raw_sql(sqlx::AssertSqlSafe(insert(ALICE, 100))).execute(&mut *tx).await.unwrap();
    let deleted = sqlx::raw_sql("delete from public.user_symbol_tracking").execute(&mut *tx).await.unwrap();
    assert_eq!(deleted.rows_affected(), 1);
    tx.commit().await.unwrap();
    assert_eq!(site.value("select count(*) from user_symbol_tracking").await, "1");
}

async fn a_user_takes_back_only_their_own_interest(owner: Owner) {
    let site = Site::new(owner).await;
    site.track(BOB, &["AAPL"], Source::Watchlist).await;
    assert_eq!(site.untrack(ALICE, "AAPL", None).await, 0);
    assert_eq!(site.value("select count(*) from user_symbol_tracking").await, "1");
}

async fn with_nobody_signed_in_nothing_is_shown(owner: Owner) {
    let site = Site::new(owner).await;
    site.track(BOB, &["AAPL"], Source::Watchlist).await;
    let mut tx = site.database.begin().await.unwrap();
    sqlx::query("select set_config('role', 'authenticated', true)").execute(&mut *tx).await.unwrap();
    for query in ["select id from public.user_symbol_tracking", "select id from public.job_definitions"] {
        assert!(crate::site::rows_in(&mut tx, query).await.unwrap().is_empty(), "{query}");
    }
    let sync = "select public.sync_user_symbols('{AAPL}', 'watchlist')";
    let error = sqlx::raw_sql(sync).execute(&mut *tx).await.unwrap_err();
    assert_eq!(crate::site::code_of(&error), "28000");
}

async fn a_user_who_is_deleted_leaves_no_interest(owner: Owner) {
    let site = Site::new(owner).await;
    site.track(BOB, &["AAPL", "FRESH"], Source::Watchlist).await;
    let mut superuser = <sqlx::PgConnection as sqlx::Connection>::connect(&site.owned.url).await.unwrap();
    sqlx::query("delete from auth.users where id = $1").bind(BOB).execute(&mut superuser).await.unwrap();
    assert_eq!(site.value("select count(*) from user_symbol_tracking").await, "0");
    let left = "select distinct symbol, enabled, by_interest from job_definitions
        where symbol in ('AAPL', 'FRESH') order by 1";
    assert_eq!(site.rows(left).await, ["(AAPL,t,f)", "(FRESH,f,f)"]);
}
