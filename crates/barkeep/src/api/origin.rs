//! Where a write comes from: pages of other sites get nothing done with a session's cookie.

use axum::{
    extract::Request,
    http::{HeaderMap, Method, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{auth, error::ApiError};

/// Lets reads pass, and writes that this server's own pages, or no page at all, have sent.
pub(super) async fn check(request: Request, next: Next) -> Response {
    let reads = [Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method());
    match reads || is_own(request.headers()) {
        true => next.run(request).await,
        false => ApiError::forbidden("A page of another site sent this: it is not done").into_response(),
    }
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
        (None, _) => auth::cookie(headers).is_none(),
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
