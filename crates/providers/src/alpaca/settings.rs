//! Alpaca's addresses and keys.
//!
//! In: environment variables under the names that Alpaca's own tools use. Out: [`AlpacaSettings`], or an error that
//! names the variable. Holds: addresses are http or https without credentials in them, and no `Debug` shows a key.

use std::time::Duration;

use super::ALPACA;
use crate::settings::{self, Timeouts};
pub use crate::settings::{BaseUrl, InvalidUrl, Secret, SettingsError};

pub const KEY_ID_VARIABLE: &str = "APCA_API_KEY_ID";
pub const SECRET_KEY_VARIABLE: &str = "APCA_API_SECRET_KEY";
pub const DATA_URL_VARIABLE: &str = "APCA_API_DATA_URL";
pub const TRADING_URL_VARIABLE: &str = "APCA_API_BASE_URL";

pub(super) const DATA_URL: &str = "https://data.alpaca.markets";
const TRADING_URL: &str = "https://paper-api.alpaca.markets";

/// The settings for Alpaca, or for a server that speaks its protocol.
#[derive(Clone, Debug)]
pub struct AlpacaSettings {
    /// Bars come from here; by default Alpaca's own host.
    pub data_url: BaseUrl,
    /// The asset list comes from here. `None`: Alpaca's paper host, or `data_url` if that isn't Alpaca's own.
    pub trading_url: Option<BaseUrl>,
    pub key_id: Option<Secret>,
    pub secret_key: Option<Secret>,
    /// `None`: [`Feed::Sip`]. The feed is always named in requests: by default Alpaca silently switches to IEX for
    /// the newest minutes on a free plan.
    pub feed: Option<Feed>,
    /// Whether it is named as a provider of crypto, whose bars need no keys.
    pub named_for_crypto: bool,
    /// A name for the account instead of one made of address and key: for a server whose address changes.
    pub counted_as: Option<&'static str>,
    /// For the TCP and TLS handshakes.
    pub connect_timeout: Duration,
    /// For a whole request, from connecting to the last byte of its answer.
    pub timeout: Duration,
}

/// Which trades make a stock's bars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feed {
    /// All US exchanges. Free plans get it 15 minutes late.
    Sip,
    /// One exchange with 3 to 4 % of the volume, without delay.
    Iex,
}

impl AlpacaSettings {
    /// The account for requests to `host`.
    pub(crate) fn account(&self, provider: &str, host: &BaseUrl) -> String {
        match self.counted_as {
            Some(name) => format!("{provider} {name}"),
            None => settings::account(provider, host, self.key_id.as_ref()),
        }
    }

    pub(crate) fn timeouts(&self) -> Timeouts {
        Timeouts { connect: self.connect_timeout, whole: self.timeout }
    }

    /// Settings from variables that `lookup` finds (`|name| std::env::var(name).ok()`). Empty ones count as not set.
    ///
    /// # Errors
    /// [`SettingsError`] for one key without the other, a key that isn't valid in a header and an invalid address.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let address = |variable| {
            let parse =
                |text: String| ALPACA.parse(&text).map_err(|problem| SettingsError::Address { variable, problem });
            settings::find(&lookup, variable).map(parse).transpose()
        };
        let key = |variable| settings::key(&lookup, variable);
        let (key_id, secret_key) = (key(KEY_ID_VARIABLE)?, key(SECRET_KEY_VARIABLE)?);
        let missing = |variable, other| Err(SettingsError::Missing { variable, other });
        match (&key_id, &secret_key) {
            (Some(_), None) => return missing(SECRET_KEY_VARIABLE, KEY_ID_VARIABLE),
            (None, Some(_)) => return missing(KEY_ID_VARIABLE, SECRET_KEY_VARIABLE),
            _ => {}
        }
        let defaults = Self::default();
        Ok(Self {
            data_url: address(DATA_URL_VARIABLE)?.unwrap_or(defaults.data_url),
            trading_url: address(TRADING_URL_VARIABLE)?,
            key_id,
            secret_key,
            named_for_crypto: settings::is_named_for_crypto(&lookup, ALPACA.name)?,
            ..Self::default()
        })
    }

    /// Whether stocks can be requested: with keys, or from a server that isn't Alpaca's own.
    pub fn is_configured(&self) -> bool {
        self.key_id.is_some() || !self.data_url.is_alpaca()
    }

    /// The address of the asset list, with the default filled in.
    pub fn trading_url(&self) -> BaseUrl {
        match &self.trading_url {
            Some(url) => url.clone(),
            None if self.data_url.is_alpaca() => BaseUrl::fixed(TRADING_URL),
            None => self.data_url.clone(),
        }
    }
}

impl Default for AlpacaSettings {
    /// Alpaca's own hosts, no keys, 5 s to connect and 30 s in all.
    fn default() -> Self {
        Self {
            data_url: BaseUrl::fixed(DATA_URL),
            trading_url: None,
            key_id: None,
            secret_key: None,
            feed: None,
            named_for_crypto: false,
            counted_as: None,
            connect_timeout: Timeouts::default().connect,
            timeout: Timeouts::default().whole,
        }
    }
}

impl BaseUrl {
    /// Whether it is one of Alpaca's own hosts.
    pub fn is_alpaca(&self) -> bool {
        ALPACA.owns(self)
    }
}

impl Feed {
    /// As Alpaca spells it, and as stored with each bar.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sip => "sip",
            Self::Iex => "iex",
        }
    }
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
