//! Reads a refusal: status and body in, [`FetchError`] out.
//!
//! Holds: what a body says is shown on one line, shortened, and without our keys.

use jiff::Timestamp;
use market::Ticker;
use reqwest::{StatusCode, header::HeaderMap};

use super::{rates, settings, wire::WireError};
use crate::FetchError;

/// Characters of a provider's words that are kept.
const LONGEST_MESSAGE: usize = 200;

/// Alpaca's words for the newest minutes of a plan without real-time data.
const RECENT_SIP: &str = "subscription does not permit querying recent sip data";

/// Why a request was not answered with what was asked for.
#[derive(Debug)]
pub(super) enum Failure {
    /// The plan holds the newest 15 minutes back; the keys are fine.
    RecentSip,
    Fetch(FetchError),
}

impl From<FetchError> for Failure {
    fn from(error: FetchError) -> Self {
        Self::Fetch(error)
    }
}

/// An answer with a status other than 200.
#[derive(Debug)]
pub(super) struct Refusal<'a> {
    pub(super) provider: &'a str,
    /// The address asked, without its query.
    pub(super) address: &'a str,
    pub(super) status: StatusCode,
    pub(super) headers: &'a HeaderMap,
    /// The provider's words, as [`words`] reads them.
    pub(super) words: String,
    pub(super) tickers: &'a [Ticker],
}

impl Refusal<'_> {
    pub(super) fn read(self) -> Failure {
        let provider = self.provider.to_owned();
        let status = self.status.as_u16();
        let message = self.words;
        Failure::Fetch(match status {
            403 if message.to_ascii_lowercase().contains(RECENT_SIP) => return Failure::RecentSip,
            401 | 403 => FetchError::Credentials { provider, status, message },
            429 => {
                FetchError::Throttled { provider, retry_after: rates::wait_after_429(self.headers, Timestamp::now()) }
            }
            // Bars of an unknown symbol come as 200 and empty, so this is the address and no ticker's fault.
            404 => FetchError::BadData {
                provider,
                message: format!(
                    "404 at {}: check {} and {}",
                    self.address,
                    settings::DATA_URL_VARIABLE,
                    settings::TRADING_URL_VARIABLE
                ),
            },
            408 | 500..=599 => FetchError::Server { provider, status, message },
            400..=499 => FetchError::Refused { provider, status, message, tickers: self.tickers.to_vec() },
            _ => FetchError::BadData {
                provider,
                message: format!("{status} instead of 200 at {}: check that address", self.address),
            },
        })
    }
}

/// What a refusal's body says: its `message` where it is JSON, else its beginning.
pub(super) fn words(body: &[u8], secrets: &[&str]) -> String {
    match serde_json::from_slice::<WireError>(body) {
        Ok(error) => presentable(&error.message, secrets),
        Err(_) if is_html(body) => "an HTML page".to_owned(),
        Err(_) if body.is_empty() => "no message".to_owned(),
        Err(_) => presentable(&String::from_utf8_lossy(body), secrets),
    }
}

pub(super) fn is_html(body: &[u8]) -> bool {
    body.trim_ascii_start().first() == Some(&b'<')
}

/// One line of at most 200 characters, without control characters and without `secrets`.
pub(super) fn presentable(text: &str, secrets: &[&str]) -> String {
    let mut text = text.to_owned();
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        text = text.replace(secret, "[key]");
    }
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST_MESSAGE) {
        Some((cut, _)) => format!("{}...", &line[..cut]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests may panic")]

    use super::*;

    #[test]
    fn a_providers_words_are_short_on_one_line_and_without_our_keys() {
        let body = format!("{{\"message\":\"no\\u0000\\u001b[31m\\nentry for KEY1 {}\"}}", "é".repeat(300));
        let words = words(body.as_bytes(), &["KEY1", ""]);
        assert!(words.starts_with("no [31m entry for [key] é"), "{words}");
        assert!(words.ends_with("..."));
        assert_eq!(words.chars().count(), LONGEST_MESSAGE + 3);
    }

    #[test]
    fn a_body_that_is_no_json_speaks_for_itself() {
        assert_eq!(words(b"Invalid Access Token", &[]), "Invalid Access Token");
        assert_eq!(words(b"  <!doctype html><p>502", &[]), "an HTML page");
        assert_eq!(words(b"", &[]), "no message");
        assert_eq!(words(b"\xff\xfe", &[]), "\u{fffd}\u{fffd}");
    }
}
