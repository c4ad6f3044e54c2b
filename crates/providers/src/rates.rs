//! Reads the rate limit from a response's headers.
//!
//! In: headers. Out: a [`Report`] for the budget, and how long a throttled response asks us to wait. Unreadable
//! headers count as not sent. Reset times are unix seconds by the wall clock, not by the market's clock.

use std::time::Duration;

use jiff::{Timestamp, fmt::rfc2822};
use reqwest::header::{HeaderMap, RETRY_AFTER};

use crate::budget::{Report, Reset, WINDOW};

const SHORTEST_WAIT: Duration = Duration::from_secs(1);
/// A longer `Retry-After` is cut to this.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// `X-RateLimit-Limit`, `-Remaining` and `-Reset`.
pub(crate) fn report(headers: &HeaderMap, now: Timestamp) -> Report {
    let reset = number(headers, "x-ratelimit-reset").map(|unix: i64| {
        let seconds = unix.saturating_sub(now.as_second());
        // Windows are a minute long: a longer wait can only come from a wrong clock.
        Reset { unix, after: Duration::from_secs(u64::try_from(seconds).unwrap_or(0)).min(WINDOW) }
    });
    Report {
        limit: number(headers, "x-ratelimit-limit"),
        remaining: number(headers, "x-ratelimit-remaining"),
        reset,
        turned_away: None,
    }
}

/// How long to wait after a throttled response with `reported` limits: `Retry-After` in seconds or as a date, else
/// until the reset, else `default_wait`.
pub(crate) fn wait(headers: &HeaderMap, reported: &Report, default_wait: Duration, now: Timestamp) -> Duration {
    let retry_after = number(headers, RETRY_AFTER.as_str()).map(Duration::from_secs);
    let until_date = || {
        let date = rfc2822::parse(headers.get(RETRY_AFTER)?.to_str().ok()?).ok()?.timestamp();
        Some(Duration::try_from(date.duration_since(now)).unwrap_or(SHORTEST_WAIT))
    };
    let until_reset = || reported.reset.map(|reset| reset.after).filter(|after| !after.is_zero());
    retry_after.or_else(until_date).or_else(until_reset).unwrap_or(default_wait).clamp(SHORTEST_WAIT, LONGEST_WAIT)
}

pub(crate) fn number<T: std::str::FromStr>(headers: &HeaderMap, name: &str) -> Option<T> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests may panic")]

    use super::*;
    use crate::vendor::DEFAULT_WAIT;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn now() -> Timestamp {
        "2024-07-17T14:00:50Z".parse().unwrap()
    }

    #[test]
    fn a_429_waits_as_told_in_this_order() {
        let reset = ("x-ratelimit-reset", "1721224860");
        for (sent, seconds) in [
            (vec![("retry-after", "7"), reset], 7),
            (vec![("retry-after", "Wed, 17 Jul 2024 14:01:20 GMT"), reset], 30),
            (vec![("retry-after", "Wed, 17 Jul 2024 13:01:20 GMT")], 1),
            (vec![("retry-after", "0")], 1),
            (vec![("retry-after", "soon"), reset], 10),
            (vec![reset], 10),
            (vec![("x-ratelimit-reset", "1721220000")], 15),
            (vec![("x-ratelimit-reset", "1721224860000")], 60),
            (vec![("retry-after", "99999999999999")], 86_400),
            (vec![], 15),
        ] {
            let headers = headers(&sent);
            let reported = report(&headers, now());
            assert_eq!(wait(&headers, &reported, DEFAULT_WAIT, now()).as_secs(), seconds, "{sent:?}");
        }
    }

    #[test]
    fn headers_that_are_no_numbers_count_as_not_sent() {
        let sent = [("x-ratelimit-limit", "many"), ("x-ratelimit-remaining", "-1"), ("x-ratelimit-reset", "")];
        assert_eq!(report(&headers(&sent), now()), Report::default());
    }
}
