//! Where a write comes from: pages of other sites get nothing done with a session's cookie.
//!
//! Two locks on one door. The browser says which page sent it (`Origin`, `Sec-Fetch-Site`); and with the cookie comes the session's
//! token, which only its own pages were given: in the header `X-CSRF-Token`, or in a form's field `csrf`.

use axum::{
    body::{Body, to_bytes},
    extract::Request,
    http::{HeaderMap, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use sha2::{Digest as _, Sha256};

use super::session::{cookie, csrf_of};
use crate::{body::LARGEST_BODY, error::ApiError};

/// Where no session is needed yet, or it may have ended.
const WITHOUT_TOKEN: &str = "/sign-in";

/// Lets reads pass, and writes that this server's own pages, or no page at all, have sent.
pub(crate) async fn check(request: Request, next: Next) -> Response {
    if [Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method()) {
        return next.run(request).await;
    }
    if !is_own(request.headers()) {
        return ApiError::forbidden("A page of another site sent this: it is not done").into_response();
    }
    let brings_its_own = request.headers().contains_key(header::AUTHORIZATION) || request.uri().path() == WITHOUT_TOKEN;
    let Some(expected) = cookie(request.headers()).filter(|_| !brings_its_own).map(csrf_of) else {
        return next.run(request).await;
    };
    match with_token(request, &expected).await {
        Ok(request) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

/// The request as it came, where the session's token is in it.
async fn with_token(request: Request, expected: &str) -> Result<Request, ApiError> {
    const MISSING: &str = "The session's token is missing or another's: load the page again, and do it from there";
    if let Some(sent) = request.headers().get("x-csrf-token") {
        let is_same = sent.to_str().is_ok_and(|sent| is_same(sent, expected));
        return if is_same { Ok(request) } else { Err(ApiError::forbidden(MISSING)) };
    }
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("application/x-www-form-urlencoded") {
        return Err(ApiError::forbidden(MISSING));
    }
    let (parts, body) = request.into_parts();
    let bytes = to_bytes(body, LARGEST_BODY).await.map_err(|_| {
        ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "The body is too large: ask for fewer symbols at a time")
    })?;
    let fields: Vec<(String, String)> = serde_urlencoded::from_bytes(&bytes).unwrap_or_default();
    match fields.iter().any(|(name, value)| name == "csrf" && is_same(value, expected)) {
        true => Ok(Request::from_parts(parts, Body::from(bytes))),
        false => Err(ApiError::forbidden(MISSING)),
    }
}

/// In a time that says nothing of how far they agree.
fn is_same(sent: &str, expected: &str) -> bool {
    Sha256::digest(sent.as_bytes()) == Sha256::digest(expected.as_bytes())
}

fn is_own(headers: &HeaderMap) -> bool {
    let text = |name: header::HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("\u{fffd}"));
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin" || site == "none";
    }
    match (text(header::ORIGIN), text(header::HOST)) {
        (Some(origin), Some(host)) => origin.split_once("://").is_some_and(|(_, from)| from.eq_ignore_ascii_case(host)),
        (Some(_), None) => false,
        // Browsers send it with each write: this is another kind of client, which has no business with a cookie.
        (None, _) => cookie(headers).is_none(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn sent(pairs: &[(&'static str, &str)]) -> bool {
        is_own(&pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect())
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
