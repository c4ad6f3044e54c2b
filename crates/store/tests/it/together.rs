//! Many calls at once: no errors, no duplicates, no deadlock.

use std::sync::Arc;

use market::{Ticker, Timeframe};
use store::{StoreError, definitions, symbols, tracking, tracking::Source};
use testkit::{ALICE, BOB, Owner};
use tokio::task::JoinSet;

use crate::site::{PATIENCE, Site, ticker};

for_every_owner! {
    twenty_identical_requests_make_one_symbol_and_three_definitions,
}

for_one_owner! {
    overlapping_requests_in_any_order_do_not_deadlock,
    tracking_and_taking_back_at_once_do_not_deadlock,
    two_who_fill_the_last_place_do_not_both_get_it,
    looking_up_and_tracking_at_once_do_not_deadlock,
}

const TIMEFRAMES: [Timeframe; 3] = [Timeframe::M15, Timeframe::H1, Timeframe::H4];

/// All spawned tasks end successfully: none of them is the victim of a deadlock.
async fn all_end_well(mut tasks: JoinSet<Result<(), StoreError>>) {
    tokio::time::timeout(PATIENCE, async {
        while let Some(ended) = tasks.join_next().await {
            ended.unwrap().unwrap();
        }
    })
    .await
    .expect("they wait for one another");
}

async fn twenty_identical_requests_make_one_symbol_and_three_definitions(owner: Owner) {
    let site = Site::new(owner).await;
    let (places, mut tasks) = (crate::site::places(), JoinSet::new());
    for _ in 0..20 {
        let database = site.database.clone();
        let place = crate::site::place(&places);
        tasks.spawn(async move {
            let _place = place.await;
            let synced = tracking::sync(&database, ALICE, &[ticker("FRESH")], Source::Watchlist, &TIMEFRAMES).await?;
            assert_eq!((synced.symbols_tracked, synced.jobs_updated), (1, 3));
            Ok(())
        });
    }
    all_end_well(tasks).await;
    let counts = "select (select count(*) from symbols where ticker = 'FRESH'),
        (select count(*) from job_definitions where symbol = 'FRESH'), (select count(*) from user_symbol_tracking)";
    assert_eq!(site.rows(counts).await, ["(1,3,1)"]);
}

async fn overlapping_requests_in_any_order_do_not_deadlock(owner: Owner) {
    let site = Site::new(owner).await;
    let pool: Vec<Ticker> = (0..12).map(|n| ticker(&format!("MANY{n}"))).collect();
    let (places, mut tasks) = (crate::site::places(), JoinSet::new());
    for task in 0..40_usize {
        let database = site.database.clone();
        let mut asked: Vec<Ticker> = (0..8).map(|n| pool[(task * 5 + n * 7) % pool.len()].clone()).collect();
        if task % 2 == 0 {
            asked.reverse();
        }
        let (user, source) = if task % 3 == 0 { (ALICE, Source::ChartView) } else { (BOB, Source::Watchlist) };
        let place = crate::site::place(&places);
        tasks.spawn(async move {
            let _place = place.await;
            tracking::sync(&database, user, &asked, source, &TIMEFRAMES).await?;
            Ok(())
        });
    }
    all_end_well(tasks).await;
    let counts = "select (select count(*) from symbols where ticker like 'MANY%'),
        (select count(*) from job_definitions where symbol like 'MANY%' and priority = 300),
        (select count(*) from user_symbol_tracking)";
    assert_eq!(site.rows(counts).await, ["(12,36,24)"]);
}

async fn tracking_and_taking_back_at_once_do_not_deadlock(owner: Owner) {
    let site = Site::new(owner).await;
    let all: Vec<String> = (0..8).map(|n| format!("SWAP{n}")).collect();
    site.track(BOB, &all.iter().map(String::as_str).collect::<Vec<_>>(), Source::RecentSearch).await;
    site.run("update user_symbol_tracking set updated_at = now() - interval '8 days'").await;
    let (places, mut tasks) = (crate::site::places(), JoinSet::new());
    for task in 0..60_usize {
        let database = site.database.clone();
        let mut asked: Vec<Ticker> = (0..6).map(|n| ticker(&format!("SWAP{}", (task + n) % 8))).collect();
        if task % 2 == 1 {
            asked.reverse();
        }
        let place = crate::site::place(&places);
        tasks.spawn(async move {
            let _place = place.await;
            match task % 4 {
                0 | 1 => drop(tracking::sync(&database, ALICE, &asked, Source::ChartView, &TIMEFRAMES).await?),
                2 => drop(tracking::untrack(&database, ALICE, &asked, None).await?),
                _ => drop(tracking::expire(&database).await?),
            }
            Ok(())
        });
    }
    all_end_well(tasks).await;
    assert_eq!(site.value("select count(*) from user_symbol_tracking where source = 'recent_search'").await, "0");
    // What is enabled is what is tracked.
    let odd = "select d.symbol, d.timeframe from job_definitions d join symbols s on s.ticker = d.symbol
        where d.symbol like 'SWAP%'
            and d.enabled <> exists (select from user_symbol_tracking t where t.symbol_id = s.id)";
    assert!(site.rows(odd).await.is_empty());
}

async fn two_who_fill_the_last_place_do_not_both_get_it(owner: Owner) {
    let site = Site::new(owner).await;
    let almost: Vec<Ticker> = (0..495).map(|n| ticker(&format!("CAP{n}"))).collect();
    tracking::sync(&site.database, ALICE, &almost, Source::Watchlist, &[Timeframe::H1]).await.unwrap();
    let (places, mut tasks) = (crate::site::places(), JoinSet::new());
    for task in 0..10 {
        let database = site.database.clone();
        let place = crate::site::place(&places);
        tasks.spawn(async move {
            let _place = place.await;
            let asked = [ticker(&format!("LAST{task}"))];
            tracking::sync(&database, ALICE, &asked, Source::Watchlist, &[Timeframe::H1]).await.is_ok()
        });
    }
    let succeeded = tasks.join_all().await.into_iter().filter(|ok| *ok).count();
    assert_eq!(succeeded, 5);
    assert_eq!(site.value("select count(*) from user_symbol_tracking").await, "500");
}

async fn looking_up_and_tracking_at_once_do_not_deadlock(owner: Owner) {
    let site = Arc::new(Site::new(owner).await);
    let (places, mut tasks) = (crate::site::places(), JoinSet::new());
    for task in 0..40_usize {
        let database = site.database.clone();
        let place = crate::site::place(&places);
        tasks.spawn(async move {
            let _place = place.await;
            let symbol = ticker(&format!("LOOK{}", task % 2));
            let asked = [ticker("LOOK1"), ticker("LOOK0")];
            match task % 4 {
                0 => drop(tracking::sync(&database, BOB, &asked, Source::Watchlist, &TIMEFRAMES).await?),
                1 => symbols::suspend(&database, &symbol, "not in the list").await?,
                2 => symbols::confirm_listed(&database, &symbol, "Look", "NYSE").await?,
                _ => definitions::make_due(&database, &asked).await?,
            }
            Ok(())
        });
    }
    all_end_well(tasks).await;
}
