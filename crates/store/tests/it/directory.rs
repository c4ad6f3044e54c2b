//! The directory: the built-in list, a provider's list, and the symbols updated from them.

use std::collections::HashSet;

use market::AssetClass;
use store::{
    Database,
    directory::{self, Directory, Entry, Replaced},
    migrations,
};
use testkit::{ALICE, BOB, Owner};
use uuid::Uuid;

use crate::site::{Site, ticker, tickers};

for_every_owner! {
    a_new_database_knows_what_is_well_known_and_keeps_no_more_symbols_for_it,
    a_providers_list_is_taken_over_and_believed_before_the_built_in_one,
    what_a_list_lacks_is_delisted_and_never_deleted,
    a_list_is_asked_for_once_a_day_whoever_asks,
    a_new_symbol_is_what_the_directory_says,
}

for_one_owner! {
    a_list_cut_short_delists_nothing,
    a_ticker_that_comes_under_the_name_of_one_that_went_is_its_new_one,
    a_search_takes_any_text,
    a_symbol_made_by_hand_is_what_its_maker_says,
    a_search_shows_what_has_just_changed_and_the_askers_own_first,
}

fn entry(symbol: &str, name: &str) -> Entry {
    Entry { ticker: ticker(symbol), name: name.to_owned(), exchange: "XNYS".to_owned(), active: true, renamed_to: None }
}

/// The stocks and funds of the directory, as in a provider's list, except `without`.
async fn listed(site: &Site, without: &[&str]) -> Vec<Entry> {
    let tickers =
        "select ticker || ' ' || name from barkeep.directory where asset_type <> 'crypto' and active order by 1";
    let rows = site.rows(tickers).await;
    let split = |row: &String| {
        let row = row.trim_start_matches('(').trim_end_matches(')').trim_matches('"').to_owned();
        let (symbol, name) = row.split_once(' ').unwrap();
        (!without.contains(&symbol)).then(|| entry(symbol, name))
    };
    rows.iter().filter_map(split).collect()
}

async fn replace(site: &Site, list: &[Entry]) -> Replaced {
    directory::replace(&site.database, "test", AssetClass::Stock, list).await.unwrap()
}

async fn says(site: &Site, symbol: &str) -> String {
    let sql = "select asset_type || '|' || name || '|' || exchange || '|' || active || '|' || source || '|' ||
        coalesce(renamed_to, '') from barkeep.directory where ticker = ";
    site.value(&format!("{sql}'{symbol}'")).await
}

async fn found(database: &Database, user: Uuid, text: &str) -> Vec<String> {
    let all = Directory::new(database.clone()).search(user, text, 50).await.unwrap();
    all.into_iter().map(|found| found.ticker.to_string()).collect()
}

async fn a_new_database_knows_what_is_well_known_and_keeps_no_more_symbols_for_it(owner: Owner) {
    let site = Site::new(owner).await;
    assert_eq!(says(&site, "KO").await, "stock|The Coca-Cola Company|NYSE|true|built-in|");
    assert_eq!(says(&site, "SPY").await, "etf|SPDR S&P 500 ETF Trust|ARCA|true|built-in|");
    assert_eq!(says(&site, "BTC-USD").await, "crypto|Bitcoin / US Dollar|CRYPTO|true|built-in|");
    assert_eq!(site.value("select count(*) from symbols").await, "21");
    let before = site.value("select version from barkeep.directory_version").await;
    migrations::migrate(&site.database).await.unwrap();
    assert_eq!(site.value("select version from barkeep.directory_version").await, before, "nothing new");
}

async fn a_providers_list_is_taken_over_and_believed_before_the_built_in_one(owner: Owner) {
    let site = Site::new(owner).await;
    let mut list = listed(&site, &["KO"]).await;
    list.push(entry("KO", "Coke"));
    list.push(entry("OBSC", "Obscure Holdings ETF"));
    // Of the other class, which this list doesn't cover.
    list.push(entry("XYZ-USD", "A pair"));
    let replaced = replace(&site, &list).await;
    assert!(replaced.complete && replaced.delisted.is_empty(), "{replaced:?}");
    assert_eq!(says(&site, "KO").await, "stock|Coke|NYSE|true|test|");
    assert_eq!(says(&site, "OBSC").await, "etf|Obscure Holdings ETF|NYSE|true|test|");
    assert_eq!(says(&site, "SPY").await, "etf|SPDR S&P 500 ETF Trust|NYSE|true|test|");
    assert_eq!(says(&site, "ETH-USD").await, "crypto|Ethereum / US Dollar|CRYPTO|true|built-in|");
    assert_eq!(site.value("select count(*) from barkeep.directory where ticker = 'XYZ-USD'").await, "0");
    assert_eq!(site.value("select count(*) from symbols").await, "21", "a listed asset is no symbol");
    let again = replace(&site, &list).await;
    assert_eq!(again, Replaced { complete: true, ..Replaced::default() }, "the same list says nothing new");
    migrations::migrate(&site.database).await.unwrap();
    assert_eq!(says(&site, "KO").await, "stock|Coke|NYSE|true|test|", "the built-in list doesn't come back");
}

async fn what_a_list_lacks_is_delisted_and_never_deleted(owner: Owner) {
    let site = Site::new(owner).await;
    let replaced = replace(&site, &listed(&site, &["KO", "AAPL"]).await).await;
    assert_eq!(replaced.delisted.iter().collect::<HashSet<_>>(), tickers(&["KO", "AAPL"]).iter().collect());
    assert_eq!(says(&site, "KO").await, "stock|The Coca-Cola Company|NYSE|false|test|");
    let since = "select count(*) from symbols s join barkeep.directory d using (ticker)
        where s.ticker = 'AAPL' and s.delisted_at = d.delisted_at";
    assert_eq!(site.value(since).await, "1", "symbols learn of it");
    migrations::migrate(&site.database).await.unwrap();
    assert_eq!(says(&site, "KO").await, "stock|The Coca-Cola Company|NYSE|false|test|");
    let said = directory::known_as(&site.database, &ticker("KO")).await.unwrap().unwrap();
    assert!(said.starts_with("KO is not listed since 20"), "{said}");
    assert_eq!(directory::known_as(&site.database, &ticker("MSFT")).await.unwrap(), None);

    let mut list = listed(&site, &[]).await;
    list.push(entry("AAPL", "Apple Inc."));
    assert_eq!(replace(&site, &list).await.relisted, tickers(&["AAPL"]));
    assert_eq!(site.value("select count(*) from symbols where delisted_at is not null").await, "0");
}

async fn a_list_cut_short_delists_nothing(owner: Owner) {
    let site = Site::new(owner).await;
    for list in [Vec::new(), vec![entry("KO", "Coke")]] {
        let replaced = replace(&site, &list).await;
        assert!(!replaced.complete && replaced.delisted.is_empty(), "{replaced:?}");
    }
    assert_eq!(says(&site, "KO").await, "stock|Coke|NYSE|true|test|", "what it has is believed");
    assert_eq!(says(&site, "AAPL").await, "stock|Apple Inc.|NASDAQ|true|built-in|");
}

async fn a_ticker_that_comes_under_the_name_of_one_that_went_is_its_new_one(owner: Owner) {
    let site = Site::new(owner).await;
    let mut list = listed(&site, &[]).await;
    list.push(entry("OLDT", "Oldtown Brewing Co."));
    replace(&site, &list).await;
    list.pop();
    list.push(entry("NEWT", "Oldtown Brewing Co."));
    // According to the list itself.
    let said = Entry { active: false, renamed_to: Some(ticker("KO")), ..entry("PEP", "PepsiCo, Inc.") };
    list.retain(|entry| entry.ticker != said.ticker);
    list.push(said);
    let replaced = replace(&site, &list).await;
    assert_eq!(replaced.renamed, [(ticker("OLDT"), ticker("NEWT"))]);
    assert_eq!(says(&site, "OLDT").await, "stock|Oldtown Brewing Co.|NYSE|false|test|NEWT");
    assert_eq!(says(&site, "PEP").await, "stock|PepsiCo, Inc.|NYSE|false|test|KO");
    assert_eq!(found(&site.database, ALICE, "OLDT").await[..2], ["NEWT", "OLDT"]);
    let said = directory::known_as(&site.database, &ticker("OLDT")).await.unwrap();
    assert_eq!(said.as_deref(), Some("OLDT was renamed to NEWT"));
    // Another company may reuse the ticker.
    list.push(entry("OLDT", "Oldenburg Thermal"));
    replace(&site, &list).await;
    assert_eq!(says(&site, "OLDT").await, "stock|Oldenburg Thermal|NYSE|true|test|");
}

async fn a_list_is_asked_for_once_a_day_whoever_asks(owner: Owner) {
    let site = Site::new(owner).await;
    let turn = async |source: &str| directory::claim_refresh(&site.database, source, AssetClass::Stock).await.unwrap();
    assert!(turn("test").await);
    assert!(!turn("test").await, "somebody is asking");
    assert!(
        directory::claim_refresh(&site.database, "test", AssetClass::Crypto).await.unwrap(),
        "each class by itself"
    );
    replace(&site, &listed(&site, &[]).await).await;
    site.run("update barkeep.directory_lists set asked_at = asked_at - interval '23 hours'").await;
    assert!(!turn("test").await);
    site.run("update barkeep.directory_lists set asked_at = asked_at - interval '2 hours'").await;
    assert!(turn("test").await);
    directory::postpone_refresh(&site.database, AssetClass::Stock, false).await.unwrap();
    assert!(!turn("test").await);
    site.run("update barkeep.directory_lists set asked_at = asked_at - interval '61 minutes'").await;
    assert!(turn("test").await, "an hour after it could not be had");
    assert!(turn("another").await, "another provider has another list");
}

async fn a_new_symbol_is_what_the_directory_says(owner: Owner) {
    let site = Site::new(owner).await;
    let shown = Directory::new(site.database.clone()).search(ALICE, "spy", 1).await.unwrap();
    site.track(ALICE, &["SPY", "KO", "ETH-BTC", "ZZZZ"], store::tracking::Source::Watchlist).await;
    let made = "select ticker, asset_type, description, exchange, calendar from symbols
        where ticker in ('SPY', 'KO', 'ETH-BTC', 'ZZZZ') order by 1";
    assert_eq!(
        site.rows(made).await,
        [
            "(ETH-BTC,crypto,\"Ethereum / Bitcoin\",CRYPTO,24x7)",
            "(KO,stock,\"The Coca-Cola Company\",NYSE,XNYS)",
            "(SPY,etf,\"SPDR S&P 500 ETF Trust\",ARCA,XNYS)",
            "(ZZZZ,stock,\"\",\"\",XNYS)",
        ]
    );
    let id = site.value("select id from symbols where ticker = 'SPY'").await;
    assert_eq!(id, shown[0].id.to_string(), "what the search showed");
}

async fn a_symbol_made_by_hand_is_what_its_maker_says(owner: Owner) {
    let site = Site::new(owner).await;
    let id = Uuid::from_u128(7);
    site.run(&format!("insert into symbols (id, ticker, description, exchange) values ('{id}', 'KO', 'Mine', 'HOME')"))
        .await;
    assert_eq!(
        site.rows("select id, description, exchange from symbols where ticker = 'KO'").await,
        [format!("({id},Mine,HOME)")]
    );
    let shown = Directory::new(site.database.clone()).search(ALICE, "KO", 1).await.unwrap();
    assert_eq!((shown[0].id, shown[0].description.as_str()), (id, "Mine"));
}

async fn a_search_shows_what_has_just_changed_and_the_askers_own_first(owner: Owner) {
    let site = Site::new(owner).await;
    let directory = Directory::new(site.database.clone());
    let found = async |user: Uuid, text: &str| -> Vec<String> {
        let all = directory.search(user, text, 50).await.unwrap();
        all.into_iter().map(|found| format!("{}{}", found.ticker, if found.kept { "*" } else { "" })).collect()
    };
    assert_eq!(found(ALICE, "ZZQX").await, [""; 0]);
    site.track(ALICE, &["ZZQX", "SLB"], store::tracking::Source::Watchlist).await;
    assert_eq!(found(ALICE, "ZZQX").await, ["ZZQX*"]);
    assert_eq!(found(BOB, "ZZQX").await, ["ZZQX"], "what somebody keeps is their own");
    assert_eq!(found(ALICE, "sl").await[..2], ["SLB*", "SLV"]);
    assert_eq!(found(BOB, "sl").await[..2], ["SLV", "SLB"]);
    store::symbols::suspend(&site.database, &ticker("ZZQX"), "nobody knows it").await.unwrap();
    assert_eq!(found(ALICE, "ZZQX").await, [""; 0]);
    replace(&site, &[entry("ZZQX", "Zest Quorum"), entry("ZZQY", "Quorum Zest")]).await;
    assert_eq!(found(ALICE, "zest quo").await, ["ZZQY"], "hidden where the provider said that it doesn't know it");
    site.run("delete from barkeep.directory where ticker = 'ZZQY'").await;
    assert_eq!(found(ALICE, "zest quo").await, [""; 0]);
    assert!(!found(ALICE, "TEST").await.contains(&"TEST".to_owned()), "nothing is fetched for an inactive one");
}

async fn a_search_takes_any_text(owner: Owner) {
    let site = Site::new(owner).await;
    let directory = Directory::new(site.database.clone());
    let long = "a".repeat(200);
    for text in ["", " ", "\u{1f680}", "'", "\"", "%", "_", "\\", "\0", "A\0PL", "'; drop table symbols; --", &long] {
        directory.search(ALICE, text, 50).await.unwrap();
    }
    assert_eq!(found(&site.database, ALICE, "APPL").await[0], "AAPL");
    assert_eq!(found(&site.database, ALICE, "micorsoft").await[0], "MSFT");
    assert_eq!(directory.search(ALICE, "a", 3).await.unwrap().len(), 3);
}
