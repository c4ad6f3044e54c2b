//! Which providers the settings name, and in which order they are asked.

use market::AssetClass;
use providers::{
    budget::InProcess,
    registry::{all, configured},
};

use crate::server::{Say, Server, clock};

type Variables<'a> = &'a [(&'a str, &'a str)];

fn lookup<'a>(variables: Variables<'a>) -> impl Fn(&str) -> Option<String> + 'a {
    move |name| variables.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned())
}

fn serving(class: AssetClass, variables: Variables<'_>) -> Vec<&'static str> {
    let candidates = configured(lookup(variables)).unwrap();
    candidates.iter().filter(|candidate| candidate.serves().contains(&class)).map(|c| c.name()).collect()
}

const EVERYTHING: Variables<'static> = &[
    ("APCA_API_KEY_ID", "HIDDEN1"),
    ("APCA_API_SECRET_KEY", "HIDDEN2"),
    ("POLYGON_API_KEY", "HIDDEN3"),
    ("TRADIER_TOKEN", "HIDDEN4"),
    ("FINNHUB_API_KEY", "HIDDEN5"),
    ("BARKEEP_YAHOO", "on"),
    ("BARKEEP_CRYPTO", "coinbase,binance"),
];

#[test]
fn with_everything_set_up_the_order_is_this() {
    assert_eq!(serving(AssetClass::Stock, EVERYTHING), ["alpaca", "massive", "tradier", "finnhub", "yahoo"]);
    assert_eq!(serving(AssetClass::Crypto, EVERYTHING), ["alpaca", "binance", "coinbase"]);
}

#[test]
fn without_settings_nobody_is_asked_and_everybody_says_what_they_would_want() {
    assert!(configured(lookup(&[])).unwrap().is_empty());
    assert!(configured(lookup(&[("MASSIVE_API_KEY", " "), ("BARKEEP_CRYPTO", "")])).unwrap().is_empty());
    let wanted: Vec<_> = all(lookup(&[])).unwrap().iter().map(|c| (c.name(), c.variables())).collect();
    let expected: [(&str, &[&str]); 7] = [
        ("alpaca", &["APCA_API_KEY_ID", "APCA_API_SECRET_KEY"]),
        ("massive", &["MASSIVE_API_KEY", "POLYGON_API_KEY"]),
        ("tradier", &["TRADIER_TOKEN"]),
        ("finnhub", &["FINNHUB_API_KEY"]),
        ("yahoo", &["BARKEEP_YAHOO"]),
        ("binance", &["BARKEEP_CRYPTO"]),
        ("coinbase", &["BARKEEP_CRYPTO"]),
    ];
    assert_eq!(wanted, expected);
}

#[test]
fn who_wants_no_key_is_asked_where_named_and_for_crypto_alone() {
    assert_eq!(serving(AssetClass::Crypto, &[("BARKEEP_CRYPTO", "alpaca binance")]), ["alpaca", "binance"]);
    assert!(serving(AssetClass::Stock, &[("BARKEEP_CRYPTO", "alpaca binance")]).is_empty());
    assert_eq!(serving(AssetClass::Stock, &[("BARKEEP_YAHOO", "on")]), ["yahoo"]);
    let error = configured(lookup(&[("BARKEEP_CRYPTO", "kraken")])).unwrap_err().to_string();
    assert!(error.starts_with("BARKEEP_CRYPTO"), "{error}");
}

#[test]
fn no_key_shows_in_debug() {
    let shown = format!("{:?}", configured(lookup(EVERYTHING)).unwrap());
    assert!(shown.contains("massive.com") && !shown.contains("HIDDEN"), "{shown}");
}

#[tokio::test]
async fn connecting_to_the_providers_themselves_sends_nothing() {
    let candidates = configured(lookup(EVERYTHING)).unwrap();
    for candidate in candidates {
        let source = candidate.connect(clock("2026-11-20T18:00:00Z"), &InProcess::default()).await.unwrap();
        assert_eq!((source.endpoint().provider.as_str(), source.endpoint().simulated), (candidate.name(), false));
        assert!(source.endpoint().address.starts_with("https://"));
        assert!(!source.account().contains("HIDDEN"), "{}", source.account());
        for class in [AssetClass::Stock, AssetClass::Crypto] {
            let has_bars = !source.limits(class).timeframes.is_empty();
            assert_eq!(has_bars, candidate.serves().contains(&class), "{} {class:?}", candidate.name());
        }
    }
}

/// Synthetic.
#[tokio::test]
async fn a_simulator_stands_in_for_any_of_them() {
    let says =
        r#"{"name":"market-sim","earliest":"2021-05-03T00:00:00Z","requests_per_minute":1000,"delay_seconds":5}"#;
    let server = Server::answering_all(move |_| Say::json(says)).await;
    let url = server.url.as_str();
    let addresses = [
        ("APCA_API_DATA_URL", url),
        ("MASSIVE_API_URL", url),
        ("TRADIER_API_URL", url),
        ("FINNHUB_API_URL", url),
        ("YAHOO_API_URL", url),
        ("BINANCE_API_URL", url),
        ("COINBASE_API_URL", url),
        ("BARKEEP_YAHOO", "on"),
        ("BARKEEP_CRYPTO", "binance,coinbase"),
    ];
    let candidates = configured(lookup(&addresses)).unwrap();
    assert_eq!(candidates.len(), 7, "a server of one's own needs no key");
    for candidate in candidates {
        let source = candidate.connect(clock("2026-11-20T18:00:00Z"), &InProcess::default()).await.unwrap();
        assert_eq!((source.endpoint().provider.as_str(), source.endpoint().simulated), ("market-sim", true));
        assert_eq!(source.limits(candidate.serves()[0]).requests_per_minute, 1000);
    }
}
