//! Binance's settings: whether it is used, and its address.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::HeaderMap;

use crate::{
    budget::{Report, Reset},
    rates,
    settings::{self, BaseUrl, SettingsError, Timeouts},
    vendor::Vendor,
};

/// The weight that an address has per minute, and the weight of one request.
pub(super) const WEIGHT_PER_MINUTE: u32 = 6_000;
pub(super) const WEIGHT: u32 = 2;

pub(super) static BINANCE: Vendor = Vendor {
    name: "binance",
    empty: "an empty list",
    own_domains: &["binance.vision", "binance.com", "binance.us"],
    address: "https://data-api.binance.vision",
    url_variable: "BINANCE_API_URL",
    mend_keys: "it takes no key; where it doesn't serve this machine's address, leave it out of BARKEEP_CRYPTO",
    mend_address: "check the network, and BINANCE_API_URL where it is set",
    report,
    default_wait: Duration::from_secs(60),
    ..Vendor::PLAIN
};

/// The remaining weight, in requests; it is counted by clock-aligned minutes.
fn report(headers: &HeaderMap, now: Timestamp) -> Report {
    let used: Option<u32> = rates::number(headers, "x-mbx-used-weight-1m");
    let second = now.as_second();
    let unix = second - second.rem_euclid(60) + 60;
    let after = Duration::from_secs(u64::try_from(unix - second).unwrap_or(60));
    Report {
        remaining: used.map(|used| WEIGHT_PER_MINUTE.saturating_sub(used) / WEIGHT),
        reset: used.map(|_| Reset { unix, after }),
        ..Report::default()
    }
}

/// The settings for Binance.
#[derive(Clone, Debug)]
pub struct BinanceSettings {
    pub url: BaseUrl,
    /// Whether it is named as a provider of crypto.
    pub on: bool,
    pub timeouts: Timeouts,
}

impl BinanceSettings {
    /// Settings from `BARKEEP_CRYPTO` (a list of providers) and `BINANCE_API_URL`.
    ///
    /// # Errors
    /// [`SettingsError`] for a list with unknown names and an invalid address.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let on = settings::is_named_for_crypto(&lookup, BINANCE.name)?;
        Ok(Self { url: BINANCE.address_from(&lookup)?, on, timeouts: Timeouts::default() })
    }

    /// Whether it was named: it needs no key that would show that it is wanted.
    pub fn is_configured(&self) -> bool {
        self.on
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]

    use super::*;

    #[test]
    fn used_weight_is_counted_in_requests_until_the_next_full_minute() {
        let headers: HeaderMap =
            [("x-mbx-used-weight-1m".parse().unwrap(), "5990".parse().unwrap())].into_iter().collect();
        let report = report(&headers, "2026-11-20T18:00:50Z".parse().unwrap());
        assert_eq!((report.limit, report.remaining), (None, Some(5)));
        assert_eq!(report.reset.map(|reset| (reset.unix, reset.after.as_secs())), Some((1_795_197_660, 10)));
    }
}
