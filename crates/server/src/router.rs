//! Every address, and what stands before each: time limits, allowed hosts, where writes come from.

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
    body::LARGEST_BODY,
    error::{self, wrong_method},
    functions, udf,
    web::{self, sign_in},
};

/// No answer takes longer, but for a stream of events.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// All routes. `hosts`: the names under which the server may be called.
pub fn router(app: App, hosts: AllowedHosts) -> Router {
    let functions = functions::routes().merge(udf::routes());
    let own = Router::new()
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
        .method_not_allowed_fallback(wrong_method)
        // A cookie speaks for somebody: no other origin gets to use it.
        .layer(middleware::from_fn(csrf::check));
    let watched_over = Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(metrics::metrics))
        .route("/openapi.json", get(openapi::openapi))
        .method_not_allowed_fallback(wrong_method);
    let bounded = functions
        .merge(own)
        .merge(watched_over)
        .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, ANSWER_WITHIN));
    bounded
        // A stream of events has no end.
        .route("/api/v1/events", get(events::events).fallback(wrong_method))
        .merge(web::streams())
        .fallback(web::not_found)
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(middleware::from_fn_with_state(Arc::new(hosts), host::check))
        .layer(middleware::map_response(error::as_json))
        .with_state(app)
}
