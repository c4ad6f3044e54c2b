//! Which pages may read the answers of the routes that take a token and never a cookie.

use axum::http::{HeaderName, Method};
use tower_http::cors::{Any, CorsLayer};

/// Clients run in browsers too and bring their own token: any origin may ask, and none with a cookie.
pub(crate) fn any_origin() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::POST, Method::OPTIONS])
        .allow_headers(["authorization", "x-client-info", "apikey", "content-type"].map(HeaderName::from_static))
}
