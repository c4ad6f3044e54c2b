//! Alpaca's refusals, where they differ from other providers'.

use market::Ticker;
use reqwest::StatusCode;

use crate::{
    FetchError,
    failures::refusal,
    http::{Answer, Http},
    words::words,
};

/// Alpaca's message about the newest minutes on a plan without real-time data.
const RECENT_SIP: &str = "subscription does not permit querying recent sip data";

/// Why a request failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The plan delays the newest 15 minutes; the keys are fine.
    RecentSip,
    Fetch(FetchError),
}

impl From<FetchError> for Failure {
    fn from(error: FetchError) -> Self {
        Self::Fetch(error)
    }
}

/// Reads a response with a status other than 200. (Bars of an unknown symbol come as 200 and empty: a 404 is about
/// the address, not a ticker.)
pub(super) fn read(http: &Http, answer: &Answer, tickers: &[Ticker]) -> Failure {
    let recent = || words(&answer.body, &http.secrets()).to_ascii_lowercase().contains(RECENT_SIP);
    if answer.status == StatusCode::FORBIDDEN && recent() {
        return Failure::RecentSip;
    }
    Failure::Fetch(refusal(http, answer, tickers))
}
