//! The constants of a provider: its name, its hosts, its variables and how it speaks of rates.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::{StatusCode, header::HeaderMap};

use crate::{
    FetchError,
    budget::Report,
    rates,
    settings::{BaseUrl, InvalidUrl, SettingsError},
};

/// Where a 429 doesn't say: a quarter of the window in which requests are counted.
pub(crate) const UNTOLD_WAIT: Duration = Duration::from_secs(15);

/// One provider. All of it is written down once, in the provider's own folder.
#[derive(Debug)]
pub(crate) struct Vendor {
    /// The part of the provenance before the slash.
    pub(crate) name: &'static str,
    /// Domains whose hosts are the provider's own: those are not asked who they are.
    pub(crate) own_domains: &'static [&'static str],
    /// Asked where no variable names another address.
    pub(crate) address: &'static str,
    /// The variable that names another address.
    pub(crate) url_variable: &'static str,
    /// What to do where we are refused: which variables to check.
    pub(crate) mend_keys: &'static str,
    /// What to do where no server responds.
    pub(crate) mend_address: &'static str,
    pub(crate) user_agent: &'static str,
    /// What an answer's headers say of the budget.
    pub(crate) report: fn(&HeaderMap, Timestamp) -> Report,
    /// Whether a body turns us away though the status doesn't say so.
    pub(crate) throttled_by_body: Option<fn(StatusCode, &[u8]) -> bool>,
    /// How long to wait where an answer that turns us away doesn't say.
    pub(crate) untold_wait: Duration,
}

impl Vendor {
    /// What most have in common.
    pub(crate) const PLAIN: Self = Self {
        name: "",
        own_domains: &[],
        address: "",
        url_variable: "",
        mend_keys: "",
        mend_address: "",
        user_agent: concat!("barkeep/", env!("CARGO_PKG_VERSION")),
        report: rates::report,
        throttled_by_body: None,
        untold_wait: UNTOLD_WAIT,
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

    /// An address; the provider's own hosts encrypted only.
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
