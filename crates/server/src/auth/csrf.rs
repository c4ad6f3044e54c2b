//! CSRF protection: pages of other sites can't write with a session's cookie.
//!
//! Two checks. The browser's headers must name this origin (`Origin`, `Sec-Fetch-Site`), and a write with the cookie must carry the
//! session's CSRF token, in the header `X-CSRF-Token` or in the form field `csrf`.

use axum::{
    body::{Body, to_bytes},
    extract::Request,
    http::{HeaderMap, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use sha2::{Digest as _, Sha256};

use super::session::{csrf_token, session_token};
use crate::{body::MAX_BODY_BYTES, error::ApiError};

/// Signing in needs no token: there is no session yet, or it has ended.
const EXEMPT_PATH: &str = "/sign-in";

/// Lets reads pass, and writes from this server's own pages or from clients that are no browser.
pub(crate) async fn check(request: Request, next: Next) -> Response {
    if [Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method()) {
        return next.run(request).await;
    }
    if !is_same_origin(request.headers()) {
        return ApiError::forbidden("Cross-site request rejected: use Barkeep's own pages").into_response();
    }
    let is_exempt = request.headers().contains_key(header::AUTHORIZATION) || request.uri().path() == EXEMPT_PATH;
    let Some(expected) = session_token(request.headers()).filter(|_| !is_exempt).map(csrf_token) else {
        return next.run(request).await;
    };
    match check_token(request, &expected).await {
        Ok(request) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

/// The request unchanged, if it carries the session's CSRF token.
async fn check_token(request: Request, expected: &str) -> Result<Request, ApiError> {
    const INVALID_TOKEN: &str = "The CSRF token is missing or wrong: reload the page and try again";
    if let Some(sent) = request.headers().get("x-csrf-token") {
        let is_valid = sent.to_str().is_ok_and(|sent| constant_time_eq(sent, expected));
        return if is_valid { Ok(request) } else { Err(ApiError::forbidden(INVALID_TOKEN)) };
    }
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("application/x-www-form-urlencoded") {
        return Err(ApiError::forbidden(INVALID_TOKEN));
    }
    let (parts, body) = request.into_parts();
    let bytes = to_bytes(body, MAX_BODY_BYTES).await.map_err(|_| {
        ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "The request body is too large: send fewer symbols at a time")
    })?;
    let fields: Vec<(String, String)> = serde_urlencoded::from_bytes(&bytes).unwrap_or_default();
    match fields.iter().any(|(name, value)| name == "csrf" && constant_time_eq(value, expected)) {
        true => Ok(Request::from_parts(parts, Body::from(bytes))),
        false => Err(ApiError::forbidden(INVALID_TOKEN)),
    }
}

/// Compares in constant time.
fn constant_time_eq(sent: &str, expected: &str) -> bool {
    Sha256::digest(sent.as_bytes()) == Sha256::digest(expected.as_bytes())
}

fn is_same_origin(headers: &HeaderMap) -> bool {
    let text = |name: header::HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("\u{fffd}"));
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin" || site == "none";
    }
    match (text(header::ORIGIN), text(header::HOST)) {
        (Some(origin), Some(host)) => origin.split_once("://").is_some_and(|(_, from)| from.eq_ignore_ascii_case(host)),
        (Some(_), None) => false,
        // Browsers send `Origin` with each write: this is another kind of client, and it must not use a cookie.
        (None, _) => session_token(headers).is_none(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn sent(pairs: &[(&'static str, &str)]) -> bool {
        is_same_origin(&pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect())
    }

    #[test]
    fn only_own_pages_and_clients_without_pages_write() {
        let host = ("host", "127.0.0.1:4780");
        let cookie = ("cookie", "barkeep_session=x");
        assert!(sent(&[host]));
        assert!(sent(&[host, ("origin", "http://127.0.0.1:4780"), cookie]));
        assert!(sent(&[host, ("sec-fetch-site", "same-origin"), cookie]));
        assert!(!sent(&[host, cookie]));
        assert!(!sent(&[host, ("origin", "http://evil.example")]));
        assert!(!sent(&[host, ("origin", "http://127.0.0.1:9999"), cookie]));
        assert!(!sent(&[host, ("origin", "null")]));
        assert!(!sent(&[host, ("origin", "http://127.0.0.1:4780"), ("sec-fetch-site", "cross-site")]));
        assert!(!sent(&[host, ("sec-fetch-site", "same-site")]));
    }
}
