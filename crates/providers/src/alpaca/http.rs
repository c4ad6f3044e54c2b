//! One HTTP request: asks the budget, sends, reads the answer whole, tells the budget what it said.
//!
//! In: an address to GET. Out: an [`Answer`] of any status, or why there is none. Holds: nothing is sent without leave
//! of the budget, nothing is sent twice, no redirect is followed (it would carry the keys along), every request has a
//! deadline, and an answer has a size that fits into memory.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use reqwest::{
    Client, Response, StatusCode, Url,
    header::{ACCEPT, HeaderMap, HeaderValue},
};

use super::{
    failures::presentable,
    rates,
    settings::{AlpacaSettings, Secret},
};
use crate::{FetchError, budget::Budget};

/// A full page takes 1.5 MB; what is more than this is something else.
const LARGEST_BODY: usize = 64 << 20;

/// The connection to a provider.
#[derive(Debug)]
pub(super) struct Http {
    pub(super) provider: String,
    client: Client,
    keys: Option<Keys>,
    connect_timeout: Duration,
    timeout: Duration,
}

/// What is sent to say who asks.
#[derive(Debug)]
pub(super) struct Keys {
    id: Secret,
    secret: Secret,
}

/// One question.
#[derive(Debug)]
pub(super) struct Question<'a> {
    pub(super) url: Url,
    /// `None` for what no budget counts.
    pub(super) budget: Option<&'a Arc<Budget>>,
    /// How long to wait for leave of the budget before giving up.
    pub(super) patience: Duration,
    pub(super) with_keys: bool,
}

/// What came back, of any status.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    /// The address asked, without its query.
    pub(super) address: String,
}

impl Keys {
    /// `None` unless both are there and can stand in a header.
    pub(super) fn of(settings: &AlpacaSettings) -> Option<Self> {
        let keys = Self { id: settings.key_id.clone()?, secret: settings.secret_key.clone()? };
        (keys.id.is_sendable() && keys.secret.is_sendable()).then_some(keys)
    }

    /// For a simulator, which wants headers but doesn't read them.
    pub(super) fn placeholder() -> Self {
        Self { id: "market-sim".into(), secret: "market-sim".into() }
    }
}

impl Http {
    /// # Errors
    /// [`FetchError::Transport`] where TLS can't be set up on this machine.
    pub(super) fn new(settings: &AlpacaSettings) -> Result<Self, FetchError> {
        // reqwest comes without a crypto provider of its own. An error says that one is installed already: as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder()
            .user_agent(concat!("barkeep/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(settings.connect_timeout)
            .timeout(settings.timeout);
        if settings.data_url.is_loopback() {
            builder = builder.no_proxy();
        }
        let provider = "alpaca".to_owned();
        let client = builder.build().map_err(|error| FetchError::Transport {
            provider: provider.clone(),
            address: settings.data_url.to_string(),
            message: format!(
                "this machine's TLS can't be set up ({}): install its CA certificates",
                root_cause(&error)
            ),
        })?;
        let (connect_timeout, timeout) = (settings.connect_timeout, settings.timeout);
        Ok(Self { provider, client, keys: Keys::of(settings), connect_timeout, timeout })
    }

    pub(super) fn become_simulator(&mut self, provider: &str) {
        provider.clone_into(&mut self.provider);
        self.keys.get_or_insert_with(Keys::placeholder);
    }

    pub(super) fn has_keys(&self) -> bool {
        self.keys.is_some()
    }

    /// What no message may show.
    pub(super) fn secrets(&self) -> Vec<&str> {
        let keys = self.keys.iter().flat_map(|keys| [keys.id.expose(), keys.secret.expose()]);
        keys.filter(|key| *key != self.provider).collect()
    }

    /// Sends `question` and reads the answer; `spent` counts what was sent.
    ///
    /// # Errors
    /// [`FetchError::Throttled`] where the budget gives no leave within the question's patience,
    /// [`FetchError::Transport`] without connection, in time, or with an answer cut off, [`FetchError::BadData`] for one
    /// beyond measure.
    ///
    /// Cancel-safe: what was sent stays counted.
    pub(super) async fn get(&self, question: Question<'_>, spent: &mut u32) -> Result<Answer, FetchError> {
        let permit = match question.budget {
            Some(budget) => Some(self.leave(budget, question.patience).await?),
            None => None,
        };
        *spent += 1;
        let address = shown(&question.url);
        let mut request = self.client.get(question.url).header(ACCEPT, "application/json");
        if let Some(keys) = self.keys.as_ref().filter(|_| question.with_keys) {
            request =
                request.header("APCA-API-KEY-ID", hidden(&keys.id)).header("APCA-API-SECRET-KEY", hidden(&keys.secret));
        }
        let mut response = request.send().await.map_err(|error| self.transport(&address, &error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        if let Some(budget) = question.budget {
            let now = Timestamp::now();
            budget.learn(rates::report(&headers, now));
            if status == StatusCode::TOO_MANY_REQUESTS {
                budget.block(rates::wait_after_429(&headers, now));
            }
        }
        let body = self.body(&mut response, status, &address).await?;
        drop(permit);
        Ok(Answer { status, headers, body, address })
    }

    async fn leave(&self, budget: &Arc<Budget>, patience: Duration) -> Result<crate::budget::Permit, FetchError> {
        let deadline = Instant::now() + patience;
        loop {
            match budget.take() {
                Ok(permit) => return Ok(permit),
                Err(wait) if wait <= deadline.saturating_duration_since(Instant::now()) => {
                    tokio::time::sleep(wait).await;
                }
                Err(retry_after) => {
                    return Err(FetchError::Throttled { provider: self.provider.clone(), retry_after });
                }
            }
        }
    }

    async fn body(&self, response: &mut Response, status: StatusCode, address: &str) -> Result<Vec<u8>, FetchError> {
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() > LARGEST_BODY => {
                    let message = format!("more than {} MB at {address}", LARGEST_BODY >> 20);
                    return Err(FetchError::BadData { provider: self.provider.clone(), message });
                }
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => return Ok(body),
                // The status says enough of a refusal whose words got lost.
                Err(_) if status != StatusCode::OK => return Ok(body),
                Err(error) => return Err(self.transport(address, &error)),
            }
        }
    }

    fn transport(&self, address: &str, error: &reqwest::Error) -> FetchError {
        let message = if error.is_timeout() && error.is_connect() {
            format!("no connection within {} s", self.connect_timeout.as_secs_f64())
        } else if error.is_timeout() {
            format!("no whole answer within {} s", self.timeout.as_secs_f64())
        } else if error.is_connect() {
            format!("no connection: {}", root_cause(error))
        } else if error.is_body() || error.is_decode() {
            format!("the answer was cut off: {}", root_cause(error))
        } else {
            root_cause(error)
        };
        FetchError::Transport {
            provider: self.provider.clone(),
            address: address.to_owned(),
            message: presentable(&message, &self.secrets()),
        }
    }
}

/// The last of an error's causes: the first ones only say that a request failed, and where.
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

fn hidden(secret: &Secret) -> HeaderValue {
    // Keys were checked when they came in; an empty header is refused by the provider like a wrong key.
    let mut value = HeaderValue::from_str(secret.expose()).unwrap_or(HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}

fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.to_string()
}
