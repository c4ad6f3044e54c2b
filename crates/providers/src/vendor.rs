//! The constants of a provider: its name, its hosts, its variables and its rate limit headers.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::{StatusCode, header::HeaderMap};

use crate::{
    FetchError,
    budget::Report,
    rates,
    settings::{BaseUrl, InvalidUrl, SettingsError},
};

/// The wait after a 429 that doesn't say: a quarter of the window in which requests are counted.
pub(crate) const DEFAULT_WAIT: Duration = Duration::from_secs(15);

/// One provider. Defined once, in the provider's own folder.
#[derive(Debug)]
pub(crate) struct Vendor {
    /// The part of the provenance before the slash.
    pub(crate) name: &'static str,
    /// Domains whose hosts are the provider's own: those are not probed.
    pub(crate) own_domains: &'static [&'static str],
    /// The default address.
    pub(crate) address: &'static str,
    /// The variable that names another address.
    pub(crate) url_variable: &'static str,
    /// What to do if our credentials are rejected: which variables to check.
    pub(crate) mend_keys: &'static str,
    /// What to do where no server responds.
    pub(crate) mend_address: &'static str,
    pub(crate) user_agent: &'static str,
    /// What an answer without bars looks like. Anything else without bars is no answer.
    pub(crate) empty: &'static str,
    /// Reads the rate limit from a response's headers.
    pub(crate) report: fn(&HeaderMap, Timestamp) -> Report,
    /// Whether a body means throttling though the status doesn't.
    pub(crate) throttled_by_body: Option<fn(StatusCode, &[u8]) -> bool>,
    /// How long to wait if a throttled response doesn't say.
    pub(crate) default_wait: Duration,
}

impl Vendor {
    /// What most providers have in common.
    pub(crate) const PLAIN: Self = Self {
        name: "",
        own_domains: &[],
        address: "",
        url_variable: "",
        mend_keys: "",
        mend_address: "",
        user_agent: concat!("barkeep/", env!("CARGO_PKG_VERSION")),
        empty: "",
        report: rates::report,
        throttled_by_body: None,
        default_wait: DEFAULT_WAIT,
    };

    /// The provider's own address.
    pub(crate) fn own_address(&self) -> BaseUrl {
        BaseUrl::fixed(self.address)
    }

    /// The address that the variable names, else the provider's own.
    pub(crate) fn address_from(&self, lookup: impl Fn(&str) -> Option<String>) -> Result<BaseUrl, SettingsError> {
        let variable = self.url_variable;
        match crate::settings::find(lookup, variable) {
            None => Ok(self.own_address()),
            Some(text) => self.parse(&text).map_err(|problem| SettingsError::Address { variable, problem }),
        }
    }

    /// An address; the provider's own hosts must be encrypted.
    pub(crate) fn parse(&self, text: &str) -> Result<BaseUrl, InvalidUrl> {
        let url: BaseUrl = text.parse()?;
        if self.owns(&url) && !url.is_encrypted() { Err(InvalidUrl::Unencrypted) } else { Ok(url) }
    }

    /// Whether the address is one of the provider's own hosts.
    pub(crate) fn owns(&self, address: &BaseUrl) -> bool {
        address.host().is_some_and(|host| self.owns_host(&host))
    }

    pub(crate) fn owns_host(&self, host: &str) -> bool {
        let within = |domain: &str| host.strip_suffix(domain).is_some_and(|sub| sub.is_empty() || sub.ends_with('.'));
        self.own_domains.iter().any(|domain| within(domain))
    }

    /// Our requests are rejected: nothing is sent until that is fixed.
    pub(crate) fn credentials(&self, provider: &str, status: u16, message: String) -> FetchError {
        FetchError::Credentials { provider: provider.to_owned(), status, message, mend: self.mend_keys }
    }
}
