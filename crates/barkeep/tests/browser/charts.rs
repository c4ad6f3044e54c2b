//! The chart fills in before one's eyes, and what one looks at stays where it is.

use std::time::Duration;

use serde_json::Value;
use sqlx::Connection as _;
use thirtyfour::Key;

use crate::{
    browser::Browser,
    running::{Market, Served, eventually},
};

/// In the middle of a session.
const AS_OF: &str = "2026-06-18T15:37:00Z";

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_symbol_goes_from_empty_to_complete_without_a_reload() {
    // A server whose provider takes its time.
    let mut settings = Market::settings(AS_OF);
    settings.latency = Duration::from_millis(1_500);
    let market = Market::start(settings).await;
    let served = Served::start_with(|command| {
        command.env("APCA_API_DATA_URL", market.url()).args(["--as-of", AS_OF]);
    })
    .await;
    let Some(browser) = Browser::open(&served).await else { return };
    browser.goto("/chart/KO").await;
    browser.script("window.isTheSamePage = true").await;
    browser.until_said("Loading the first bars").await;
    browser.until_there("#chart-page[data-state=complete]").await;
    browser.until("bars are drawn", "return Number(document.getElementById('chart-page').dataset.bars) > 500").await;
    assert_eq!(browser.script("return window.isTheSamePage").await, Value::Bool(true));
    browser.until_said("market-sim").await;
    // A bar is forming at this hour.
    browser.until_said("still forming").await;
    // The exchange's clock, with the name of its offset.
    browser.until_said("2026-06-18 11:30 EDT").await;
    for (key, timeframe) in [("2", "h1"), ("3", "h4"), ("4", "d1"), ("5", "w1")] {
        browser.keys(key).await;
        browser.until_there(&format!("button[data-timeframe={timeframe}][aria-pressed=true]")).await;
        browser.until_there("#chart-page[data-state=complete]:not([aria-busy])").await;
    }
    browser.is_quiet().await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bar_is_told_by_the_clock_that_was_chosen() {
    let Some((_site, browser)) = Browser::of("clock").await else { return };
    browser.goto("/chart/KO").await;
    browser.until_said("2026-06-18 15:45 EDT").await;
    browser
        .script("const z = document.getElementById('zone'); z.value = 'utc'; z.dispatchEvent(new Event('change'))")
        .await;
    browser.until_said("2026-06-18 19:45 UTC").await;
    // The hour that happens twice: both are named, and told apart.
    let twice = "const done = arguments[0]; import(document.querySelector('script[src$=\"app.js\"]').src.replace('app.js', \
                 'time.js')).then(t => done([t.full(1793511000, 'America/New_York'), t.full(1793514600, 'America/New_York')]))";
    let told = browser.driver.execute_async(twice, Vec::new()).await.unwrap().json().clone();
    assert_eq!(told, serde_json::json!(["2026-11-01 01:30 EDT", "2026-11-01 01:30 EST"]));
    // It is remembered.
    browser.goto("/chart/KO").await;
    browser.until_said("2026-06-18 19:45 UTC").await;
    browser.is_quiet().await;
    browser.close().await;
}

/// A day of a symbol is lost, with the knowledge of it, and the planner kept from mending it.
async fn lose_a_day(served: &Served, symbol: &str) {
    eventually("all is done", async || {
        let open: i64 = sqlx::query_scalar(
            "select (select count(*) from job_runs where status in ('queued', 'running') and symbol = $1)
                + (select count(*) from job_definitions
                    where enabled and next_due_at <= barkeep.market_now() and symbol = $1)",
        )
        .bind(symbol)
        .fetch_one(&mut served.sql().await)
        .await
        .unwrap();
        (open == 0).then_some(())
    })
    .await;
    // At once: coverage that shrinks makes its series due and wakes the planner, which must find it put off by then.
    let mut sql = served.sql().await;
    let mut tx = sql.begin().await.unwrap();
    for statement in [
        "delete from ohlc_bars_v2 where timeframe = 'm15' and ts >= '2026-06-10' and ts < '2026-06-11'
            and symbol_id = (select id from symbols where ticker = $1)",
        "update coverage_status set covered = covered - '{[2026-06-10,2026-06-11)}'::tstzmultirange
        where symbol = $1 and timeframe = 'm15'",
        "update job_definitions set next_due_at = '2027-01-01' where symbol = $1",
    ] {
        sqlx::query(statement).bind(symbol).execute(&mut *tx).await.unwrap();
    }
    tx.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hole_is_shown_and_heals_while_one_looks_and_the_view_stays() {
    let Some((site, browser)) = Browser::of("hole").await else { return };
    let served = &site.served;
    browser.goto("/chart/DIS").await;
    browser.until_there("#chart-page[data-state=complete]").await;
    lose_a_day(served, "DIS").await;
    browser.goto("/chart/DIS").await;
    browser.until_there("#chart-page[data-state=filling]").await;
    browser.until_said("filling 9").await;
    // Zoomed in somewhere in the past.
    browser.focus("#chart").await;
    for key in ['+', '+', '+', Key::PageUp.value(), Key::PageUp.value()] {
        browser.keys(&key.to_string()).await;
        browser.until_drawn().await;
    }
    let view = "return document.getElementById('chart-page').dataset.view";
    let looked_at = browser.script(view).await;
    sqlx::query("update job_definitions set next_due_at = 'epoch' where symbol = 'DIS'")
        .execute(&mut served.sql().await)
        .await
        .unwrap();
    sqlx::query("select barkeep.wake()").execute(&mut served.sql().await).await.unwrap();
    browser.until_there("#chart-page[data-state=complete]").await;
    browser.until_drawn().await;
    assert_eq!(browser.script(view).await, looked_at, "the zoom survives new data");
    browser.is_quiet().await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_sessions_are_named_and_filled_on_request() {
    let Some((site, browser)) = Browser::of("missing").await else { return };
    let served = &site.served;
    browser.goto("/chart/GE").await;
    browser.until_there("#chart-page[data-state=complete]").await;
    lose_a_day(served, "GE").await;
    browser.goto("/coverage").await;
    browser.click("a[href='/coverage/GE/m15']").await;
    browser.until_said("2026-06-10").await;
    let row = browser.text("#series tbody tr").await;
    assert!(row.contains("2026-06-10 09:30 EDT") && row.contains("26"), "{row}");
    browser.click("form[action='/coverage/fill'] button").await;
    browser.until_said("No gaps: every expected bar is accounted for.").await;
    browser.is_quiet().await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bars_stand_in_a_table_too() {
    let Some((_site, browser)) = Browser::of("table").await else { return };
    browser.goto("/chart/KO?tf=d1").await;
    browser.until_there("#chart-page[data-state=complete]").await;
    browser.click("#table summary").await;
    browser.until_there("#table tbody tr").await;
    assert_eq!(browser.count("#table tbody tr").await, 200);
    let first = browser.text("#table tbody tr").await;
    assert!(first.starts_with("2026-06-18 00:00 EDT"), "{first}");
    browser.is_quiet().await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn older_bars_come_as_one_scrolls_back() {
    let Some((site, browser)) = Browser::of("older").await else { return };
    // More than is loaded at first.
    let (up, token) = (&site.served.up, site.served.token("somebody@example.com"));
    up.sync(&token, r#"{"symbols":["BTC-USD"],"source":"watchlist"}"#).await;
    up.until(&token, "BTC-USD", "complete").await;
    browser.goto("/chart/BTC-USD").await;
    browser.until_there("#chart-page[data-bars='600']").await;
    browser.focus("#chart").await;
    browser.key(Key::Home).await;
    browser
        .until("older ones are there", "return Number(document.getElementById('chart-page').dataset.bars) > 2500")
        .await;
    browser.is_quiet().await;
    browser.close().await;
}
