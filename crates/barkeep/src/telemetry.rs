//! Logs: to standard error, results being for standard output. Metrics: counted by the stages, shown at `/metrics`.

use anyhow::Context as _;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

/// Sets logging up. `BARKEEP_LOG` takes tracing's filter syntax; `usual` holds where it is not set.
pub(crate) fn start(usual: &str) {
    let filter = std::env::var("BARKEEP_LOG")
        .ok()
        .and_then(|filter| EnvFilter::try_new(filter).ok())
        .unwrap_or_else(|| EnvFilter::new(usual));
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr()) && std::env::var_os("NO_COLOR").is_none();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colours)
        .with_target(false)
        // Whoever read the log may have gone away, and that must not keep anybody from working.
        .log_internal_errors(false)
        .init();
}

/// Seconds: from what a database on the same machine takes to what is given up.
const BUCKETS: [f64; 9] = [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0];

/// Begins to count what the stages do.
pub(crate) fn count() -> anyhow::Result<PrometheusHandle> {
    PrometheusBuilder::new()
        .set_buckets(&BUCKETS)
        .and_then(PrometheusBuilder::install_recorder)
        .context("what is done can't be counted")
}
