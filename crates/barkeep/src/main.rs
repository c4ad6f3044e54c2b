//! Barkeep: demand-driven backfill of market data. The binary: the command line, the settings, and which roles a process runs.
//! The stages are in the crate `engine`, HTTP in `server`, SQL in `store`.

mod cli;
mod config;
mod database;
mod heartbeat;
mod instance;
mod provider_order;
mod shutdown;
mod simulate;
mod supervisor;
mod telemetry;

use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = cli::Cli::from_args();
    telemetry::init_logging(cli.default_log_filter());
    // Fails only if a library has installed a provider already, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            print_error(&format!("could not start the async runtime: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(cli::run(cli));
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    match outcome {
        Ok(code) => code,
        Err(error) => {
            print_error(&message_with_causes(&error));
            ExitCode::FAILURE
        }
    }
}

/// Prints to standard error; a closed standard error is ignored.
fn print_error(message: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr().lock(), "error: {message}");
}

/// The error's message followed by its causes, except those that it already quotes.
fn message_with_causes(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |message, cause| match message.as_str() {
        "" => cause,
        so_far if so_far.contains(&cause) => message,
        _ => format!("{message}: {cause}"),
    })
}
