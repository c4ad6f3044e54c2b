//! Interest in: what is accepted, what is rejected, and that a rejection has no effects.

use market::{Ticker, Timeframe};
use store::{StoreError, tracking, tracking::Source, users};
use testkit::{ALICE, BOB, Owner};
use uuid::Uuid;

use crate::site::{Site, refused, ticker};

for_every_owner! {
    all_seven_fields_are_answered,
    an_unknown_symbol_is_made_and_a_pair_has_its_own_calendar,
    an_inactive_symbol_gets_disabled_definitions,
    what_is_no_input_is_refused_by_name_and_changes_nothing,
    nobody_and_strangers_are_refused,
    the_anonymous_user_may_have_50_symbols_and_others_500,
}

for_one_owner! {
    duplicates_and_aliases_count_once,
    newer_timeframes_get_definitions_of_their_kind,
    tracking_again_adds_timeframes_and_takes_none_away,
    taking_interest_back_says_how_many_symbols_it_was,
}

async fn all_seven_fields_are_answered(owner: Owner) {
    let site = Site::new(owner).await;
    let synced = site.track(ALICE, &["AAPL", "ZZZZ"], Source::Watchlist).await;
    assert_eq!(
        serde_json::to_value(&synced).unwrap(),
        serde_json::json!({
            "success": true, "symbols_tracked": 2, "symbols_requested": 2, "timeframes": 3, "jobs_updated": 6,
            "priority": 300, "source": "watchlist"
        })
    );
    for (source, priority) in [(Source::ChartView, 200), (Source::RecentSearch, 100)] {
        let synced = site.track(ALICE, &["AAPL"], source).await;
        assert_eq!((synced.priority, synced.source.as_str()), (priority, source.as_str()));
    }
    let rows = "select source, priority from user_symbol_tracking t join symbols s on s.id = t.symbol_id
        where s.ticker = 'AAPL' order by 2";
    assert_eq!(site.rows(rows).await, ["(recent_search,100)", "(chart_view,200)", "(watchlist,300)"]);
}

async fn an_unknown_symbol_is_made_and_a_pair_has_its_own_calendar(owner: Owner) {
    let site = Site::new(owner).await;
    site.track(ALICE, &["ZZZZ", "BTC-USD"], Source::Watchlist).await;
    let made = "select ticker, asset_type, calendar, active, listing from symbols where ticker in ('ZZZZ', 'BTC-USD')
        order by 1";
    assert_eq!(site.rows(made).await, ["(BTC-USD,crypto,24x7,t,unchecked)", "(ZZZZ,stock,XNYS,t,unchecked)"]);
    let definitions = "select symbol, timeframe, priority, enabled, by_interest, base_priority from job_definitions
        where symbol = 'ZZZZ' order by 2";
    assert_eq!(site.rows(definitions).await, ["(ZZZZ,h1,300,t,t,)", "(ZZZZ,h4,300,t,t,)", "(ZZZZ,m15,300,t,t,)"]);
}

async fn duplicates_and_aliases_count_once(owner: Owner) {
    let site = Site::new(owner).await;
    let mut tx = site.database.begin().await.unwrap();
    crate::site::become_user(&mut tx, ALICE).await;
    let answer = crate::site::rows_in(
        &mut tx,
        "select r ->> 'symbols_tracked', r ->> 'symbols_requested', r ->> 'jobs_updated', r ->> 'timeframes'
        from public.sync_user_symbols('{brk-b,BRK.B, BRK-B ,btc/usd}', 'watchlist', '{h1,h1}') r",
    )
    .await
    .unwrap();
    assert_eq!(answer, ["(2,4,2,1)"]);
    tx.commit().await.unwrap();
    assert_eq!(site.value("select count(*) from user_symbol_tracking").await, "2");
}

async fn newer_timeframes_get_definitions_of_their_kind(owner: Owner) {
    let site = Site::new(owner).await;
    tracking::sync(&site.database, ALICE, &[ticker("ZZZZ")], Source::Watchlist, &Timeframe::ALL).await.unwrap();
    assert_eq!(
        site.rows("select timeframe, job_type, window_days from job_definitions where symbol = 'ZZZZ' order by 3, 1")
            .await,
        [
            "(m1,fetch_intraday,7)",
            "(m5,fetch_intraday,14)",
            "(m15,fetch_intraday,30)",
            "(m30,fetch_intraday,60)",
            "(h1,fetch_intraday,90)",
            "(h4,fetch_intraday,365)",
            "(d1,fetch_historical,730)",
            "(w1,fetch_historical,730)",
        ]
    );
}

async fn tracking_again_adds_timeframes_and_takes_none_away(owner: Owner) {
    let site = Site::new(owner).await;
    for timeframe in [Timeframe::D1, Timeframe::H1] {
        tracking::sync(&site.database, ALICE, &[ticker("ZZZZ")], Source::Watchlist, &[timeframe]).await.unwrap();
    }
    assert_eq!(site.rows("select timeframes from user_symbol_tracking").await, ["(\"{d1,h1}\")"]);
    let enabled = "select timeframe, enabled from job_definitions where symbol = 'ZZZZ' order by 1";
    assert_eq!(site.rows(enabled).await, ["(d1,t)", "(h1,t)"]);
}

async fn an_inactive_symbol_gets_disabled_definitions(owner: Owner) {
    let site = Site::new(owner).await;
    assert_eq!(site.track(ALICE, &["TEST"], Source::Watchlist).await.symbols_tracked, 1);
    let definitions = "select timeframe, priority, enabled from job_definitions where symbol = 'TEST' order by 1";
    assert_eq!(site.rows(definitions).await, ["(h1,300,f)", "(h4,300,f)", "(m15,300,f)"]);
    let definition = site.definition("TEST", Timeframe::H1).await;
    let slice = crate::site::range("2026-11-23T14:30:00Z", "2026-11-23T21:00:00Z");
    assert_eq!(site.enqueue(&definition, &[slice]).await, 0);
}

async fn what_is_no_input_is_refused_by_name_and_changes_nothing(owner: Owner) {
    let site = Site::new(owner).await;
    let state = "select (select count(*) from symbols), (select count(*) from job_definitions),
        (select count(*) from user_symbol_tracking)";
    let before = site.rows(state).await;
    for (arguments, message) in [
        ("'{}', 'watchlist'", "No symbols provided"),
        ("null, 'watchlist'", "No symbols provided"),
        ("'{AAPL}', 'starred'", "Invalid source. Must be: watchlist, recent_search, or chart_view"),
        ("'{AAPL}', null", "Invalid source. Must be: watchlist, recent_search, or chart_view"),
        ("'{AAPL}', 'watchlist', '{h1,h2}'", "Invalid timeframe: h2"),
        ("'{AAPL}', 'watchlist', '{}'", "Invalid timeframe: none given"),
        ("'{AAPL}', 'watchlist', null", "Invalid timeframe: none given"),
        ("'{NEWONE,A B}', 'watchlist'", "Invalid symbol: A B"),
        ("'{NEWONE,null}', 'watchlist'", "Invalid symbol: null"),
    ] {
        let mut tx = site.database.begin().await.unwrap();
        crate::site::become_user(&mut tx, ALICE).await;
        let sql = format!("select public.sync_user_symbols({arguments})");
        let error = sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut *tx).await.unwrap_err();
        tx.rollback().await.unwrap();
        match StoreError::from(error) {
            StoreError::Refused(told) => assert_eq!(told, message),
            other => panic!("{arguments}: {other}"),
        }
    }
    assert_eq!(site.rows(state).await, before);
}

async fn nobody_and_strangers_are_refused(owner: Owner) {
    let site = Site::new(owner).await;
    let mut tx = site.database.begin().await.unwrap();
    let sync = "select public.sync_user_symbols('{AAPL}', 'watchlist')";
    let nobody = sqlx::raw_sql(sync).execute(&mut *tx).await.unwrap_err();
    assert!(matches!(StoreError::from(nobody), StoreError::Unauthenticated(_)));
    drop(tx);
    // A token of a user who has been deleted since.
    let stranger =
        tracking::sync(&site.database, Uuid::from_u128(7), &[ticker("AAPL")], Source::Watchlist, &[Timeframe::H1])
            .await;
    assert!(matches!(stranger, Err(StoreError::Unauthenticated(_))), "{stranger:?}");
    assert_eq!(site.value("select count(*) from user_symbol_tracking").await, "0");
}

async fn the_anonymous_user_may_have_50_symbols_and_others_500(owner: Owner) {
    let site = Site::new(owner).await;
    let mut superuser = <sqlx::PgConnection as sqlx::Connection>::connect(&site.owned.url).await.unwrap();
    sqlx::query("insert into auth.users (id, email) values ($1, 'anonymous@barkeep.localhost') on conflict do nothing")
        .bind(users::ANONYMOUS)
        .execute(&mut superuser)
        .await
        .unwrap();
    let symbols = |from: usize, n: usize| (from..from + n).map(|n| ticker(&format!("CAP{n}"))).collect::<Vec<Ticker>>();
    let sync = async |user, symbols: &[Ticker]| {
        tracking::sync(&site.database, user, symbols, Source::Watchlist, &[Timeframe::H1]).await
    };
    for (user, allowed) in [(users::ANONYMOUS, 50), (BOB, 500)] {
        let message = format!("At most {allowed} symbols per user");
        assert_eq!(refused(sync(user, &symbols(0, allowed + 1)).await), message);
        assert_eq!(site.value("select count(*) from user_symbol_tracking").await, "0");
        assert_eq!(sync(user, &symbols(0, allowed)).await.unwrap().symbols_tracked, allowed as i64);
        // One more at a time exceeds the limit, one that is tracked already doesn't.
        assert_eq!(refused(sync(user, &symbols(allowed, 1)).await), message);
        assert_eq!(refused(sync(user, &symbols(allowed - 1, 2)).await), message);
        sync(user, &symbols(0, allowed)).await.unwrap();
        let made = format!("select count(*) from symbols where ticker = 'CAP{allowed}'");
        assert_eq!(site.value(&made).await, "0", "a refusal leaves a symbol behind");
        assert_eq!(site.value("select count(*) from user_symbol_tracking").await, allowed.to_string());
        tracking::untrack(&site.database, user, &symbols(0, allowed), None).await.unwrap();
    }
}

async fn taking_interest_back_says_how_many_symbols_it_was(owner: Owner) {
    let site = Site::new(owner).await;
    site.track(ALICE, &["AAPL", "MSFT"], Source::Watchlist).await;
    site.track(ALICE, &["AAPL"], Source::ChartView).await;
    assert_eq!(site.untrack(ALICE, "AAPL", Some(Source::RecentSearch)).await, 0);
    assert_eq!(site.untrack(ALICE, "AAPL", Some(Source::ChartView)).await, 1);
    assert_eq!(site.untrack(ALICE, "AAPL", None).await, 1);
    assert_eq!(site.untrack(ALICE, "NONESUCH", None).await, 0);
    assert_eq!(site.value("select count(*) from user_symbol_tracking").await, "1");
}
