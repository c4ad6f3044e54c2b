//! Delisted symbols: bars and series are kept, they are shown as delisted, and no later bars are requested.

use market::{AssetClass, Timeframe};
use store::{
    definitions,
    directory::{self, Entry},
    symbols,
};
use testkit::Owner;

use crate::site::{Site, TUESDAY, range, ticker, tickers};

for_every_owner! {
    a_delisted_symbol_keeps_its_bars_and_is_shown_as_delisted,
}

for_one_owner! {
    a_relisted_symbol_is_planned_again,
    nothing_is_planned_after_a_delisting,
    a_delisted_symbol_is_never_an_unknown_one,
    a_single_look_can_tell_that_a_symbol_trades_no_more,
}

const DELISTED: &str = "2026-11-20T21:00:00Z";

/// Delisted after Friday's close; the clock is on Tuesday.
async fn delisted(owner: Owner) -> Site {
    let site = Site::at(owner, TUESDAY).await;
    replace(&site, "active and asset_type <> 'crypto' and ticker <> 'AAPL'").await;
    for table in ["barkeep.directory", "symbols"] {
        site.run(&format!("update {table} set delisted_at = '{DELISTED}' where ticker = 'AAPL'")).await;
    }
    site
}

async fn replace(site: &Site, which: &str) {
    let rows = site.rows(&format!("select ticker from barkeep.directory where {which}")).await;
    let entry = |row: &String| Entry {
        ticker: ticker(row.trim_matches(['(', ')'])),
        name: String::new(),
        exchange: String::new(),
        active: true,
        renamed_to: None,
    };
    let list: Vec<Entry> = rows.iter().map(entry).collect();
    directory::replace(&site.database, "test", AssetClass::Stock, &list).await.unwrap();
}

async fn state(site: &Site) -> Vec<String> {
    site.rows("select state, reason from get_symbol_timeframe_coverage('AAPL') where timeframe = 'h1'").await
}

async fn a_delisted_symbol_keeps_its_bars_and_is_shown_as_delisted(owner: Owner) {
    let site = delisted(owner).await;
    let h1 = site.definition("AAPL", Timeframe::H1).await;
    assert_eq!(state(&site).await, ["(filling,\"not listed since 2026-11-20\")"]);
    site.fill(&h1).await;
    assert_eq!(state(&site).await, ["(delisted,\"not listed since 2026-11-20\")"]);
    let bars = "select completeness, missing_bars, expected_bars = stored_bars, latest_bar
        from get_symbol_timeframe_coverage('AAPL') where timeframe = 'h1'";
    assert_eq!(site.rows(bars).await, ["(1.0000,0,t,\"2026-11-20 20:30:00+00\")"]);
    site.run("update barkeep.directory set renamed_to = 'PEAR' where ticker = 'AAPL'").await;
    assert_eq!(state(&site).await, ["(delisted,\"not listed since 2026-11-20, now PEAR\")"]);
}

async fn nothing_is_planned_after_a_delisting(owner: Owner) {
    let site = delisted(owner).await;
    let h1 = site.definition("AAPL", Timeframe::H1).await;
    assert_eq!(site.gaps(&h1).await.last().unwrap().to_string(), range("2026-08-26T13:30:00Z", DELISTED).to_string());
    // Sessions without bars before the delisting are requested once more, and that is all.
    for gap in site.gaps(&h1).await {
        let run = site.held(&h1, gap, "worker").await;
        assert!(site.answer(&run, &[]).await);
    }
    for day in ["2026-11-25T17:00:05Z", "2026-11-27T17:00:05Z", "2026-12-15T17:00:05Z"] {
        site.set_clock(day).await;
        for gap in site.gaps(&h1).await {
            let run = site.held(&h1, gap, "worker").await;
            assert!(site.answer(&run, &[]).await);
        }
        assert_eq!(site.gaps(&h1).await, []);
    }
    let mut tx = site.database.begin().await.unwrap();
    definitions::mark_planned(&mut tx, std::slice::from_ref(&h1)).await.unwrap();
    tx.commit().await.unwrap();
    let next = "select next_due_at > barkeep.market_now() + interval '23 hours' from job_definitions
        where symbol = 'AAPL' and timeframe = 'h1'";
    assert_eq!(site.value(next).await, "t", "no bar is waited for");
    // Long after the window has left its last session behind.
    site.set_clock("2027-06-15T17:00:00Z").await;
    assert_eq!(site.gaps(&h1).await, []);
    assert_eq!(site.value("select count(*) from job_runs where status in ('queued', 'running')").await, "0");
}

async fn a_delisted_symbol_is_never_an_unknown_one(owner: Owner) {
    let site = delisted(owner).await;
    symbols::suspend(&site.database, &ticker("AAPL"), "AAPL is not listed since 2026-11-20").await.unwrap();
    assert_eq!(site.value("select listing from symbols where ticker = 'AAPL'").await, "unchecked");
    assert_eq!(state(&site).await, ["(delisted,\"AAPL is not listed since 2026-11-20\")"]);
    assert!(
        definitions::due(&site.database, Some(&tickers(&["AAPL"])), 10).await.unwrap().is_empty(),
        "nor tried again"
    );
    let index = directory::index(&site.database).await.unwrap();
    assert!(!index.get(&ticker("AAPL")).unwrap().active, "it is found");
}

async fn a_relisted_symbol_is_planned_again(owner: Owner) {
    let site = delisted(owner).await;
    let h1 = site.definition("AAPL", Timeframe::H1).await;
    site.fill(&h1).await;
    let mut tx = site.database.begin().await.unwrap();
    definitions::mark_planned(&mut tx, std::slice::from_ref(&h1)).await.unwrap();
    tx.commit().await.unwrap();
    replace(&site, "asset_type <> 'crypto' and renamed_to is null").await;
    assert_eq!(definitions::due(&site.database, Some(&tickers(&["AAPL"])), 10).await.unwrap().len(), 3);
    assert_eq!(site.gaps(&h1).await, [range("2026-11-23T14:30:00Z", "2026-11-24T16:30:00Z")]);
}

async fn a_single_look_can_tell_that_a_symbol_trades_no_more(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    definitions::ensure_background(&site.database, &tickers(&["GONE"]), &[Timeframe::H1], None).await.unwrap();
    let entry = Entry {
        ticker: ticker("GONE"),
        name: "Gone, Inc.".to_owned(),
        exchange: "NYSE".to_owned(),
        active: false,
        renamed_to: None,
    };
    directory::mark_delisted(&site.database, "test", &entry).await.unwrap();
    let told = "select delisted_at is not null, description from symbols where ticker = 'GONE'";
    assert_eq!(site.rows(told).await, ["(t,\"Gone, Inc.\")"]);
    // One check is enough.
    let before = site.value("select delisted_at from symbols where ticker = 'GONE'").await;
    directory::mark_delisted(&site.database, "test", &entry).await.unwrap();
    assert_eq!(site.value("select delisted_at from symbols where ticker = 'GONE'").await, before);
}
