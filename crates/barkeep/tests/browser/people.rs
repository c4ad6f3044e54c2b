//! Several people on one server: none sees what another does.

use crate::{browser::Browser, shared};

#[tokio::test(flavor = "multi_thread")]
async fn two_people_do_not_see_each_other() {
    let Some((_site, one)) = Browser::of("one").await else { return };
    let Some((_site, other)) = Browser::of("other").await else { return };
    one.goto("/chart/KO").await;
    one.until_there("#chart-page[data-state=complete]").await;
    one.click("#watch button").await;
    one.until_said("On your watchlist").await;
    other.goto("/").await;
    other.until_said("Welcome to Barkeep").await;
    for page in ["/coverage", "/jobs", "/search?options=true"] {
        other.goto(page).await;
        assert!(!other.said().await.contains("KO"), "{page}: {}", other.said().await);
    }
    one.goto("/coverage").await;
    one.until_said("KO").await;
    for browser in [one, other] {
        browser.is_quiet().await;
        browser.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_sees_how_to_sign_in_and_nothing_else() {
    let site = shared::site().await;
    let Some(browser) = Browser::stranger(&site.served).await else { return };
    for page in ["/", "/chart/KO", "/jobs", "/coverage", "/health", "/welcome"] {
        browser.goto(page).await;
        browser.until_said("Sign in").await;
        assert_eq!(browser.count("nav, #chart, table").await, 0, "{page}");
    }
    browser.is_quiet_but_for(&["401"]).await;
    browser.close().await;
}
