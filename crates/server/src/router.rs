//! All routes and their middleware: timeouts, allowed hosts, CSRF checks.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::StatusCode,
    middleware,
    routing::{delete, get, post},
};
use tower_http::timeout::TimeoutLayer;

use crate::{
    api::{bars, coverage, events, health, metrics, openapi, runs, symbols, watchlist},
    app::App,
    auth::{AllowedHosts, csrf, host},
    body::MAX_BODY_BYTES,
    error::{self, method_not_allowed},
    functions, udf,
    web::{self, sign_in},
};

/// For every response but the event streams.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// All routes. `hosts`: the values of the Host header that are accepted.
pub fn router(app: App, hosts: AllowedHosts) -> Router {
    let functions = functions::routes().merge(udf::routes());
    let api_and_pages = Router::new()
        .route("/api/v1/bars", get(bars::bars))
        .route("/api/v1/coverage", get(coverage::coverage))
        .route("/api/v1/runs", get(runs::list))
        .route("/api/v1/runs/retry", post(runs::retry))
        .route("/api/v1/symbols", get(symbols::search))
        .route("/api/v1/watchlist", get(watchlist::list).post(watchlist::add))
        .route("/api/v1/watchlist/{symbol}", delete(watchlist::remove))
        .route("/sign-in", get(sign_in::by_link).post(sign_in::by_password))
        .route("/sign-out", post(sign_in::sign_out))
        .merge(web::routes())
        .method_not_allowed_fallback(method_not_allowed)
        // These routes accept the session cookie: writes from other origins are rejected.
        .layer(middleware::from_fn(csrf::check));
    let operations = Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(metrics::metrics))
        .route("/openapi.json", get(openapi::openapi))
        .method_not_allowed_fallback(method_not_allowed);
    let with_timeout = functions
        .merge(api_and_pages)
        .merge(operations)
        .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, REQUEST_TIMEOUT));
    with_timeout
        // Event streams have no timeout.
        .route("/api/v1/events", get(events::events).fallback(method_not_allowed))
        .merge(web::streams())
        .fallback(web::not_found)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(middleware::from_fn_with_state(Arc::new(hosts), host::check))
        .layer(middleware::map_response(error::errors_as_json))
        .with_state(app)
}
