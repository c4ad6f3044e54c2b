//! Barkeep: demand-driven backfill of market data. The binary: the command line, the settings, and which parts a process runs.
//! The stages are the `engine` crate's, HTTP is the `server` crate's, SQL the `store` crate's.

mod cli;
mod config;
mod heartbeat;
mod home;
mod instance;
mod shutdown;
mod simulate;
mod supervisor;
mod telemetry;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    telemetry::start(cli.usual_log());
    // Where another library asked for a provider of its own first, that one is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format!("no threads to work with: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(cli::run(cli));
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    match outcome {
        Ok(code) => code,
        Err(error) => {
            complain(&told(&error));
            ExitCode::FAILURE
        }
    }
}

/// To standard error, whether or not anybody reads it.
fn complain(problem: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr().lock(), "error: {problem}");
}

/// The error and its causes, but for those whose words it says already.
fn told(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |told, cause| match told.as_str() {
        "" => cause,
        so_far if so_far.contains(&cause) => told,
        _ => format!("{told}: {cause}"),
    })
}
