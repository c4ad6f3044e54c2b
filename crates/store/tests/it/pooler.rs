//! No state is left on a connection: a transaction-mode pooler assigns it to another client after each transaction.

use market::Timeframe;
use sqlx::Row;
use store::{
    Database, StoreError, bars, browser_sessions, budget, clock, coverage, definitions, events, installation,
    migrations, processes,
    runs::{self, Order, Slices},
    scheduler, symbols,
    tracking::{self, Source},
    users,
};
use testkit::{ALICE, Owner};

use crate::site::{LEASE, Site, TUESDAY, at, claim, expected, finish, renew, store_bars, ticker, tickers};

for_every_owner! {
    no_statement_and_no_setting_outlives_its_transaction,
    a_connection_that_was_somebody_elses_is_as_good,
}

/// Every kind of statement of the store, through `database`.
async fn exercise(database: &Database) -> Result<(), StoreError> {
    let of = tickers(&["AAPL", "FRESH"]);
    let aapl = ticker("AAPL");
    migrations::migrate(database).await?;
    clock::start(database, Some(at(TUESDAY))).await?;
    clock::set_grace(database, market::Calendar::Xnys, jiff::SignedDuration::from_mins(2), false).await?;
    installation::claim(database, installation::Bars::Simulated, "http://127.0.0.1").await?;
    tracking::sync(database, ALICE, &of, Source::Watchlist, &[Timeframe::M15, Timeframe::H1]).await?;
    tracking::sync(database, ALICE, &of, Source::ChartView, &[Timeframe::H1]).await?;
    tracking::untrack(database, ALICE, &of, Some(Source::ChartView)).await?;
    tracking::expire(database).await?;
    definitions::ensure_background(database, &of, &[Timeframe::D1], Some(30)).await?;
    definitions::make_due(database, &of).await?;
    let due = definitions::due(database, Some(&of[..1]), 10).await?;
    let mut tx = database.begin().await?;
    let due = definitions::lock_due(&mut tx, &due).await?;
    let gaps = coverage::gaps(&mut tx, &due, None).await?;
    assert_eq!(coverage::windows(&mut tx, &due).await?.len(), due.len());
    let wanted: Vec<_> = due
        .iter()
        .filter_map(|d| Some(Slices { definition: d, slices: gaps.get(&d.id)?.clone(), triggered_by: "test" }))
        .collect();
    runs::enqueue(&mut tx, &wanted).await?;
    definitions::mark_planned(&mut tx, &due).await?;
    tx.commit().await?;
    assert!(!runs::all_queued(database, 10).await?.is_empty());
    while let Some(run) = claim(database, "worker", Order::InterestFirst, Some(&of)).await? {
        assert!(renew(database, &run).await?);
        let definition = due.iter().find(|d| d.ticker == run.ticker && d.timeframe == run.timeframe).unwrap();
        let mut tx = database.begin().await?;
        assert_eq!(runs::lock(&mut tx, &[&run]).await?, [run.id]);
        let rows = store_bars(&mut tx, &run, &expected(definition, run.slice)).await?;
        assert!(finish(&mut tx, &run, Some(run.slice), rows).await?);
        tx.commit().await?;
    }
    budget::open(database, "account", "test", 5).await?;
    let request = budget::take(database, "account", false).await?.unwrap();
    budget::record_response(database, "account", request, budget::Answered::default()).await?;
    budget::block(database, "account", LEASE, "refused").await?;
    budget::unblock(database, "account").await?;
    assert_eq!(budget::account_budget(database, "account").await?.unwrap().left, 4);
    assert_eq!(budget::account_budgets(database).await?.len(), 1);
    budget::forget_unused(database).await?;
    let process = processes::ProcessInfo {
        name: "one".to_owned(),
        parts: vec![processes::Role::Plan],
        host: "here".to_owned(),
        pid: 1,
        version: "1",
        slots: 0,
        address: Some("127.0.0.1:4780".to_owned()),
    };
    processes::heartbeat(database, &process, Some(true)).await?;
    assert!(processes::others_plan(database, "another").await? && processes::others_running(database, "two").await?);
    assert_eq!(processes::all(database).await?.len(), 1);
    assert_eq!(processes::server(database).await?.unwrap().port(), 4780);
    processes::deregister(database, "one").await?;
    browser_sessions::store_code(database, ALICE, b"digest", LEASE).await?;
    assert_eq!(browser_sessions::redeem_code(database, b"digest").await?, Some(ALICE));
    assert_eq!(browser_sessions::redeem_code(database, b"digest").await?, None, "once");
    runs::release(database, Some("nobody")).await?;
    runs::retry_failed(database, Some(&of)).await?;
    runs::readmit_failed(database).await?;
    runs::retry_waiting(database).await?;
    store::backfill_progress::for_symbols(database, &of, at(TUESDAY)).await?;
    symbols::suspend(database, &of[1], "unknown").await?;
    symbols::take_due_for_recheck(database).await?;
    symbols::confirm_listed(database, &of[1], "Fresh", "NYSE").await?;
    for user in [None, Some(ALICE)] {
        assert!(bars::read(database, user, &aapl, Timeframe::H1, None, 10).await?.is_some());
        assert!(coverage::of_symbol(database, user, &aapl).await?.len() >= 3);
    }
    coverage::wanted_symbols(database).await?;
    events::changes(database, ALICE, at("2020-01-01T00:00:00Z")).await?;
    scheduler::heartbeat(database, scheduler::SCHEDULER, "ok", "").await?;
    scheduler::readiness(database).await?;
    scheduler::record_round(database, "ok", "", &scheduler::PlanningRound::default()).await?;
    assert_eq!(scheduler::last_round(database).await?.number, 1);
    scheduler::wake(database).await?;
    users::exists(database, ALICE).await?;
    users::by_email(database, "alice@example.com").await?;
    Ok(())
}

async fn no_statement_and_no_setting_outlives_its_transaction(owner: Owner) {
    let site = Site::new(owner).await;
    let one = Database::connect(&site.owned.owner_url, 1).await.unwrap();
    exercise(&one).await.unwrap();
    let mut tx = one.begin().await.unwrap();
    let left = sqlx::raw_sql(
        "select (select string_agg(statement, '; ') from pg_prepared_statements),
            (select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()),
            current_user = session_user, coalesce(current_setting('request.jwt.claims', true), ''),
            (select count(*) from pg_listening_channels())",
    )
    .fetch_one(&mut *tx)
    .await
    .unwrap();
    assert_eq!(left.get::<Option<String>, _>(0), None);
    assert_eq!((left.get::<i64, _>(1), left.get::<bool, _>(2), left.get::<i64, _>(4)), (0, true, 0));
    assert_eq!(left.get::<String, _>(3), "");
}

async fn a_connection_that_was_somebody_elses_is_as_good(owner: Owner) {
    // Another client's prepared statements have the names that ours would have, if ours had any.
    let site = Site::new(owner).await;
    let one = Database::connect(&site.owned.owner_url, 1).await.unwrap();
    let mut tx = one.begin().await.unwrap();
    for n in 0..200 {
        let taken = format!("prepare sqlx_s_{n} as select 1");
        sqlx::raw_sql(sqlx::AssertSqlSafe(taken)).execute(&mut *tx).await.unwrap();
    }
    tx.commit().await.unwrap();
    exercise(&one).await.unwrap();
}
