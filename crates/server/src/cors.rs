//! CORS for the routes that take a bearer token and never a cookie.

use axum::http::{HeaderName, Method};
use tower_http::cors::{Any, CorsLayer};

/// Any origin is allowed, without credentials: clients in browsers send their own token.
pub(crate) fn any_origin() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::POST, Method::OPTIONS])
        .allow_headers(["authorization", "x-client-info", "apikey", "content-type"].map(HeaderName::from_static))
}
