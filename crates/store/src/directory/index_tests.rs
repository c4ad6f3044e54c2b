//! What users type, against the built-in list; and properties of any text and any list.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;

use super::*;
use crate::directory::lists::BUILT_IN;

fn built_in() -> Vec<Item> {
    let lines = BUILT_IN.lines().skip(1).zip(1..);
    lines
        .map(|(line, rank)| {
            let [ticker, asset_type, exchange, renamed_to, name] =
                line.splitn(5, ',').collect::<Vec<_>>().try_into().unwrap();
            Item {
                id: Uuid::nil(),
                ticker: ticker.parse().unwrap(),
                asset_type: asset_type.to_owned(),
                name: name.to_owned(),
                exchange: exchange.to_owned(),
                active: renamed_to.is_empty(),
                renamed_to: renamed_to.parse().ok(),
                rank: Some(rank),
                certain: true,
            }
        })
        .collect()
}

fn found(index: &Index, text: &str) -> Vec<String> {
    index.search(text, &HashSet::new(), 10).into_iter().map(|item| item.ticker.to_string()).collect()
}

#[test]
fn people_find_what_they_mean() {
    let index = Index::new(built_in());
    let mut wrong = Vec::new();
    for (typed, meant) in [
        ("AAPL", "AAPL"),
        ("aap", "AAP"),
        ("f", "F"),
        ("goog", "GOOG"),
        ("goo", "GOOGL"),
        ("nvd", "NVDA"),
        ("BRK-B", "BRK.B"),
        ("BRK/B", "BRK.B"),
        ("brkb", "BRK.B"),
        ("brk", "BRK.B"),
        ("btc", "BTC-USD"),
        ("BTC/USD", "BTC-USD"),
        ("btcusd", "BTC-USD"),
        ("BTC/U", "BTC-USD"),
        ("eth/b", "ETH-BTC"),
        ("bitcoin", "BTC-USD"),
        ("apple", "AAPL"),
        ("micro", "MSFT"),
        ("bank amer", "BAC"),
        ("amer bank", "BAC"),
        ("bank of america", "BAC"),
        ("the home depot", "HD"),
        ("coca cola", "KO"),
        ("coca-cola", "KO"),
        ("cocacola", "KO"),
        ("jp morgan", "JPM"),
        ("exxonmobil", "XOM"),
        ("at&t", "T"),
        ("mcdonalds", "MCD"),
        ("mcdonald's", "MCD"),
        ("s&p 500", "SPY"),
        ("sp 500 vanguard", "VOO"),
        ("berkshire", "BRK.B"),
        ("johnson", "JNJ"),
        ("estée lauder", "EL"),
        ("procter gamble", "PG"),
        ("APPL", "AAPL"),
        ("AMZM", "AMZN"),
        ("TSAL", "TSLA"),
        ("MSTF", "MSFT"),
        ("GOGL", "GOOGL"),
        ("micorsoft", "MSFT"),
        ("nvdia", "NVDA"),
        ("amazn", "AMZN"),
        ("gogle", "GOOGL"),
        ("goldmn sachs", "GS"),
        ("bank amrica", "BAC"),
        ("netflx", "NFLX"),
        ("palentir", "PLTR"),
        ("FB", "META"),
        ("facebook", "META"),
        ("SQ", "XYZ"),
    ] {
        let found = found(&index, typed);
        // Alphabet has two tickers, and either is right.
        let first = found.first().map(|ticker| if ticker == "GOOG" && meant == "GOOGL" { "GOOGL" } else { ticker });
        if first != Some(meant) {
            wrong.push(format!("{typed}: {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_was_renamed_is_found_by_its_old_ticker_after_what_it_is_called_now() {
    let index = Index::new(built_in());
    assert_eq!(found(&index, "FB")[..2], ["META", "FB"]);
    let old = index.get(&"FB".parse().unwrap()).unwrap();
    assert_eq!((old.active, old.renamed_to.as_ref().map(Ticker::as_str)), (false, Some("META")));
}

#[test]
fn slips_are_forgiven_only_where_little_else_was_meant() {
    let index = Index::new(built_in());
    assert_eq!(found(&index, "MSFT"), ["MSFT"]);
    assert_eq!(found(&index, "netfl"), ["NFLX"], "every ETF would be two letters off");
    for nothing in
        ["", " ", "%", "%%%", "_", "\\", "'", "\"", "\0", "\u{1f680}", "\u{1f680}\u{1f680}", "zqzqzqzq", "()"]
    {
        assert_eq!(found(&index, nothing), [""; 0], "{nothing:?}");
    }
    assert_eq!(found(&index, "a_apl\0")[0], "AAPL", "what is no letter is left out");
    assert_eq!(found(&index, &"apple ".repeat(40))[0], "AAPL");
}

#[test]
fn slips_of_the_finger_are_understood_and_other_symbols_are_not() {
    let index = Index::new(built_in());
    let near = |text: &str| index.instead_of(&text.parse().unwrap()).map(|item| item.ticker.to_string());
    assert_eq!(near("APPL").as_deref(), Some("AAPL"));
    assert_eq!(near("MSTF").as_deref(), Some("MSFT"));
    assert_eq!(near("GOOGLE").as_deref(), Some("GOOGL"));
    assert_eq!(near("BTCUSDX").as_deref(), Some("BTC-USD"));
    assert_eq!(near("QZ"), None);
    assert_eq!(near("ZQZQZQ"), None);
}

fn any_item() -> impl Strategy<Value = Item> {
    let name = proptest::collection::vec("[A-Za-z&.'é-]{1,6}", 0..4).prop_map(|words| words.join(" "));
    ("[A-D]{1,3}([.-][A-C])?", name, any::<bool>(), proptest::option::of(1..20), proptest::option::of("[A-D]{1,3}"))
        .prop_map(|(ticker, name, active, rank, renamed_to)| Item {
            id: Uuid::nil(),
            ticker: ticker.parse().unwrap(),
            asset_type: "stock".to_owned(),
            name,
            exchange: "NYSE".to_owned(),
            active,
            renamed_to: renamed_to.filter(|_| !active).and_then(|ticker| ticker.parse().ok()),
            rank,
            certain: true,
        })
}

fn any_list() -> impl Strategy<Value = Vec<Item>> {
    proptest::collection::vec(any_item(), 0..40).prop_map(|items| {
        let mut seen = HashSet::new();
        items.into_iter().filter(|item| seen.insert(item.ticker.clone())).collect()
    })
}

proptest! {
    #[test]
    fn no_text_is_an_error_and_nothing_is_found_twice(list in any_list(), text in "\\PC{0,30}", limit in 0_usize..20) {
        let index = Index::new(list);
        let found = index.search(&text, &HashSet::new(), limit);
        prop_assert!(found.len() <= limit);
        let tickers: HashSet<_> = found.iter().map(|item| &item.ticker).collect();
        prop_assert_eq!(tickers.len(), found.len());
    }

    #[test]
    fn every_symbol_is_found_by_its_ticker_and_by_its_name(list in any_list()) {
        let index = Index::new(list.clone());
        for item in &list {
            let by_ticker = index.search(item.ticker.as_str(), &HashSet::new(), list.len());
            prop_assert!(by_ticker.iter().any(|found| found.ticker == item.ticker));
            if item.active {
                let letters = letters_and_digits(item.ticker.as_str());
                let first = &by_ticker[0];
                let is_called_so_too = letters_and_digits(first.ticker.as_str()) == letters
                    || list.iter().any(|old| old.renamed_to.as_ref() == Some(&first.ticker));
                prop_assert!(is_called_so_too, "{} before {}", first.ticker, item.ticker);
            }
            if !words_of_text(&item.name).is_empty() {
                let by_name = index.search(&item.name, &HashSet::new(), list.len());
                prop_assert!(by_name.iter().any(|found| found.ticker == item.ticker), "{:?}", item.name);
            }
        }
    }

    #[test]
    fn what_is_kept_comes_no_later_than_if_it_were_not(list in any_list(), text in "[A-D]{1,3}", n in any::<prop::sample::Index>()) {
        prop_assume!(!list.is_empty());
        let index = Index::new(list.clone());
        let kept = n.get(&list).ticker.clone();
        let place = |kept: &HashSet<Ticker>, ticker: &Ticker| {
            index.search(&text, kept, list.len()).iter().position(|item| item.ticker == *ticker)
        };
        let (before, after) = (place(&HashSet::new(), &kept), place(&HashSet::from([kept.clone()]), &kept));
        prop_assert_eq!(before.is_some(), after.is_some());
        prop_assert!(after <= before);
    }

    #[test]
    fn tickers_that_begin_with_the_text_come_before_all_else(list in any_list(), text in "[A-D]{1,3}") {
        // The new ticker of a renamed symbol takes the place of the old one.
        let list: Vec<Item> = list.into_iter().map(|item| Item { renamed_to: None, ..item }).collect();
        let index = Index::new(list.clone());
        let found = index.search(&text, &HashSet::new(), list.len());
        let begins: Vec<bool> =
            found.iter().map(|item| letters_and_digits(item.ticker.as_str()).starts_with(&text)).collect();
        prop_assert!(begins.is_sorted_by(|a, b| a >= b), "{:?}", begins);
    }
}
