//! The server goes and comes back: the page says so, and goes on.

use crate::{
    browser::Browser,
    running::{Served, Up},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_page_survives_the_servers_death() {
    let mut served = Served::start().await;
    let Some(browser) = Browser::open(&served).await else { return };
    browser.goto("/chart/KO").await;
    browser.until_there("#chart-page[data-state=complete]").await;
    // A provider that answers nobody, as every page shows it.
    let fails = "insert into barkeep.provider_health
            (account, provider, failures, unanswered, failing_since, last_failed_at, last_error)
        values ('another', 'somebody', 3, 3, '2026-06-18 14:00+00', now(), '503')";
    sqlx::query(fails).execute(&mut served.sql().await).await.unwrap();
    browser.goto("/chart/KO").await;
    browser.until_said("somebody has been failing since").await;
    sqlx::query("delete from barkeep.provider_health where account = 'another'")
        .execute(&mut served.sql().await)
        .await
        .unwrap();
    browser.goto("/chart/KO").await;
    browser.until_there("#chart-page[data-state=complete]").await;
    assert_eq!(browser.script("return document.querySelector('#outage p')").await, serde_json::Value::Null);
    browser.script("window.isTheSamePage = true").await;
    let listen = served.up.address.trim_start_matches("http://").to_owned();
    served.up.crash();
    browser.until_said("Connection lost. Reconnecting").await;
    // What is done meanwhile is said to be not done.
    browser.click("#watch button").await;
    browser.until_said("Connection lost. Try again.").await;
    let command = served.place.barkeep(&["up", "--database-url", &served.database.url]);
    served.up = Up::spawn_at(&listen, command);
    served.up.wait_until_ready().await;
    browser.until("it is back", "return document.getElementById('connection').hidden").await;
    // Something new, to the page that was there all the time.
    browser.click("#watch button").await;
    browser.until_said("On your watchlist").await;
    assert_eq!(browser.script("return window.isTheSamePage").await, serde_json::Value::Bool(true));
    // What a browser itself says of a server that is away.
    browser.is_quiet_but_for(&["net::ERR_", "Failed to fetch"]).await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_has_ended_is_said_to_have() {
    let Some((_site, browser)) = Browser::of("ended").await else { return };
    browser.goto("/chart/KO").await;
    browser.until_there("#chart-page[data-state=complete]").await;
    browser.driver.delete_all_cookies().await.unwrap();
    browser.click("#watch button").await;
    browser.until_said("You've been signed out.").await;
    browser.click("#connection a").await;
    browser.until_said("barkeep sign-in").await;
    browser.is_quiet_but_for(&["401"]).await;
    browser.close().await;
}
