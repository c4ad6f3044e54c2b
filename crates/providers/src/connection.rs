//! A connection to one provider at one address: its identity, its account, and its requests.
//!
//! In: a [`Setup`]. Out: responses, and the errors that all providers have in common. Holds: a server that isn't the
//! provider's own host is probed once for a simulator; every later request is counted.

use std::{sync::Arc, time::Duration};

use market::{AssetClass, Ticker, Timeframe};
use reqwest::{StatusCode, Url};
use serde::de::DeserializeOwned;

use crate::{
    BarsRequest, Endpoint, FetchError, Limits,
    budget::{Account, Accounts, Allowance, Urgency},
    failures::refusal,
    http::{Answer, Http, Key, PATIENCE_BETWEEN_PAGES, RequestSpec},
    probe::{SIMULATOR, Simulator, probe},
    settings::{self, BaseUrl, Timeouts},
    vendor::Vendor,
    words::is_html,
};

/// The parameters of a connection.
pub(crate) struct Setup {
    pub(crate) vendor: &'static Vendor,
    pub(crate) base: BaseUrl,
    pub(crate) key: Option<Key>,
    /// Whether the provider supplies nothing without a key.
    pub(crate) wants_key: bool,
    pub(crate) timeouts: Timeouts,
    /// Until the provider reports another limit.
    pub(crate) requests_per_minute: u32,
}

/// A connected provider.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) endpoint: Endpoint,
    pub(crate) http: Http,
    pub(crate) account: String,
    base: BaseUrl,
    budget: Arc<dyn Allowance>,
    simulator: Option<Simulator>,
    wants_key: bool,
    requests_per_minute: u32,
}

impl Connection {
    /// # Errors
    /// [`FetchError::Transport`] with the address if no server responds there, [`FetchError::BadData`] if it is
    /// neither the provider nor a simulator.
    pub(crate) async fn open(setup: Setup, accounts: &dyn Accounts) -> Result<Self, FetchError> {
        let Setup { vendor, base, key, wants_key, timeouts, requests_per_minute } = setup;
        let secret = key.as_ref().map(|key| key.secret.clone());
        let mut http = Http::new(vendor, &base, key.into_iter().collect(), timeouts)?;
        let simulator = if vendor.owns(&base) { None } else { probe(&http, &base).await? };
        if simulator.is_some() {
            http.become_simulator(SIMULATOR);
        }
        let requests_per_minute = simulator.map_or(requests_per_minute, |simulator| simulator.requests_per_minute);
        let account = Account {
            name: settings::account(&http.provider, &base, secret.as_ref()),
            provider: http.provider.clone(),
            requests_per_minute,
        };
        let budget = accounts.open(&account);
        let endpoint =
            Endpoint { provider: http.provider.clone(), simulated: simulator.is_some(), address: base.to_string() };
        Ok(Self { endpoint, http, account: account.name, base, budget, simulator, wants_key, requests_per_minute })
    }

    /// The provider's limits, or a simulator's in its place.
    pub(crate) fn limits(&self, provider: Limits) -> Limits {
        let limits = Limits { requests_per_minute: self.requests_per_minute, ..provider };
        match self.simulator {
            Some(simulator) => Limits { earliest: simulator.earliest, grace: simulator.delay, ..limits },
            None => limits,
        }
    }

    /// Provider and feed, as stored with each bar: `yahoo/chart`, `market-sim/yahoo`.
    pub(crate) fn provenance(&self, feed: &str) -> String {
        let feed = if self.simulator.is_some() { self.http.vendor.name } else { feed };
        format!("{}/{feed}", self.http.provider)
    }

    /// The address of a path; each segment is percent-encoded whole.
    pub(crate) fn url(&self, path: &[&str]) -> Result<Url, FetchError> {
        self.base.at(path).ok_or_else(|| self.http.bad_data(&format!("{} has no paths", self.base)))
    }

    pub(crate) fn base(&self) -> &BaseUrl {
        &self.base
    }

    /// Sends one request, waiting up to `patience` for the budget.
    pub(crate) async fn get(
        &self,
        url: Url,
        urgency: Urgency,
        patience: Duration,
        spent: &mut u32,
    ) -> Result<Answer, FetchError> {
        self.http.get(RequestSpec { url, budget: Some(&self.budget), urgency, patience, with_keys: true }, spent).await
    }

    /// Looks up what isn't about bars; `None` for a 404 that isn't a web page.
    pub(crate) async fn look_up<T: DeserializeOwned>(
        &self,
        url: Url,
        patience: Duration,
    ) -> Result<Option<T>, FetchError> {
        let answer = self.get(url, Urgency::Now, patience, &mut 0).await?;
        match answer.status {
            StatusCode::OK => answer.json(&self.http).map(Some),
            StatusCode::NOT_FOUND if !is_html(&answer.body) => Ok(None),
            _ => Err(refusal(&self.http, &answer, &[])),
        }
    }

    /// The same for lookups in several requests: it waits for the budget.
    pub(crate) async fn look_up_in_turn<T: DeserializeOwned>(&self, url: Url) -> Result<Option<T>, FetchError> {
        self.look_up(url, PATIENCE_BETWEEN_PAGES).await
    }

    /// Rejects invalid requests before they cost anything: only one ticker of its class and one of `timeframes` is
    /// valid.
    pub(crate) fn check<'a>(
        &self,
        request: &'a BarsRequest,
        timeframes: impl Fn(AssetClass) -> &'static [Timeframe],
    ) -> Result<&'a Ticker, FetchError> {
        let refused = |problem: String| FetchError::Refused {
            provider: self.http.provider.clone(),
            status: 400,
            message: format!("{problem}; not sent"),
            tickers: request.tickers.clone(),
        };
        let [ticker] = request.tickers.as_slice() else {
            return Err(refused(format!("{} tickers instead of one", request.tickers.len())));
        };
        if ticker.asset_class() != request.asset_class {
            return Err(refused(format!("{ticker} among tickers of class {:?}", request.asset_class)));
        }
        if !timeframes(request.asset_class).contains(&request.timeframe) {
            return Err(refused(format!("{} bars of {ticker} are not available here", request.timeframe)));
        }
        Ok(ticker)
    }

    /// The plan or the depth doesn't reach that far.
    pub(crate) fn unavailable(&self, message: impl Into<String>) -> FetchError {
        FetchError::Unavailable { provider: self.http.provider.clone(), message: message.into() }
    }

    /// # Errors
    /// [`FetchError::Credentials`] if no key is set, one is required, and the server isn't a simulator.
    pub(crate) fn need_key(&self) -> Result<(), FetchError> {
        if !self.wants_key || self.http.has_keys() || self.simulator.is_some() {
            return Ok(());
        }
        let message = "no usable key is set; not sent".to_owned();
        Err(self.http.vendor.credentials(&self.http.provider, 401, message))
    }
}
