//! Logs go to standard error, since standard output is for results. Metrics are recorded by the stages and served at `/metrics`.

use anyhow::Context as _;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

/// Sets up logging. `BARKEEP_LOG` takes tracing's filter syntax; `default_filter` applies if it isn't set.
pub(crate) fn init_logging(default_filter: &str) {
    let filter = std::env::var("BARKEEP_LOG")
        .ok()
        .and_then(|filter| EnvFilter::try_new(filter).ok())
        .unwrap_or_else(|| EnvFilter::new(default_filter));
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr()) && std::env::var_os("NO_COLOR").is_none();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colours)
        .with_target(false)
        // The log's reader may be gone, which must not stop the process.
        .log_internal_errors(false)
        .init();
}

/// Histogram buckets in seconds: from a query on a local database to a request that times out.
const BUCKETS: [f64; 9] = [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0];

/// Installs the recorder of the process's metrics.
pub(crate) fn install_metrics() -> anyhow::Result<PrometheusHandle> {
    PrometheusBuilder::new()
        .set_buckets(&BUCKETS)
        .and_then(PrometheusBuilder::install_recorder)
        .context("could not install the metrics recorder")
}
