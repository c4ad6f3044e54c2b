//! One HTTP request: takes a permit from the budget, sends, reads the whole response, reports the rate limit to the
//! budget.
//!
//! In: an address to GET. Out: an [`Answer`] of any status, or why there is none. Holds: nothing is sent without a
//! permit of the budget, nothing is sent twice, no redirect is followed (it would carry the keys along), every
//! request has a deadline, and the size of a response is limited.

use std::{
    borrow::Cow,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use reqwest::{
    Client, Response, StatusCode, Url,
    header::{ACCEPT, HeaderMap, HeaderValue},
};
use serde::de::DeserializeOwned;

use crate::{
    FetchError,
    budget::{Allowance, Denied, Permit, Report, Urgency, WINDOW},
    number::without_bare,
    rates,
    settings::{BaseUrl, Secret, Timeouts},
    vendor::Vendor,
    words::{is_html, presentable, said},
};

/// Between pages the request waits for the budget, so that pages already paid for aren't thrown away.
pub(crate) const PATIENCE_BETWEEN_PAGES: Duration = WINDOW.saturating_mul(2);

/// A full page takes 1.5 MB; a response larger than this is something else.
const LARGEST_BODY: usize = 64 << 20;

/// The HTTP client of a provider.
#[derive(Debug)]
pub(crate) struct Http {
    pub(crate) vendor: &'static Vendor,
    /// The vendor, or the simulator in its place.
    pub(crate) provider: String,
    client: Client,
    keys: Vec<Key>,
    timeouts: Timeouts,
}

/// One header that authenticates requests.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) header: &'static str,
    /// Before the secret: `Bearer `, or nothing.
    pub(crate) scheme: &'static str,
    pub(crate) secret: Secret,
}

/// One request.
#[derive(Debug)]
pub(crate) struct RequestSpec<'a> {
    pub(crate) url: Url,
    /// `None` for requests that no budget counts.
    pub(crate) budget: Option<&'a Arc<dyn Allowance>>,
    pub(crate) urgency: Urgency,
    /// How long to wait for a permit of the budget before giving up.
    pub(crate) patience: Duration,
    pub(crate) with_keys: bool,
}

/// A response, of any status.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// The address of the request, without its query.
    pub(crate) address: String,
}

impl Answer {
    /// The JSON of the body, in which bare `NaN` and `Infinity` count as `null`.
    ///
    /// # Errors
    /// [`FetchError::BadData`] with what is wrong with it, in short.
    pub(crate) fn json<T: DeserializeOwned>(&self, http: &Http) -> Result<T, FetchError> {
        let read = serde_json::from_slice(&self.body).or_else(|error| match without_bare(&self.body) {
            Cow::Owned(body) => serde_json::from_slice(&body),
            Cow::Borrowed(_) => Err(error),
        });
        read.map_err(|error| {
            let problem = if is_html(&self.body) { "an HTML page".to_owned() } else { error.to_string() };
            self.bad_data(http, &problem)
        })
    }

    /// The error for a response that isn't what was asked for, with its own words if it has any.
    pub(crate) fn bad_data(&self, http: &Http, problem: &str) -> FetchError {
        let address = &self.address;
        http.bad_data(&match said(&self.body, &http.secrets()) {
            Some(said) => format!("'{said}' ({problem}) at {address}"),
            None => format!("{problem} at {address}"),
        })
    }

    /// The error for a response without bars that isn't [`Vendor::empty`].
    pub(crate) fn not_empty(&self, http: &Http) -> FetchError {
        self.bad_data(http, &format!("no bars, and not an empty answer, which has {}", http.vendor.empty))
    }
}

impl Http {
    /// `keys` are sent with every request that wants them; those that aren't valid in a header are left out.
    ///
    /// # Errors
    /// [`FetchError::Transport`] if TLS can't be set up on this machine.
    pub(crate) fn new(
        vendor: &'static Vendor,
        base: &BaseUrl,
        keys: Vec<Key>,
        timeouts: Timeouts,
    ) -> Result<Self, FetchError> {
        // reqwest comes without a crypto provider of its own. An error means that one is installed already, which is
        // fine.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder()
            .user_agent(vendor.user_agent)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(timeouts.connect)
            .timeout(timeouts.whole);
        if base.is_loopback() {
            builder = builder.no_proxy();
        }
        let provider = vendor.name.to_owned();
        let client = builder.build().map_err(|error| FetchError::Transport {
            provider: provider.clone(),
            address: base.to_string(),
            message: format!("this machine's TLS can't be set up ({})", root_cause(&error)),
            mend: "install this machine's CA certificates",
            unreachable: true,
        })?;
        let keys = keys.into_iter().filter(|key| key.secret.is_sendable()).collect();
        Ok(Self { vendor, provider, client, keys, timeouts })
    }

    pub(crate) fn become_simulator(&mut self, provider: &str) {
        provider.clone_into(&mut self.provider);
    }

    /// For a simulator, which wants headers but doesn't read them.
    pub(crate) fn placeholder_keys(&mut self, headers: &[&'static str]) {
        if self.keys.is_empty() {
            let key = |header| Key { header, scheme: "", secret: self.provider.as_str().into() };
            self.keys = headers.iter().copied().map(key).collect();
        }
    }

    pub(crate) fn has_keys(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Secrets that no message may show.
    pub(crate) fn secrets(&self) -> Vec<&str> {
        self.keys.iter().map(|key| key.secret.expose()).filter(|key| *key != self.provider).collect()
    }

    pub(crate) fn bad_data(&self, message: &str) -> FetchError {
        FetchError::BadData { provider: self.provider.clone(), message: presentable(message, &self.secrets()) }
    }

    /// Sends the request of `spec` and reads the response; `spent` counts what was sent.
    ///
    /// # Errors
    /// [`FetchError::Throttled`] if the budget gives no permit within the patience, [`FetchError::Transport`] without
    /// a connection, in case of a timeout or a truncated response, [`FetchError::BadData`] for one that is too large.
    ///
    /// Cancel-safe: what was sent stays counted.
    pub(crate) async fn get(&self, spec: RequestSpec<'_>, spent: &mut u32) -> Result<Answer, FetchError> {
        let permit = match spec.budget {
            Some(budget) => Some(self.permit(budget, &spec).await?),
            None => None,
        };
        *spent += 1;
        let address = shown(&spec.url);
        let mut request = self.client.get(spec.url).header(ACCEPT, "application/json");
        for key in self.keys.iter().filter(|_| spec.with_keys) {
            request = request.header(key.header, hidden(key));
        }
        let mut response = request.send().await.map_err(|error| self.transport(&address, &error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let now = Timestamp::now();
        let mut report = (self.vendor.report)(&headers, now);
        let wait = rates::wait(&headers, &report, self.vendor.default_wait, now);
        report.turned_away = turns_away(status).then_some(wait);
        if let Some(throttled) = self.vendor.throttled_by_body {
            // The permit stays open meanwhile, so that the next request knows the outcome.
            let body = self.body(&mut response, status, &address).await;
            if body.as_ref().is_ok_and(|body| throttled(status, body)) {
                report.turned_away = Some(wait);
            }
            report_to_budget(permit, report).await;
            return Ok(Answer { status, headers, body: body?, address });
        }
        let ((), body) = tokio::join!(report_to_budget(permit, report), self.body(&mut response, status, &address));
        Ok(Answer { status, headers, body: body?, address })
    }

    async fn permit(&self, budget: &Arc<dyn Allowance>, spec: &RequestSpec<'_>) -> Result<Box<dyn Permit>, FetchError> {
        let deadline = Instant::now() + spec.patience;
        loop {
            match budget.take(spec.urgency).await {
                Ok(permit) => return Ok(permit),
                Err(Denied::Wait(wait)) if wait <= deadline.saturating_duration_since(Instant::now()) => {
                    tokio::time::sleep(wait).await;
                }
                Err(denied) => return Err(denied.into_error(&self.provider)),
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
                // The status says enough about a refusal whose message was lost.
                Err(_) if status != StatusCode::OK => return Ok(body),
                Err(error) => return Err(self.transport(address, &error)),
            }
        }
    }

    fn transport(&self, address: &str, error: &reqwest::Error) -> FetchError {
        let message = if error.is_timeout() && error.is_connect() {
            format!("no connection within {} s", self.timeouts.connect.as_secs_f64())
        } else if error.is_timeout() {
            format!("no whole answer within {} s", self.timeouts.whole.as_secs_f64())
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
            mend: self.vendor.mend_address,
            unreachable: error.is_connect(),
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

/// Too many requests; Binance sends 418 as a ban for having continued in spite of that.
fn turns_away(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::IM_A_TEAPOT
}

async fn report_to_budget(permit: Option<Box<dyn Permit>>, report: Report) {
    if let Some(permit) = permit {
        permit.answered(report).await;
    }
}

fn hidden(key: &Key) -> HeaderValue {
    // Keys are validated in the settings; an empty header is rejected by the provider like a wrong key.
    let text = format!("{}{}", key.scheme, key.secret.expose());
    let mut value = HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}

fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.to_string()
}
