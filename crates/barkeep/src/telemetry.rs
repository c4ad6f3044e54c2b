//! Logs: to standard error, results being for standard output.

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
        .init();
}
