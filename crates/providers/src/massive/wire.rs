//! The formats of Massive's requests and responses.
//!
//! In: JSON as sent. Out: our types. Holds: an empty object is an empty page only where it follows another; a bar that lacks
//! a field is an error.

use jiff::{SignedDuration, Timestamp};
use market::{Bar, Range, Timeframe};
use reqwest::{StatusCode, Url};
use serde::Deserialize;

use crate::{FetchError, connection::Connection, short_bar::ShortBar};

/// Longer than any error, shorter than any page worth reading twice.
const LONGEST_ERROR: usize = 4_096;

/// One page of anything.
#[derive(Debug, Deserialize)]
#[serde(bound = "T: Deserialize<'de>")]
pub(super) struct Page<T> {
    status: Option<String>,
    /// Of pages of bars.
    pub(super) ticker: Option<String>,
    #[serde(rename = "resultsCount")]
    results_count: Option<u64>,
    #[serde(default)]
    pub(super) results: Option<Vec<T>>,
    #[serde(default)]
    pub(super) next_url: Option<String>,
}

impl<T> Page<T> {
    /// Whether it is a page without results, as Massive sends them: the first one says so, and the last one may be an empty
    /// object.
    pub(super) fn is_empty(&self, continued: bool) -> bool {
        let says = match self.status.as_deref() {
            Some("OK" | "DELAYED") => true,
            Some(_) => false,
            None => continued,
        };
        says && self.results_count.is_none_or(|count| count == 0) && self.results.as_ref().is_none_or(Vec::is_empty)
    }

    pub(super) fn has_results(&self) -> bool {
        self.results.as_ref().is_some_and(|results| !results.is_empty())
    }
}

#[derive(Debug, Deserialize)]
struct Status {
    status: Option<String>,
}

/// A bar, sent with its start in unix milliseconds and its volume perhaps with a fraction.
pub(super) fn bar(sent: ShortBar<i64>) -> Result<Bar, String> {
    let start = Timestamp::from_millisecond(sent.t).map_err(|_| format!("a bar at {} ms", sent.t))?;
    Ok(sent.starting(start))
}

/// Multiplier and span.
pub(super) fn timeframe(timeframe: Timeframe) -> (&'static str, &'static str) {
    match timeframe {
        Timeframe::M1 => ("1", "minute"),
        Timeframe::M5 => ("5", "minute"),
        Timeframe::M15 => ("15", "minute"),
        Timeframe::M30 => ("30", "minute"),
        Timeframe::H1 => ("1", "hour"),
        Timeframe::H4 => ("4", "hour"),
        Timeframe::D1 => ("1", "day"),
        Timeframe::W1 => ("1", "week"),
    }
}

/// First and last millisecond for Massive, which includes both. The first is on the bars' grid, which begins wherever
/// the request does.
pub(super) fn inclusive(window: Range, timeframe: Timeframe) -> (String, String) {
    let from = window.from().as_millisecond();
    let step = timeframe.minutes().map_or(1, |minutes| minutes * 60_000);
    let last = window.to().checked_sub(SignedDuration::from_nanos(1)).unwrap_or(window.from());
    ((from - from.rem_euclid(step)).to_string(), last.as_millisecond().to_string())
}

/// Whether a 200 is an error: `status` is `ERROR`, as after too many requests.
pub(super) fn is_error(status: StatusCode, body: &[u8]) -> bool {
    status == StatusCode::OK && body.len() < LONGEST_ERROR && status_is(body, "ERROR")
}

/// Whether a 403 is about the plan's range rather than the key.
pub(super) fn is_not_authorized(body: &[u8]) -> bool {
    status_is(body, "NOT_AUTHORIZED")
}

fn status_is(body: &[u8], word: &str) -> bool {
    serde_json::from_slice::<Status>(body).is_ok_and(|said| said.status.as_deref() == Some(word))
}

/// The address of a next page: path and cursor as sent, at our configured address. The key is sent as with every
/// request, never in the address.
pub(super) fn follow(connection: &Connection, next: &str) -> Result<Url, FetchError> {
    let bad = || connection.http.bad_data("a next_url that leads elsewhere");
    let next = Url::parse(next).map_err(|_| bad())?;
    let host = next.host_str().ok_or_else(bad)?;
    if !connection.http.vendor.owns_host(host) && connection.base().host().as_deref() != Some(host) {
        return Err(bad());
    }
    let mut url = connection.base().url().ok_or_else(bad)?;
    let before = url.path().trim_end_matches('/').to_owned();
    let path = next.path();
    let path = if path.starts_with(&before) { path.to_owned() } else { format!("{before}{path}") };
    url.set_path(&path);
    let pairs = next.query_pairs().filter(|(name, _)| !name.eq_ignore_ascii_case("apikey"));
    url.query_pairs_mut().clear().extend_pairs(pairs);
    Ok(url)
}
