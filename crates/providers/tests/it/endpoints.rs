//! Who answers at an address, and what its asset list says. All answers here are synthetic.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use market::{AssetClass, Timeframe};
use providers::{
    Asset, BarSource, Endpoint, FetchError,
    alpaca::{AlpacaSettings, AlpacaSource},
};

use crate::server::{Counted, Say, Server, any_request, connect, market_now};

const SIMULATOR: &str =
    r#"{"name":"market-sim","earliest":"2021-05-03T00:00:00Z","requests_per_minute":1000,"delay_seconds":5}"#;

fn instant(text: &str) -> Timestamp {
    text.parse().unwrap()
}

async fn refused_to_connect(say: Say) -> FetchError {
    let server = Server::answering_all(move |_| say.clone()).await;
    AlpacaSource::connect(server.settings(), Arc::new(market_now)).await.unwrap_err()
}

#[tokio::test]
async fn a_simulator_is_known_by_its_own_words_and_needs_no_keys() {
    let server = Server::answering_all(|asked| match asked.path.as_str() {
        "/v1/market-sim" => Say::json(SIMULATOR),
        _ => Say::no_bars(),
    })
    .await;
    let mut settings = server.settings();
    (settings.key_id, settings.secret_key) = (None, None);
    let source = connect(settings).await;
    let endpoint = Endpoint { provider: "market-sim".to_owned(), simulated: true, address: server.url.clone() };
    assert_eq!(*source.endpoint(), endpoint);
    for asset_class in [AssetClass::Stock, AssetClass::Crypto] {
        let limits = source.limits(asset_class);
        assert_eq!(limits.earliest, instant("2021-05-03T00:00:00Z"));
        assert_eq!((limits.grace, limits.requests_per_minute), (SignedDuration::from_secs(5), 1000));
    }
    assert_eq!(source.bars(&any_request()).await.unwrap().provenance, "market-sim/sip");
    let asked = server.asked_at_all();
    assert!(!asked[0].headers.contains_key("apca-api-key-id"), "who asks is nobody's business yet");
    assert!(!asked[1].headers["apca-api-key-id"].is_empty() && !asked[1].headers["apca-api-secret-key"].is_empty());
}

#[tokio::test]
async fn who_does_not_know_the_simulators_question_is_taken_for_alpaca() {
    let server = Server::replaying(vec![Say::no_bars()]).await;
    let source = server.source().await;
    let endpoint = Endpoint { provider: "alpaca".to_owned(), simulated: false, address: server.url.clone() };
    assert_eq!(*source.endpoint(), endpoint);
}

#[tokio::test]
async fn alpaca_itself_is_not_asked_who_it_is_and_has_these_limits() {
    use Timeframe::{D1, H1, H4, M1, M5, M15, M30};
    let source = connect(AlpacaSettings::default()).await;
    assert_eq!(source.endpoint().address, "https://data.alpaca.markets");
    assert!(!source.endpoint().simulated);
    let (stocks, crypto) = (source.limits(AssetClass::Stock), source.limits(AssetClass::Crypto));
    assert_eq!(stocks.timeframes, [M1, M5, M15, M30, D1]);
    assert_eq!(crypto.timeframes, [M1, M5, M15, M30, H1, H4, D1]);
    assert_eq!(stocks.earliest, instant("2016-01-01T00:00:00Z"));
    assert_eq!(crypto.earliest, instant("2021-01-01T00:00:00Z"));
    for limits in [stocks, crypto] {
        assert_eq!((limits.symbols_per_request, limits.rows_per_page), (100, 10_000));
        assert_eq!((limits.grace, limits.requests_per_minute), (SignedDuration::from_secs(60), 200));
    }
}

#[tokio::test]
async fn without_keys_stocks_are_not_even_asked_for() {
    let server = Server::replaying(vec![Say::no_bars()]).await;
    let mut settings = server.settings();
    settings.secret_key = None;
    let source = connect(settings).await;
    let error = source.bars(&any_request()).await.unwrap_err();
    assert!(error.code() == "credentials" && error.to_string().contains("APCA_API_KEY_ID"), "{error}");
    assert_eq!(source.asset(&"AAPL".parse().unwrap()).await.unwrap_err().code(), "credentials");
    assert!(server.asked().is_empty());
}

#[tokio::test]
async fn an_address_where_nobody_answers_is_named() {
    // Taken, so that no other test listens there, and not listened at.
    let taken = tokio::net::TcpSocket::new_v4().unwrap();
    taken.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = format!("http://{}", taken.local_addr().unwrap());
    let settings = AlpacaSettings { data_url: address.parse().unwrap(), ..AlpacaSettings::default() };
    let error = AlpacaSource::connect(settings, Arc::new(market_now)).await.unwrap_err();
    assert_eq!(error.code(), "transport");
    assert!(error.to_string().contains(&address), "{error}");
}

#[tokio::test]
async fn who_is_neither_alpaca_nor_a_simulator_is_not_taken_for_either() {
    for (say, code) in [
        (Say::json("<html>router</html>"), "bad_data"),
        (Say::json(SIMULATOR.replace("market-sim", "something")), "bad_data"),
        (Say::json(SIMULATOR.replace("1000", "0")), "bad_data"),
        (Say::json(SIMULATOR.replace("2021-05-03T00:00:00Z", "long ago")), "bad_data"),
        (Say::json(r#"{"name":"market-sim"}"#), "bad_data"),
        (Say::status(302, ""), "bad_data"),
        (Say::status(502, "bad gateway"), "server"),
        (Say::status(429, ""), "throttled"),
    ] {
        let error = refused_to_connect(say.clone()).await;
        assert_eq!(error.code(), code, "{say:?}: {error}");
    }
}

#[tokio::test]
async fn an_asset_is_looked_up_where_trading_happens() {
    let data = Server::replaying(vec![Say::no_bars()]).await;
    let trading = Server::replaying(vec![
        Say::json(
            r#"{"id":"b0b6dd9d-8b9b-48a9-ba46-b9d54906e415","class":"us_equity","exchange":"NASDAQ","symbol":"AAPL",
            "name":"Apple Inc. Common Stock","status":"active","tradable":true}"#,
        ),
        Say::json(r#"{"class":"crypto","exchange":"CRYPTO","symbol":"BTC/USD","name":null,"status":"inactive"}"#),
    ])
    .await;
    let settings = AlpacaSettings { trading_url: Some(trading.url.parse().unwrap()), ..data.settings() };
    let counted = Counted::connect(settings).await;
    let source = &counted.source;
    let (stock, pair) = ("AAPL".parse().unwrap(), "BTC-USD".parse().unwrap());
    let apple = Asset {
        ticker: "AAPL".parse().unwrap(),
        asset_class: AssetClass::Stock,
        name: "Apple Inc. Common Stock".to_owned(),
        exchange: "NASDAQ".to_owned(),
        active: true,
    };
    assert_eq!(source.asset(&stock).await.unwrap(), Some(apple));
    let bitcoin = source.asset(&pair).await.unwrap().unwrap();
    assert_eq!((bitcoin.ticker, bitcoin.asset_class, bitcoin.active), (pair, AssetClass::Crypto, false));
    let paths: Vec<_> = trading.asked().into_iter().map(|asked| asked.path).collect();
    assert_eq!(paths, ["/v2/assets/AAPL", "/v2/assets/BTC%2FUSD"]);
    assert!(data.asked().is_empty());
    assert_eq!(counted.left(), 200, "the trading host counts for itself");
}

#[tokio::test]
async fn an_asset_that_the_list_does_not_have_is_none_and_a_failure_is_none_of_that() {
    let server = Server::replaying(vec![
        Say::status(404, r#"{"code":40410000,"message":"asset not found for NOPE"}"#),
        Say::status(404, "<html>no such page</html>"),
        Say::status(500, ""),
        Say::json(r#"{"class":"us_option","exchange":"OPRA","name":"","status":"active"}"#),
    ])
    .await;
    let (source, ticker) = (server.source().await, "NOPE".parse().unwrap());
    assert_eq!(source.asset(&ticker).await.unwrap(), None);
    for code in ["bad_data", "server", "bad_data"] {
        assert_eq!(source.asset(&ticker).await.unwrap_err().code(), code);
    }
}
