//! The pictures of the README, taken by `scripts/screenshots`.

use std::path::Path;

use crate::{browser::Browser, running::Served};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "writes into docs/images; scripts/screenshots runs it"]
async fn pictures() {
    let served = Served::start_with(|command| {
        command.args(["--as-of", "2026-06-18T19:37:00Z"]);
    })
    .await;
    let Some(browser) = Browser::open(&served).await else { return };
    browser.goto("/chart/NVDA").await;
    browser.until_there("#chart-page[data-state=complete]").await;
    browser.goto("/").await;
    browser.type_into("#symbols", "NVDA AAPL MSFT SPY BTC-USD TSLA").await;
    browser.click("#add button").await;
    browser.until("all is there", "return document.querySelectorAll('td.cell.complete').length === 30").await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/images");
    let take = async |name: &str| {
        browser.driver.screenshot(&folder.join(name)).await.unwrap();
    };
    take("watchlist.png").await;
    for theme in ["light", "dark"] {
        browser.script(&format!("localStorage.setItem('theme', '{theme}')")).await;
        browser.goto("/chart/NVDA").await;
        browser.until_there("#chart-page[data-state=complete] canvas").await;
        browser.until_drawn().await;
        take(&format!("chart-{theme}.png")).await;
    }
    browser.script("localStorage.setItem('theme', 'light')").await;
    browser.goto("/coverage").await;
    take("coverage.png").await;
    // Something to see at work.
    let mut sql = served.sql().await;
    sqlx::query("delete from coverage_status where symbol in ('AAPL', 'MSFT', 'SPY')").execute(&mut sql).await.unwrap();
    sqlx::query("update job_definitions set next_due_at = 'epoch'").execute(&mut sql).await.unwrap();
    sqlx::query("select barkeep.wake()").execute(&mut sql).await.unwrap();
    browser.goto("/jobs").await;
    browser.until("something is queued", "return document.querySelector('#jobs tbody tr') !== null").await;
    take("jobs.png").await;
    browser.close().await;
}
