//! What every route may use, handed in by the binary.

use std::{any::Any, fmt, sync::Arc};

use axum::extract::FromRef;
use metrics_exporter_prometheus::PrometheusHandle;
use providers::Endpoint;

use crate::auth::Authenticator;

/// What every route may use.
#[derive(Clone, Debug)]
pub struct App {
    pub database: store::Database,
    pub directory: store::directory::Directory,
    pub calendars: store::sessions::SharedCalendars,
    pub provider: tokio::sync::watch::Receiver<ProviderState>,
    pub signals: store::events::Signals,
    pub teller: store::events::Teller,
    pub foreground: ForegroundHandle,
    pub metrics: Metrics,
    pub auth: Authenticator,
    pub stop: tokio_util::sync::CancellationToken,
}

/// What this process has counted.
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

/// What is known of the provider.
#[derive(Clone, Debug)]
pub enum ProviderState {
    /// Other processes talk to it.
    Elsewhere,
    Connecting(String),
    Connected(Vec<Endpoint>),
}

impl ProviderState {
    /// Whether bars are made up.
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
    /// Slices were queued: tells workers here and elsewhere.
    pub(crate) fn tell_queued(&self) {
        self.signals.queued_here();
        self.teller.queued();
    }
}

/// Tells whoever does background work in this process that a person waits.
#[derive(Clone)]
pub struct ForegroundHandle(Arc<dyn Fn() -> ForegroundGuard + Send + Sync>);

/// That a person waits, until it is dropped.
pub type ForegroundGuard = Box<dyn Any + Send + Sync>;

impl ForegroundHandle {
    /// `enter` is called when a person begins to wait, and what it returns is dropped when they have what they asked for.
    pub fn new(enter: impl Fn() -> ForegroundGuard + Send + Sync + 'static) -> Self {
        Self(Arc::new(enter))
    }

    /// A person waits for as long as the guard is held.
    #[must_use = "a person waits for as long as the guard is held"]
    pub(crate) fn enter(&self) -> ForegroundGuard {
        (self.0)()
    }
}

impl fmt::Debug for ForegroundHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ForegroundHandle(..)")
    }
}
