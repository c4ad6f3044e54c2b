//! Each way not to answer, told apart; and no key in any of it.

use std::time::Duration;

use providers::{
    BarSource, FetchError,
    alpaca::{AlpacaSettings, AlpacaSource},
};

use crate::server::{KEY_ID, Refusal, SECRET_KEY, Say, Server, any_request, market_now, refusals};

async fn refused(say: Say) -> FetchError {
    let server = Server::replaying(vec![say]).await;
    let error = server.source().await.bars(&any_request()).await.expect_err("no bars");
    assert_eq!(server.asked().len(), 1, "nothing is asked twice by itself: {error}");
    error
}

/// What it says in words.
fn words(refusal: &Refusal) -> String {
    refusal.0["body"]["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_401_and_a_403_are_about_the_credentials() {
    for (name, expected) in [("alpaca_401_unauthorized", 401), ("alpaca_403_forbidden", 403)] {
        for refusal in refusals(name) {
            match refused(refusal.say()).await {
                FetchError::Credentials { status, message, .. } => {
                    assert_eq!((status, message), (expected, words(&refusal)));
                }
                other => panic!("{other}"),
            }
        }
    }
}

#[tokio::test]
async fn a_400_and_a_422_are_refusals_with_the_providers_words_and_our_tickers() {
    for (name, expected) in [("alpaca_400_invalid_adjustment", 400), ("alpaca_422_invalid_timeframe_legacy", 422)] {
        for refusal in refusals(name) {
            match refused(refusal.say()).await {
                FetchError::Refused { status, message, tickers, .. } => {
                    assert_eq!((status, message, tickers), (expected, words(&refusal), any_request().tickers));
                }
                other => panic!("{other}"),
            }
        }
    }
}

/// The reset that it names is long past, as with a clock that is wrong: then a wait of our own.
#[tokio::test]
async fn a_429_is_a_throttle() {
    for refusal in refusals("alpaca_429") {
        match refused(refusal.say()).await {
            FetchError::Throttled { retry_after, .. } => assert_eq!(retry_after, Duration::from_secs(15)),
            other => panic!("{other}"),
        }
    }
}

/// Synthetic.
#[tokio::test]
async fn other_statuses_are_told_apart() {
    for (status, code) in [
        (500, "server"),
        (503, "server"),
        (504, "server"),
        (408, "server"),
        (404, "bad_data"),
        (302, "bad_data"),
        (204, "bad_data"),
        (400, "refused"),
        (422, "refused"),
        // A payment's, a proxy's, a region's: no symbol's fault.
        (402, "server"),
        (407, "server"),
        (451, "server"),
    ] {
        let error = refused(Say::status(status, if status == 204 { "" } else { "<html>gateway</html>" })).await;
        assert_eq!(error.code(), code, "{status}: {error}");
        assert!(error.to_string().contains(&status.to_string()), "{error}");
    }
}

/// Synthetic.
#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Server::replaying(vec![Say::no_bars()]).await;
    let error = refused(Say::status(307, "").header("location", &elsewhere.url)).await;
    assert_eq!(error.code(), "bad_data");
    assert!(elsewhere.asked_at_all().is_empty(), "the keys would have gone along");
}

/// Synthetic.
#[tokio::test]
async fn what_is_not_the_promised_json_is_bad_data() {
    for (body, named) in [
        ("<!DOCTYPE html><title>Welcome</title>", "HTML"),
        (r#"{"bars":{"AMZN":[{"t":"2021-10-15T16:00:00Z","o":33"#, "EOF"),
        ("{bars}", "line 1"),
        ("", "EOF"),
        ("[]", "invalid"),
        (r#"{"bars":{}}"#, "next_page_token"),
        (r#"{"bars":{"AMZN":[{"t":"2021-10-15T16:00:00Z","o":1,"h":1,"l":1,"v":1}]},"next_page_token":null}"#, "`c`"),
        (r#"{"bars":{"AMZN":[{"t":"yesterday","o":1,"h":1,"l":1,"c":1,"v":1}]},"next_page_token":null}"#, "year"),
        (r#"{"bars":{"MSFT":[]},"next_page_token":null}"#, "MSFT"),
    ] {
        let error = refused(Say::json(body)).await;
        assert_eq!(error.code(), "bad_data", "{body}: {error}");
        assert!(error.to_string().contains(named), "{body}: {error}");
    }
}

/// Synthetic.
#[tokio::test]
async fn a_body_that_is_cut_off_is_a_failure_of_transport() {
    let cut = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n{\"bars\":{\"AMZN\":[";
    let server = Server::hanging_up_after(cut).await;
    let error = server.source().await.bars(&any_request()).await.unwrap_err();
    assert!(matches!(&error, FetchError::Transport { message, .. } if message.contains("cut off")), "{error}");
}

/// Synthetic.
#[tokio::test]
async fn a_connection_closed_without_an_answer_is_a_failure_of_transport() {
    let server = Server::hanging_up_after("").await;
    let error = server.source().await.bars(&any_request()).await.unwrap_err();
    assert_eq!(error.code(), "transport", "{error}");
}

/// Synthetic.
#[tokio::test]
async fn a_server_that_hangs_is_given_up_in_time() {
    let server = Server::replaying(vec![Say::Nothing]).await;
    let settings = AlpacaSettings { timeout: Duration::from_millis(200), ..server.settings() };
    let source = AlpacaSource::connect(settings, std::sync::Arc::new(market_now)).await.unwrap();
    let request = any_request();
    let asked = tokio::time::timeout(Duration::from_secs(180), source.bars(&request));
    match asked.await.expect("given up").unwrap_err() {
        FetchError::Transport { address, message, .. } => {
            assert_eq!(address, format!("{}/v2/stocks/bars", server.url));
            assert!(message.contains("within 0.2 s"), "{message}");
        }
        other => panic!("{other}"),
    }
}

/// Synthetic: a provider that repeats what it was sent.
#[tokio::test]
async fn no_key_shows_up_in_an_error_or_in_debug() {
    let echo = format!("{{\"message\":\"key {KEY_ID} with {SECRET_KEY} \\u0007 is unknown {}\"}}", "x".repeat(5_000));
    for status in [400, 401, 403, 404, 500] {
        let error = refused(Say::status(status, &echo)).await;
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains(KEY_ID) && !shown.contains(SECRET_KEY) && !shown.contains('\u{7}'), "{shown}");
        assert!(shown.len() < 1_000, "{} characters", shown.len());
    }
    let wrong_type = format!(r#"{{"bars":"{SECRET_KEY}","next_page_token":null}}"#);
    let error = refused(Say::json(wrong_type)).await;
    assert!(!format!("{error} {error:?}").contains(SECRET_KEY), "{error}");
    let server = Server::replaying(vec![Say::no_bars()]).await;
    let shown = format!("{:#?} {:?}", server.source().await, server.settings());
    assert!(!shown.contains(KEY_ID) && !shown.contains(SECRET_KEY), "{shown}");
}
