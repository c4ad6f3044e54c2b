//! The three things that people do, and what each is worth: a watchlist 300, an open chart 200, a search 100.

use thirtyfour::Key;

use crate::{
    browser::{Browser, email},
    running::{Served, eventually},
};

/// Who adds, picks and opens.
const WHO: &str = "actions";

/// What they are after: symbol, reason, priority, timeframes.
async fn interest(served: &Served) -> Vec<(String, String, i32, Vec<String>)> {
    sqlx::query_as(
        "select s.ticker, t.source, t.priority, t.timeframes from user_symbol_tracking t
        join symbols s on s.id = t.symbol_id join auth.users u on u.id = t.user_id
        where u.email = $1 order by s.ticker, t.source",
    )
    .bind(email(WHO))
    .fetch_all(&mut served.sql().await)
    .await
    .unwrap()
}

async fn until_wanted(served: &Served, expected: &[(&str, &str, i32)]) {
    let expected: Vec<_> = expected.iter().map(|(s, r, p)| (s.to_string(), r.to_string(), *p)).collect();
    eventually(&format!("{expected:?} is wanted"), async || {
        let found = interest(served).await;
        let found: Vec<_> = found.into_iter().map(|(symbol, source, priority, _)| (symbol, source, priority)).collect();
        (found == expected).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn adding_picking_and_opening_are_three_priorities() {
    let Some((site, browser)) = Browser::of(WHO).await else { return };
    let served = &site.served;
    // Nothing is wanted yet: the first page says which market data is in use, and loudly that it is made up.
    browser.until_said("Welcome to Barkeep").await;
    browser.until_said("Simulated market data.").await;

    // Just typing is searching, and Enter opens what was found.
    browser.keys("micros").await;
    browser.until_there("#search-options [role=option][data-symbol=MSFT][aria-selected=true]").await;
    browser.key(Key::Enter).await;
    browser.until_there("#chart-page[data-symbol=MSFT]").await;
    until_wanted(served, &[("MSFT", "chart_view", 200), ("MSFT", "recent_search", 100)]).await;

    browser.goto("/chart/KO?tf=h1").await;
    let opened = [("KO", "chart_view", 200), ("MSFT", "chart_view", 200), ("MSFT", "recent_search", 100)];
    until_wanted(served, &opened).await;
    for (_, _, _, mut timeframes) in interest(served).await {
        timeframes.sort();
        assert_eq!(timeframes, ["d1", "h1", "h4", "m15", "w1"]);
    }

    browser.goto("/").await;
    browser.type_into("#symbols", "pep, btc/usd").await;
    browser.click("#add button").await;
    browser.until_there("tr[data-symbol=PEP]").await;
    browser.until_there("tr[data-symbol='BTC-USD']").await;
    let all = [
        ("BTC-USD", "watchlist", 300),
        ("KO", "chart_view", 200),
        ("MSFT", "chart_view", 200),
        ("MSFT", "recent_search", 100),
        ("PEP", "watchlist", 300),
    ];
    until_wanted(served, &all).await;

    // Removing takes it back; the series goes back to what else is wanted.
    browser.click("tr[data-symbol=PEP] button[hx-post]").await;
    until_wanted(served, &[all[0], all[1], all[2], all[3]]).await;
    browser.until("the row is gone", "return !document.querySelector('tr[data-symbol=PEP]')").await;
    browser.is_quiet().await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visit_counts_once_however_much_is_looked_at() {
    let Some((site, browser)) = Browser::of("visit").await else { return };
    let served = &site.served;
    browser.goto("/chart/KO").await;
    browser.until_there("#chart-page[data-state=complete]").await;
    let seen = async || -> String {
        let seen = "select t.updated_at::text from user_symbol_tracking t join auth.users u on u.id = t.user_id
            where t.source = 'chart_view' and u.email = $1";
        sqlx::query_scalar(seen).bind(email("visit")).fetch_one(&mut served.sql().await).await.unwrap()
    };
    let first = seen().await;
    for key in ["2", "3", "4", "5", "1"] {
        browser.keys(key).await;
        browser.until_there("#chart-page:not([aria-busy])").await;
    }
    assert_eq!(seen().await, first);
    browser.is_quiet().await;
    browser.close().await;
}
