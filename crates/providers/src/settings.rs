//! The building blocks of all providers' settings: keys, addresses, and what can be wrong with them.
//!
//! In: environment variables. Out: [`Secret`]s and [`BaseUrl`]s, or an error that names the variable. Holds: addresses
//! are http or https without credentials in them, and neither an error nor a `Debug` shows a key.

use std::{fmt, str::FromStr, time::Duration};

use reqwest::Url;
use sha2::{Digest as _, Sha256};

/// A setting that can't be used. Never shows the value: it may be a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    #[error("{variable} is not set though {other} is: set both, or neither")]
    Missing { variable: &'static str, other: &'static str },
    #[error("{variable} isn't a valid key: it must be printable ASCII without spaces")]
    NoKey { variable: &'static str },
    #[error("{variable} {problem}")]
    Address { variable: &'static str, problem: InvalidUrl },
    #[error("{variable} must be {expected}")]
    Choice { variable: &'static str, expected: &'static str },
}

/// How long to wait for a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For the TCP and TLS handshakes.
    pub connect: Duration,
    /// For a whole request, from connecting to the last byte of its answer.
    pub whole: Duration,
}

impl Default for Timeouts {
    /// 5 s to connect and 30 s in all.
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), whole: Duration::from_secs(30) }
    }
}

/// The variable's text without spaces around it; empty counts as not set.
pub(crate) fn find(lookup: impl Fn(&str) -> Option<String>, variable: &str) -> Option<String> {
    lookup(variable).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// The key of that variable.
///
/// # Errors
/// [`SettingsError::NoKey`] for one that isn't valid in a header.
pub(crate) fn key(
    lookup: impl Fn(&str) -> Option<String>,
    variable: &'static str,
) -> Result<Option<Secret>, SettingsError> {
    match find(lookup, variable).map(Secret) {
        Some(key) if !key.is_sendable() => Err(SettingsError::NoKey { variable }),
        key => Ok(key),
    }
}

/// Names the crypto providers to use although they require no key.
pub const CRYPTO_VARIABLE: &str = "BARKEEP_CRYPTO";

/// Whether `provider` is in the list of crypto providers: `binance`, or `coinbase, binance`.
///
/// # Errors
/// [`SettingsError::Choice`] for an unknown name.
pub(crate) fn is_named_for_crypto(
    lookup: impl Fn(&str) -> Option<String>,
    provider: &str,
) -> Result<bool, SettingsError> {
    let list = find(lookup, CRYPTO_VARIABLE).unwrap_or_default();
    let names: Vec<&str> = list.split([',', ' ']).filter(|name| !name.is_empty()).collect();
    if names.iter().all(|name| ["alpaca", "binance", "coinbase"].contains(name)) {
        return Ok(names.contains(&provider));
    }
    Err(SettingsError::Choice { variable: CRYPTO_VARIABLE, expected: "a list of alpaca, binance and coinbase" })
}

/// The account by which requests to `host` are counted: limits apply to a key wherever it is used, and without a key
/// to our address. Contains a digest of the key.
pub(crate) fn account(provider: &str, host: &BaseUrl, key: Option<&Secret>) -> String {
    let host = host.as_str().trim_start_matches("https://").trim_start_matches("http://");
    match key {
        Some(key) => {
            let digest = Sha256::digest(key.expose().as_bytes());
            let digest: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
            format!("{provider} {host} key {digest}")
        }
        None => format!("{provider} {host}"),
    }
}

/// A key. Prints as `Secret(..)`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// Whether it is valid in a header.
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
/// A trailing `/v1`, `/v2` or `/v3`, as in some providers' documentation, is dropped: the requested paths include the
/// version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl(String);

/// Why a text is not a usable address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUrl {
    #[error("isn't a valid URL: write it like https://data.alpaca.markets or http://127.0.0.1:9100")]
    Form,
    #[error("contains a user or password: set keys in their own variables")]
    Credentials,
    #[error("would send keys unencrypted: write https")]
    Unencrypted,
}

impl BaseUrl {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn host(&self) -> Option<String> {
        self.url().and_then(|url| url.host_str().map(str::to_owned))
    }

    pub(crate) fn is_encrypted(&self) -> bool {
        self.0.starts_with("https:")
    }

    /// Whether it is this machine, for which no proxy is used.
    pub(crate) fn is_loopback(&self) -> bool {
        let Some(url) = self.url() else { return false };
        url.host_str().is_some_and(|host| {
            let host = host.trim_start_matches('[').trim_end_matches(']');
            host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
        })
    }

    /// The address of a path here; each segment is percent-encoded. `None` doesn't occur: the text was parsed once.
    pub(crate) fn at(&self, segments: &[&str]) -> Option<Url> {
        let mut url = self.url()?;
        url.path_segments_mut().ok()?.pop_if_empty().extend(segments);
        Some(url)
    }

    pub(crate) fn fixed(text: &'static str) -> Self {
        Self(text.to_owned())
    }

    pub(crate) fn url(&self) -> Option<Url> {
        Url::parse(&self.0).ok()
    }
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
        let text = url.as_str().trim_end_matches('/');
        let without_version = ["/v1", "/v2", "/v3"].iter().find_map(|version| text.strip_suffix(version));
        Ok(Self(without_version.unwrap_or(text).trim_end_matches('/').to_owned()))
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
