//! Coinbase's settings: whether it is used, and its address.

use crate::{
    settings::{self, BaseUrl, SettingsError, Timeouts},
    vendor::Vendor,
};

pub(super) static COINBASE: Vendor = Vendor {
    name: "coinbase",
    empty: "an empty list",
    own_domains: &["coinbase.com"],
    address: "https://api.exchange.coinbase.com",
    url_variable: "COINBASE_API_URL",
    mend_keys: "it takes no key; where it doesn't serve this machine's address, leave it out of BARKEEP_CRYPTO",
    mend_address: "check the network, and COINBASE_API_URL where it is set",
    ..Vendor::PLAIN
};

/// The settings for Coinbase.
#[derive(Clone, Debug)]
pub struct CoinbaseSettings {
    pub url: BaseUrl,
    /// Whether it is named as a provider of crypto.
    pub on: bool,
    pub timeouts: Timeouts,
}

impl CoinbaseSettings {
    /// Settings from `BARKEEP_CRYPTO` (a list of providers) and `COINBASE_API_URL`.
    ///
    /// # Errors
    /// [`SettingsError`] for a list with unknown names and an invalid address.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let on = settings::is_named_for_crypto(&lookup, COINBASE.name)?;
        Ok(Self { url: COINBASE.address_from(&lookup)?, on, timeouts: Timeouts::default() })
    }

    /// Whether it was named: it needs no key that would show that it is wanted.
    pub fn is_configured(&self) -> bool {
        self.on
    }
}
