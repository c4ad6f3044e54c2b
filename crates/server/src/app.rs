//! The state of the router, built by the binary.

use std::{any::Any, fmt, sync::Arc};

use axum::extract::FromRef;
use metrics_exporter_prometheus::PrometheusHandle;
use providers::Endpoint;

use crate::auth::Authenticator;

/// The state that every handler may extract.
#[derive(Clone, Debug)]
pub struct App {
    pub database: store::Database,
    pub directory: store::directory::Directory,
    pub calendars: store::market_sessions::SharedCalendars,
    pub provider: tokio::sync::watch::Receiver<ProviderState>,
    pub signals: store::events::Signals,
    pub notifier: store::events::Notifier,
    pub foreground: ForegroundHandle,
    pub metrics: Metrics,
    pub auth: Authenticator,
    pub stop: tokio_util::sync::CancellationToken,
}

/// The metrics recorded in this process.
#[derive(Clone)]
pub struct Metrics(pub PrometheusHandle);

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics(..)")
    }
}

impl Metrics {
    pub(crate) fn render(&self) -> String {
        self.0.run_upkeep();
        self.0.render()
    }
}

/// The state of the connection to the providers.
#[derive(Clone, Debug)]
pub enum ProviderState {
    /// Other processes connect to the providers.
    Elsewhere,
    /// None is configured: nothing is fetched.
    Missing,
    Connecting(String),
    Connected(Vec<Endpoint>),
}

impl ProviderState {
    /// Whether any of the bars are simulated.
    pub(crate) fn is_simulated(&self) -> bool {
        matches!(self, Self::Connected(endpoints) if endpoints.iter().any(|endpoint| endpoint.simulated))
    }
}

impl FromRef<App> for Authenticator {
    fn from_ref(app: &App) -> Self {
        app.auth.clone()
    }
}

impl App {
    /// Wakes the workers of this process and of others: runs were queued.
    pub(crate) fn notify_queued(&self) {
        self.signals.queued_here();
        self.notifier.queued();
    }
}

/// Makes the background work of this process pause while a user waits.
#[derive(Clone)]
pub struct ForegroundHandle(Arc<dyn Fn() -> ForegroundGuard + Send + Sync>);

/// A user waits until this is dropped.
pub type ForegroundGuard = Box<dyn Any + Send + Sync>;

impl ForegroundHandle {
    /// `enter` is called when a user begins to wait; the guard that it returns is dropped when the response is ready.
    pub fn new(enter: impl Fn() -> ForegroundGuard + Send + Sync + 'static) -> Self {
        Self(Arc::new(enter))
    }

    /// Background work pauses for as long as the guard is held.
    #[must_use = "background work pauses for as long as the guard is held"]
    pub(crate) fn enter(&self) -> ForegroundGuard {
        (self.0)()
    }
}

impl fmt::Debug for ForegroundHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ForegroundHandle(..)")
    }
}
