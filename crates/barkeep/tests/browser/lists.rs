//! Lists: several, in their order, and the same in every tab.

use crate::browser::Browser;

/// The symbols on the page, in their order.
const ORDER: &str = "[...document.querySelectorAll('tr[data-symbol]')].map(row => row.dataset.symbol).join(' ')";

#[tokio::test(flavor = "multi_thread")]
async fn tabs_keep_in_step_and_the_order_is_kept() {
    let Some((_site, browser)) = Browser::of("tabs").await else { return };
    browser.goto_watchlist().await;
    let tab = browser.driver.window().await.unwrap();
    let other = browser.driver.new_tab().await.unwrap();
    browser.driver.switch_to_window(other.clone()).await.unwrap();
    browser.goto("/").await;
    browser.type_into("#symbols", "KO PEP MCD").await;
    browser.click("#add button").await;
    let are = |order: &str| format!("return ({ORDER}) === '{order}'");
    browser.until("all are here", &are("KO MCD PEP")).await;
    browser.driver.switch_to_window(tab.clone()).await.unwrap();
    browser.until("in the other tab", "return document.querySelectorAll('tr[data-symbol]').length === 3").await;
    // By its button, which keeps the focus.
    browser.click("tr[data-symbol=PEP] button[data-move='-1']").await;
    browser.until("moved here", &are("KO PEP MCD")).await;
    browser.driver.switch_to_window(other).await.unwrap();
    browser.until("moved in the other tab", &are("KO PEP MCD")).await;
    browser.goto("/").await;
    browser.until("kept", &are("KO PEP MCD")).await;
    // Prices, the day and how far each timeframe has come.
    browser.until("all is filled", "return document.querySelectorAll('td.cell.complete').length === 15").await;
    assert_eq!(browser.count("svg.spark polyline").await, 3);
    browser.is_quiet().await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_several_lists_with_names_of_ones_own() {
    let Some((_site, browser)) = Browser::of("several").await else { return };
    browser.goto_watchlist().await;
    browser.click(".lists summary").await;
    browser.type_into("form[action='/watchlist/lists'] input[name=name]", "Getränke 🍹").await;
    browser.click("form[action='/watchlist/lists'] button").await;
    browser.until_said("This list is empty").await;
    browser.type_into("#symbols", "PEP").await;
    browser.click("#add button").await;
    browser.until_there("tr[data-symbol=PEP]").await;
    assert_eq!(browser.text("#list-links a[aria-current]").await, "Getränke 🍹 1");
    browser.click("#list-links a:not([aria-current])").await;
    browser.until_said("This list is empty").await;
    browser.is_quiet().await;
    browser.close().await;
}
