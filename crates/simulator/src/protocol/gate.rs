//! What every request passes before it is handled: count, limit, latency, keys, faults.
//!
//! In: any request. Out: its response with rate limit headers, or a refusal, or the effect of a fault. Holds:
//! requests are numbered in the order of arrival, and a request's fault depends on its number alone.

use std::{sync::Arc, time::Instant};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{Html, IntoResponse, Response},
};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::{Refusal, spoil};
use crate::{faults::FaultKind, shared::Shared, window::WindowState};

const KEY_ID: &str = "apca-api-key-id";
const SECRET_KEY: &str = "apca-api-secret-key";

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// The state of the gate.
#[derive(Clone)]
pub(super) struct Gate {
    pub(super) shared: Arc<Shared>,
    pub(super) stop: CancellationToken,
}

/// The fault that the request's page of bars must have.
#[derive(Clone, Copy, Debug)]
pub(super) struct PageFault(pub(super) Option<FaultKind>);

pub(super) async fn pass(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let shared = &gate.shared;
    let route = request.extensions().get::<MatchedPath>().map_or("other", MatchedPath::as_str).to_owned();
    let number = shared.tally().count(&route, request.uri().to_string(), Instant::now());
    let window_state = shared.window().take(Timestamp::now());
    let fault = shared.plan().take(number);
    if fault.is_some() {
        shared.tally().count_fault(&route);
    }
    let mut response = match gate.hindrance(&window_state, &route, request.headers(), fault, number).await {
        Some(response) => response,
        None => answer(request, next, fault).await,
    };
    if response.status() == StatusCode::TOO_MANY_REQUESTS {
        shared.tally().stats.throttled += 1;
    }
    let headers = response.headers_mut();
    headers.insert(LIMIT, HeaderValue::from(window_state.limit));
    headers.insert(REMAINING, HeaderValue::from(window_state.remaining));
    headers.insert(RESET, HeaderValue::from(window_state.reset));
    response
}

async fn answer(mut request: Request, next: Next, fault: Option<FaultKind>) -> Response {
    request.extensions_mut().insert(PageFault(fault));
    let response = next.run(request).await;
    if fault == Some(FaultKind::Cut) { spoil::cut(response).await } else { response }
}

impl Gate {
    /// The refusal that prevents a response, if any.
    async fn hindrance(
        &self,
        window_state: &WindowState,
        route: &str,
        headers: &HeaderMap,
        fault: Option<FaultKind>,
        number: u64,
    ) -> Option<Response> {
        if window_state.exceeded {
            return Some(Refusal::TOO_MANY.into_response());
        }
        let latency = self.shared.settings.latency;
        if !latency.is_zero() {
            tokio::select! {
                () = tokio::time::sleep(latency) => {}
                () = self.stop.cancelled() => {}
            }
        }
        if let Err(refusal) = self.keys(route, headers) {
            return Some(refusal.into_response());
        }
        match fault? {
            FaultKind::Throttle { seconds } => {
                Some(([(header::RETRY_AFTER, HeaderValue::from(seconds))], Refusal::TOO_MANY).into_response())
            }
            FaultKind::ServerError => Some(server_error(number)),
            FaultKind::Hang => {
                self.stop.cancelled().await;
                Some(Refusal::INTERNAL.into_response())
            }
            _ => None,
        }
    }

    /// Crypto bars need no keys, but wrong ones are refused there too.
    fn keys(&self, route: &str, headers: &HeaderMap) -> Result<(), Refusal> {
        let sent = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if route.starts_with("/v2/aggs/") {
            return if sent("authorization").is_empty() { Err(Refusal::UNAUTHORIZED) } else { Ok(()) };
        }
        match (sent(KEY_ID), sent(SECRET_KEY)) {
            ("", "") if route.contains("/crypto/") => Ok(()),
            ("", _) | (_, "") => Err(Refusal::FORBIDDEN),
            (id, secret) => match &self.shared.settings.credentials {
                Some((our_id, our_secret)) if our_id != id || our_secret != secret => Err(Refusal::UNAUTHORIZED),
                _ => Ok(()),
            },
        }
    }
}

/// A different status for each of four requests in a row.
fn server_error(number: u64) -> Response {
    match number % 4 {
        0 => Refusal::INTERNAL.into_response(),
        1 => (StatusCode::BAD_GATEWAY, Html("<html><body><h1>502 Bad Gateway</h1></body></html>")).into_response(),
        2 => (StatusCode::SERVICE_UNAVAILABLE, "upstream connect error").into_response(),
        _ => StatusCode::GATEWAY_TIMEOUT.into_response(),
    }
}
