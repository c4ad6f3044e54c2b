//! Settings from variables, and addresses.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests may panic")]

use super::*;

fn settings(variables: &[(&str, &str)]) -> Result<AlpacaSettings, SettingsError> {
    AlpacaSettings::from_lookup(|name| {
        variables.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned())
    })
}

#[test]
fn without_variables_alpaca_itself_is_asked_without_keys() {
    let settings = settings(&[(KEY_ID_VARIABLE, ""), (DATA_URL_VARIABLE, " ")]).unwrap();
    assert_eq!(settings.data_url.as_str(), "https://data.alpaca.markets");
    assert_eq!(settings.trading_url().as_str(), "https://paper-api.alpaca.markets");
    assert_eq!((settings.key_id, settings.secret_key, settings.feed), (None, None, None));
    assert_eq!((settings.connect_timeout.as_secs(), settings.timeout.as_secs()), (5, 30));
}

#[test]
fn another_data_server_is_asked_for_assets_too_unless_told_otherwise() {
    let elsewhere = (DATA_URL_VARIABLE, "http://127.0.0.1:9100/");
    assert_eq!(settings(&[elsewhere]).unwrap().trading_url().as_str(), "http://127.0.0.1:9100");
    let both = settings(&[elsewhere, (TRADING_URL_VARIABLE, "https://api.alpaca.markets/v2")]).unwrap();
    assert_eq!(both.trading_url().as_str(), "https://api.alpaca.markets");
}

#[test]
fn an_error_names_the_variable_and_never_its_value() {
    for (variables, named) in [
        (vec![(KEY_ID_VARIABLE, "PKHIDDEN")], SECRET_KEY_VARIABLE),
        (vec![(SECRET_KEY_VARIABLE, "HIDDEN")], KEY_ID_VARIABLE),
        (vec![(KEY_ID_VARIABLE, "PK"), (SECRET_KEY_VARIABLE, "HIDDEN\u{e9}")], SECRET_KEY_VARIABLE),
        (vec![(KEY_ID_VARIABLE, "HID DEN"), (SECRET_KEY_VARIABLE, "S")], KEY_ID_VARIABLE),
        (vec![(DATA_URL_VARIABLE, "HIDDEN")], DATA_URL_VARIABLE),
        (vec![(DATA_URL_VARIABLE, "ftp://HIDDEN")], DATA_URL_VARIABLE),
        (vec![(DATA_URL_VARIABLE, "https://me:HIDDEN@example.com")], DATA_URL_VARIABLE),
        (vec![(TRADING_URL_VARIABLE, "https://example.com/?key=HIDDEN")], TRADING_URL_VARIABLE),
        (vec![(TRADING_URL_VARIABLE, "http://api.alpaca.markets")], TRADING_URL_VARIABLE),
    ] {
        let error = settings(&variables).expect_err(named).to_string();
        assert!(error.starts_with(named), "{error}");
        assert!(!error.contains("HIDDEN"), "{error}");
    }
}

#[test]
fn keys_never_show_in_debug() {
    let settings = settings(&[(KEY_ID_VARIABLE, "PKHIDDEN"), (SECRET_KEY_VARIABLE, "HIDDEN2")]).unwrap();
    let shown = format!("{settings:?} {settings:#?}");
    assert!(shown.contains("Secret(..)") && !shown.contains("HIDDEN"), "{shown}");
}

#[test]
fn only_alpacas_own_hosts_are_alpacas_own() {
    for (address, own) in [
        ("https://data.alpaca.markets", true),
        ("https://data.sandbox.alpaca.markets/v2/", true),
        ("https://ALPACA.markets", true),
        ("https://notalpaca.markets", false),
        ("https://alpaca.markets.example.com", false),
        ("http://127.0.0.1:9100", false),
    ] {
        assert_eq!(address.parse::<BaseUrl>().unwrap().is_alpaca(), own, "{address}");
    }
}

#[test]
fn this_machine_is_recognised_by_any_of_its_names() {
    for (address, loopback) in
        [("http://127.0.0.1:1", true), ("http://[::1]:1", true), ("http://localhost", true), ("http://10.0.0.1", false)]
    {
        assert_eq!(address.parse::<BaseUrl>().unwrap().is_loopback(), loopback, "{address}");
    }
}

#[test]
fn a_path_keeps_what_comes_before_it_and_encodes_a_slash_within_a_segment() {
    let base: BaseUrl = "https://proxy.example.com/alpaca/v2/".parse().unwrap();
    assert_eq!(
        base.at(&["v2", "assets", "BTC/USD"]).unwrap().as_str(),
        "https://proxy.example.com/alpaca/v2/assets/BTC%2FUSD"
    );
}
