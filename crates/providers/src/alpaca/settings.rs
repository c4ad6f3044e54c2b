//! Where Alpaca is and who asks.
//!
//! In: environment variables under the names that Alpaca's own tools use. Out: [`AlpacaSettings`], or an error that
//! names the variable. Holds: addresses are http or https without credentials in them, and no `Debug` shows a key.

use std::{fmt, str::FromStr, time::Duration};

use reqwest::Url;

pub const KEY_ID_VARIABLE: &str = "APCA_API_KEY_ID";
pub const SECRET_KEY_VARIABLE: &str = "APCA_API_SECRET_KEY";
pub const DATA_URL_VARIABLE: &str = "APCA_API_DATA_URL";
pub const TRADING_URL_VARIABLE: &str = "APCA_API_BASE_URL";

const DATA_URL: &str = "https://data.alpaca.markets";
const TRADING_URL: &str = "https://paper-api.alpaca.markets";
const OWN_DOMAIN: &str = "alpaca.markets";

/// Everything needed to talk to Alpaca, or to a server that speaks its protocol.
#[derive(Clone, Debug)]
pub struct AlpacaSettings {
    /// Bars come from here; by default Alpaca's own host.
    pub data_url: BaseUrl,
    /// The asset list comes from here. `None`: Alpaca's paper host, or `data_url` where that isn't Alpaca's own.
    pub trading_url: Option<BaseUrl>,
    pub key_id: Option<Secret>,
    pub secret_key: Option<Secret>,
    /// `None`: [`Feed::Sip`]. The feed is always named when asking: left to itself Alpaca silently answers from IEX
    /// for the newest minutes on a free plan.
    pub feed: Option<Feed>,
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

/// A setting that can't be used. Never shows the value: it may be a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    #[error("{variable} is not set though {other} is: set both, or neither")]
    Missing { variable: &'static str, other: &'static str },
    #[error("{variable} can't be a key: it must be printable ASCII without spaces")]
    NoKey { variable: &'static str },
    #[error("{variable} {problem}")]
    Address { variable: &'static str, problem: InvalidUrl },
}

impl AlpacaSettings {
    /// Settings from variables that `lookup` finds (`|name| std::env::var(name).ok()`). Empty ones count as not set.
    ///
    /// # Errors
    /// [`SettingsError`] for one key without the other, a key that can't stand in a header and an address that is none.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let find = |name| lookup(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let address = |variable| {
            let parse = |text: String| text.parse().map_err(|problem| SettingsError::Address { variable, problem });
            find(variable).map(parse).transpose()
        };
        let key = |variable| match find(variable).map(Secret) {
            Some(key) if !key.is_sendable() => Err(SettingsError::NoKey { variable }),
            key => Ok(key),
        };
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
            ..Self::default()
        })
    }

    /// Where the asset list is asked for, with the default filled in.
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
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(30),
        }
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

/// A key. Prints as `Secret(..)`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// Whether it can stand in a header.
    pub(crate) fn is_sendable(&self) -> bool {
        !self.0.is_empty() && self.0.bytes().all(|b| b.is_ascii_graphic())
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// The address of a server, without a slash at its end: `https://data.alpaca.markets`, `http://127.0.0.1:9100`.
///
/// A trailing `/v2`, as some of Alpaca's pages give it, is dropped: the paths asked for bring their version along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl(String);

/// Why a text is no address to be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUrl {
    #[error("is no address: it should look like https://data.alpaca.markets or http://127.0.0.1:9100")]
    Form,
    #[error("holds a user or password: keys belong into {KEY_ID_VARIABLE} and {SECRET_KEY_VARIABLE}")]
    Credentials,
    #[error("would send keys to Alpaca unencrypted: write https")]
    Unencrypted,
}

impl BaseUrl {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is one of Alpaca's own hosts.
    pub fn is_alpaca(&self) -> bool {
        self.url().is_some_and(|url| is_own_host(&url))
    }

    /// Whether it is this machine, where no proxy has anything to do.
    pub(crate) fn is_loopback(&self) -> bool {
        let Some(url) = self.url() else { return false };
        url.host_str().is_some_and(|host| {
            let host = host.trim_start_matches('[').trim_end_matches(']');
            host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
        })
    }

    /// The address of a path here; each segment is percent-encoded whole. `None` is not met: the text was parsed once.
    pub(crate) fn at(&self, segments: &[&str]) -> Option<Url> {
        let mut url = self.url()?;
        url.path_segments_mut().ok()?.pop_if_empty().extend(segments);
        Some(url)
    }

    fn fixed(text: &'static str) -> Self {
        Self(text.to_owned())
    }

    fn url(&self) -> Option<Url> {
        Url::parse(&self.0).ok()
    }
}

fn is_own_host(url: &Url) -> bool {
    let own = |host: &str| host.strip_suffix(OWN_DOMAIN).is_some_and(|sub| sub.is_empty() || sub.ends_with('.'));
    url.host_str().is_some_and(own)
}

impl FromStr for BaseUrl {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = Url::parse(text.trim()).map_err(|_| InvalidUrl::Form)?;
        if !matches!(url.scheme(), "http" | "https") || url.query().is_some() || url.fragment().is_some() {
            return Err(InvalidUrl::Form);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidUrl::Credentials);
        }
        if url.scheme() == "http" && is_own_host(&url) {
            return Err(InvalidUrl::Unencrypted);
        }
        let text = url.as_str().trim_end_matches('/');
        Ok(Self(text.strip_suffix("/v2").unwrap_or(text).trim_end_matches('/').to_owned()))
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
