//! HTTP: the old system's functions under `/functions/v1`, Barkeep's own under `/api/v1`.

mod auth;
mod bars;
mod coverage;
mod error;
mod events;
mod health;
mod host;
mod sync;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{HeaderName, Method, StatusCode},
    middleware,
    routing::{get, post},
};
use tower_http::{
    cors::{Any, CorsLayer},
    timeout::TimeoutLayer,
};

pub(crate) use self::host::AllowedHosts;
use self::{auth::Authenticator, error::ApiError};
use crate::{engine::Engine, keys::Keys};

/// A list of 500 tickers takes 10 kB.
const LARGEST_BODY: usize = 256 * 1024;

/// What every route may use.
#[derive(Clone, Debug)]
pub(crate) struct App {
    pub(crate) database: store::Database,
    /// `None` until the provider could be reached.
    pub(crate) provider: tokio::sync::watch::Receiver<ProviderState>,
    pub(crate) signals: store::events::Signals,
    pub(crate) auth: Authenticator,
    pub(crate) stop: tokio_util::sync::CancellationToken,
}

/// What is known of the provider.
#[derive(Clone, Debug)]
pub(crate) enum ProviderState {
    Connecting(String),
    Connected(Box<Engine>),
}

impl App {
    pub(crate) fn new(
        database: store::Database,
        provider: tokio::sync::watch::Receiver<ProviderState>,
        signals: store::events::Signals,
        keys: Keys,
        stop: tokio_util::sync::CancellationToken,
    ) -> Self {
        Self { auth: Authenticator::new(keys, database.clone()), database, provider, signals, stop }
    }
}

/// All routes. `hosts`: the names under which the server may be called.
pub(crate) fn router(app: App, hosts: AllowedHosts) -> Router {
    let functions = Router::new()
        .route("/functions/v1/sync-user-symbols", post(sync::sync_user_symbols))
        // Before the layer, or preflights would not reach it.
        .method_not_allowed_fallback(wrong_method)
        // Clients of the old system run in browsers too and bring their own token: any origin may ask.
        .layer(
            CorsLayer::new()
                .allow_origin(Any)
                .allow_methods([Method::GET, Method::POST, Method::OPTIONS])
                .allow_headers(
                    ["authorization", "x-client-info", "apikey", "content-type"].map(HeaderName::from_static),
                ),
        );
    let api = Router::new()
        .route("/api/v1/bars", get(bars::bars))
        .route("/api/v1/coverage", get(coverage::coverage))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .method_not_allowed_fallback(wrong_method);
    let bounded = functions
        .merge(api)
        .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, Duration::from_secs(30)));
    bounded
        // A stream of events has no end.
        .route("/api/v1/events", get(events::events).fallback(wrong_method))
        .fallback(|| async { ApiError::not_found("There is nothing at this address") })
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(middleware::from_fn_with_state(Arc::new(hosts), host::check))
        .layer(middleware::map_response(error::as_json))
        .with_state(app)
}

async fn wrong_method() -> ApiError {
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "This address does not take that method")
}
