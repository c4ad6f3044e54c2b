//! Tradier's address and token.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reqwest::header::HeaderMap;

use crate::{
    budget::{Report, Reset, WINDOW},
    rates,
    settings::{self, BaseUrl, Secret, SettingsError, Timeouts},
    vendor::Vendor,
};

pub const TOKEN_VARIABLE: &str = "TRADIER_TOKEN";

/// The sandbox: half the requests, data delayed by 15 minutes.
const SANDBOX: &str = "sandbox.tradier.com";

pub(super) static TRADIER: Vendor = Vendor {
    name: "tradier",
    empty: "`series` or `history` null",
    own_domains: &["tradier.com"],
    address: "https://api.tradier.com",
    url_variable: "TRADIER_API_URL",
    mend_keys: "check TRADIER_TOKEN",
    mend_address: "check the network, and TRADIER_API_URL where it is set",
    report,
    default_wait: Duration::from_secs(60),
    ..Vendor::PLAIN
};

/// `X-Ratelimit-Allowed`, `-Available` and `-Expiry`, the last in unix milliseconds.
fn report(headers: &HeaderMap, now: Timestamp) -> Report {
    let reset = rates::number(headers, "x-ratelimit-expiry").map(|milliseconds: i64| {
        let left = milliseconds.saturating_sub(now.as_millisecond());
        let after = Duration::from_millis(u64::try_from(left).unwrap_or(0)).min(WINDOW);
        Reset { unix: milliseconds.div_euclid(1_000), after }
    });
    Report {
        limit: rates::number(headers, "x-ratelimit-allowed"),
        remaining: rates::number(headers, "x-ratelimit-available"),
        reset,
        turned_away: None,
    }
}

/// The settings for Tradier.
#[derive(Clone, Debug)]
pub struct TradierSettings {
    pub url: BaseUrl,
    pub token: Option<Secret>,
    pub timeouts: Timeouts,
}

impl TradierSettings {
    /// Settings from `TRADIER_TOKEN` and `TRADIER_API_URL` (`https://sandbox.tradier.com` for a sandbox token).
    ///
    /// # Errors
    /// [`SettingsError`] for a token that isn't valid in a header and an invalid address.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let token = settings::key(&lookup, TOKEN_VARIABLE)?;
        Ok(Self { url: TRADIER.address_from(&lookup)?, token, timeouts: Timeouts::default() })
    }

    /// Whether it is configured: a token, or a server that isn't Tradier's own.
    pub fn is_configured(&self) -> bool {
        self.token.is_some() || !TRADIER.owns(&self.url)
    }

    fn is_sandbox(&self) -> bool {
        self.url.host().is_some_and(|host| host == SANDBOX)
    }

    pub(super) fn requests_per_minute(&self) -> u32 {
        if self.is_sandbox() { 60 } else { 120 }
    }

    pub(super) fn delay(&self) -> SignedDuration {
        if self.is_sandbox() { SignedDuration::from_mins(16) } else { SignedDuration::from_mins(1) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]

    use super::*;

    #[test]
    fn what_is_left_is_read_from_tradiers_own_headers() {
        let pairs = [
            ("x-ratelimit-allowed", "120"),
            ("x-ratelimit-used", "1"),
            ("x-ratelimit-available", "119"),
            ("x-ratelimit-expiry", "1795197660500"),
        ];
        let headers: HeaderMap = pairs.iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap())).collect();
        let report = report(&headers, "2026-11-20T18:00:50Z".parse().unwrap());
        assert_eq!((report.limit, report.remaining), (Some(120), Some(119)));
        assert_eq!(report.reset.map(|reset| (reset.unix, reset.after.as_millis())), Some((1_795_197_660, 10_500)));
    }

    #[test]
    fn a_sandbox_is_known_by_its_host() {
        let settings = |url: &'static str| {
            TradierSettings::from_lookup(move |name| (name == "TRADIER_API_URL").then(|| url.to_owned())).unwrap()
        };
        assert_eq!(settings("https://sandbox.tradier.com/v1").requests_per_minute(), 60);
        assert_eq!(settings("https://api.tradier.com/v1/").requests_per_minute(), 120);
    }
}
