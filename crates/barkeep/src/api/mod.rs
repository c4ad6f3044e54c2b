//! HTTP: the old system's functions under `/functions/v1`, Barkeep's own under `/api/v1`, the web client's pages (`web/`) elsewhere.

mod auth;
mod bars;
mod body;
mod coverage;
mod error;
mod events;
mod functions;
mod health;
mod host;
mod metrics;
mod openapi;
mod origin;
mod runs;
mod sign_in;
mod symbols;
mod udf;
mod watchlist;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::StatusCode,
    middleware,
    routing::{delete, get, post},
};
use metrics_exporter_prometheus::PrometheusHandle;
use providers::Endpoint;
use tower_http::timeout::TimeoutLayer;

pub(crate) use self::{
    auth::{Authenticator, Session, TokenUser},
    error::ApiError,
    health::is_alive,
    host::AllowedHosts,
    sign_in::code_for,
};

/// A list of 500 tickers takes 10 kB.
const LARGEST_BODY: usize = 256 * 1024;

/// No answer takes longer, but for a stream of events.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// What every route may use.
#[derive(Clone, Debug)]
pub(crate) struct App {
    pub(crate) database: store::Database,
    pub(crate) directory: store::directory::Directory,
    pub(crate) provider: tokio::sync::watch::Receiver<ProviderState>,
    pub(crate) signals: store::events::Signals,
    pub(crate) teller: store::events::Teller,
    pub(crate) turns: crate::turns::Turns,
    pub(crate) metrics: Metrics,
    pub(crate) auth: Authenticator,
    pub(crate) stop: tokio_util::sync::CancellationToken,
}

/// What this process has counted.
#[derive(Clone)]
pub(crate) struct Metrics(pub(crate) PrometheusHandle);

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics(..)")
    }
}

impl Metrics {
    fn render(&self) -> String {
        self.0.run_upkeep();
        self.0.render()
    }
}

/// What is known of the provider.
#[derive(Clone, Debug)]
pub(crate) enum ProviderState {
    /// Other processes talk to it.
    Elsewhere,
    Connecting(String),
    Connected(Vec<Endpoint>),
}

impl App {
    /// Slices were queued: tells workers here and elsewhere.
    pub(crate) fn tell_queued(&self) {
        self.signals.queued_here();
        self.teller.queued();
    }
}

/// All routes. `hosts`: the names under which the server may be called.
pub(crate) fn router(app: App, hosts: AllowedHosts) -> Router {
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
        .merge(crate::web::routes())
        .method_not_allowed_fallback(wrong_method)
        // A cookie speaks for somebody: no other origin gets to use it.
        .layer(middleware::from_fn(origin::check));
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
        .merge(crate::web::streams())
        .fallback(crate::web::not_found)
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(middleware::from_fn_with_state(Arc::new(hosts), host::check))
        .layer(middleware::map_response(error::as_json))
        .with_state(app)
}

async fn wrong_method() -> ApiError {
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "This address does not take that method")
}
