//! Wrong things typed and asked for: each has an answer that was thought of.

use thirtyfour::Key;

use crate::{
    browser::Browser,
    running::{Market, Served},
    shared::EVENING,
};

#[tokio::test(flavor = "multi_thread")]
async fn addresses_that_lead_nowhere_say_where_to_go() {
    let Some((site, browser)) = Browser::of("addresses").await else { return };
    let served = &site.served;
    for (path, says) in [
        ("/chart/K%20O", "isn't a valid ticker"),
        ("/chart/%F0%9F%9A%80", "isn't a valid ticker"),
        ("/nowhere", "This address doesn't exist"),
        ("/coverage/KO/m7", "m7"),
        ("/coverage/KO/h1", "isn't tracked"),
        ("/chart/APPL", "Did you mean AAPL"),
        ("/chart/ZZQQX", "Unknown symbol ZZQQX"),
    ] {
        browser.goto(path).await;
        browser.until_said(says).await;
    }
    // Nothing was asked for, until somebody says so.
    let made: i64 = sqlx::query_scalar("select count(*) from symbols where ticker in ('ZZQQX', 'APPL')")
        .fetch_one(&mut served.sql().await)
        .await
        .unwrap();
    assert_eq!(made, 0);
    browser.click("button[value=ZZQQX]").await;
    browser.until_there("#chart-page[data-symbol=ZZQQX]").await;
    browser.until_said("unknown symbol").await;
    browser.is_quiet_but_for(&["404", "400"]).await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_takes_whatever_is_typed() {
    let Some((_site, browser)) = Browser::of("search").await else { return };
    for (typed, says) in [
        ("🚀🚀", "No matches."),
        ("<script>alert(1)</script>", "No matches."),
        ("qqzzx", "Unknown symbol. Request it anyway."),
        ("aple", "Apple Inc."),
    ] {
        // ChromeDriver types no emoji: a script does what a keyboard would.
        let code = format!(
            "const f = document.getElementById('search-text'); f.focus(); f.value = {}; f.dispatchEvent(new Event('input'))",
            serde_json::json!(typed)
        );
        browser.script(&code).await;
        browser.until_said(says).await;
    }
    // By the keyboard alone, as the pattern has it.
    browser.key(Key::Down).await;
    browser.key(Key::Up).await;
    browser
        .until(
            "the field names its option",
            "return document.getElementById('search-text').getAttribute('aria-activedescendant') === 'option-0'",
        )
        .await;
    browser.key(Key::Escape).await;
    browser
        .until(
            "it is closed",
            "return document.getElementById('search-text').getAttribute('aria-expanded') === 'false'",
        )
        .await;
    browser.is_quiet().await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_anybody_may_watch_is_refused_and_many_are_paged() {
    // Alone with a provider that answers nothing more: nobody waits for what so many symbols would bring.
    let market = Market::start(Market::settings(EVENING)).await;
    let served = Served::start_with(|command| {
        command.env("APCA_API_DATA_URL", market.url()).args(["--as-of", EVENING]);
    })
    .await;
    let Some(browser) = Browser::open(&served).await else { return };
    browser.goto_watchlist().await;
    market.simulator.set_faults(vec!["hang=1".parse().unwrap()]).unwrap();
    let names = |count: usize| -> String {
        let letter = |n: usize| char::from(b'A' + u8::try_from(n % 26).unwrap());
        (0..count).map(|n| format!("Q{}{}{} ", letter(n / 676), letter(n / 26), letter(n))).collect()
    };
    let fill = |text: String| format!("document.getElementById('symbols').value = {}", serde_json::json!(text));
    browser.script(&fill(names(3_000))).await;
    browser.click("#add button").await;
    browser.until_said("At most 500 symbols per user").await;
    browser.script(&fill("AA PL $".to_owned())).await;
    browser.click("#add button").await;
    browser.until_said("$").await;
    browser.script(&fill(names(250))).await;
    browser.click("#add button").await;
    browser.until_said("1 to 100 of 250").await;
    assert_eq!(browser.count("tr[data-symbol]").await, 100);
    browser.is_quiet_but_for(&["400"]).await;
    browser.close().await;
}
