//! For everybody: axe finds nothing serious on any page, in either theme, wide or narrow.

use serde_json::Value;

use crate::browser::Browser;

/// What is checked in a theme, as axe's options: in the second only what colours decide.
const THEMES: [(&str, &str); 2] = [("light", "{}"), ("dark", "{runOnly: ['color-contrast', 'link-in-text-block']}")];

#[tokio::test(flavor = "multi_thread")]
async fn axe_finds_nothing_serious_in_the_light_or_in_the_dark() {
    let Some(packages) = crate::npm::packages() else { return };
    let axe = std::fs::read_to_string(packages.path().join("node_modules/axe-core/axe.min.js")).unwrap();
    let Some((_site, browser)) = Browser::of("axe").await else { return };
    browser.goto("/chart/KO").await;
    browser.until_there("#chart-page[data-state=complete]").await;
    browser.click("#watch button").await;
    browser.until_said("On your watchlist").await;
    let mut wrong = Vec::new();
    for page in [
        "/",
        "/chart/KO",
        "/jobs",
        "/coverage",
        "/coverage/KO/h1",
        "/health",
        "/welcome",
        "/chart/ZZQQX",
        "/search?q=coca",
    ] {
        browser.script("localStorage.setItem('theme', 'light')").await;
        browser.goto(page).await;
        browser.until("the page is at work", "return document.documentElement.dataset.theme === 'light'").await;
        if page == "/chart/KO" {
            browser.click("#table summary").await;
            browser.until_there("#table tbody tr").await;
            browser.script("document.getElementById('search-text').focus()").await;
            browser.until_there("#search-options:not([hidden])").await;
        }
        browser.script(&axe).await;
        for (theme, options) in THEMES {
            browser.script(&format!("document.documentElement.dataset.theme = '{theme}'")).await;
            // All rows of the table are alike: five of them stand for two hundred.
            let run = format!(
                "const done = arguments[0];
                axe.run({{exclude: ['#table tbody tr:nth-child(n+6)']}}, {options}).then(r => done(r.violations
                    .filter(v => ['serious', 'critical'].includes(v.impact))
                    .map(v => v.id + ': ' + v.nodes.map(n => n.target + ' ' + n.failureSummary).join('; '))))"
            );
            let found = browser.driver.execute_async(run, Vec::new()).await.unwrap().json().clone();
            for violation in found.as_array().unwrap() {
                wrong.push(format!("{page} ({theme}): {}", violation.as_str().unwrap_or_default()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_scrolls_in_one_direction_only() {
    let Some((_site, browser)) = Browser::of("phone").await else { return };
    browser.goto("/chart/KO").await;
    browser.until_there("#chart-page[data-state=complete]").await;
    browser.driver.set_window_rect(0, 0, 390, 844).await.unwrap();
    for page in ["/", "/chart/KO", "/jobs", "/coverage", "/health", "/welcome"] {
        browser.goto(page).await;
        let code = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
        let over = browser.script(code).await;
        assert_eq!(over, Value::from(0), "{page} is wider than its window");
    }
    browser.is_quiet().await;
    browser.close().await;
}
