//! Yahoo's settings: whether it may be used, and its address.

use jiff::Timestamp;

use crate::{
    settings::{self, BaseUrl, SettingsError, Timeouts},
    vendor::Vendor,
};

/// `on`: Yahoo is used. Its terms allow personal use only, so it must be switched on.
pub const SWITCH_VARIABLE: &str = "BARKEEP_YAHOO";

/// Yahoo's charts begin in 1962.
pub(super) const EARLIEST: Timestamp = Timestamp::constant(-252_460_800, 0);

pub(super) static YAHOO: Vendor = Vendor {
    name: "yahoo",
    empty: "one chart of the symbol without `timestamp`, or the error that no data exists for the start date",
    own_domains: &["yahoo.com"],
    address: "https://query1.finance.yahoo.com",
    url_variable: "YAHOO_API_URL",
    mend_keys: "it takes no key: ask less, or from another address",
    mend_address: "check the network, and YAHOO_API_URL where it is set",
    // Requests that don't look like a browser's at all are rejected.
    user_agent: concat!("Mozilla/5.0 (compatible; barkeep/", env!("CARGO_PKG_VERSION"), ")"),
    default_wait: std::time::Duration::from_secs(300),
    ..Vendor::PLAIN
};

/// The settings for Yahoo.
#[derive(Clone, Debug)]
pub struct YahooSettings {
    pub url: BaseUrl,
    /// For personal use only: off unless switched on.
    pub on: bool,
    pub timeouts: Timeouts,
}

impl YahooSettings {
    /// Settings from `BARKEEP_YAHOO` (`on` or `off`) and `YAHOO_API_URL`.
    ///
    /// # Errors
    /// [`SettingsError`] for a switch that is neither and an invalid address.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let on = match settings::find(&lookup, SWITCH_VARIABLE).as_deref() {
            Some("on") => true,
            None | Some("off") => false,
            Some(_) => {
                return Err(SettingsError::Choice {
                    variable: SWITCH_VARIABLE,
                    expected: "on (Yahoo's data is for personal use only) or off",
                });
            }
        };
        Ok(Self { url: YAHOO.address_from(&lookup)?, on, timeouts: Timeouts::default() })
    }

    /// Whether it was switched on.
    pub fn is_configured(&self) -> bool {
        self.on
    }
}
