//! Benchmarks of the `barkeep` binary: `cargo run --release -p barkeep-bench -- --help`.
//!
//! Runs the binary that was built beside this one against a simulator, each time on a new private database. Prints the
//! figures, and compares them with nothing.

mod backfill;
mod first_bars;
mod page;
mod search;
mod setup;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(about = "Measure the speed of the barkeep binary")]
struct Cli {
    #[command(subcommand)]
    benchmark: Benchmark,
    /// Let the simulator allow this many requests a minute
    #[arg(long, global = true, default_value_t = 200)]
    requests_per_minute: u32,
    /// Milliseconds by which the simulator delays each response
    #[arg(long, global = true, default_value_t = 100)]
    latency_ms: u64,
    /// Repeat the measurement this many times
    #[arg(long, global = true, default_value_t = 5)]
    runs: usize,
}

#[derive(Debug, Subcommand)]
enum Benchmark {
    /// Measure the backfill of the 60 seeded series: requests and seconds, as `backfill` prints them
    Backfill,
    /// Measure the time from a symbol's POST until bars of all three timeframes can be read
    FirstBars {
        /// Number of background runs in the queue meanwhile
        #[arg(long, default_value_t = 0)]
        background: i64,
    },
    /// Measure the chart page in a browser: first paint, and frames while panning many bars
    Page {
        /// Number of bars to pan
        #[arg(long, default_value_t = 10_000)]
        bars: i64,
    },
    /// Measure symbol searches in a directory as large as a provider's
    Search {
        /// Number of symbols in the directory
        #[arg(long, default_value_t = 20_000)]
        symbols: i64,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // Fails only if a library has installed a provider already, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cli = Cli::parse();
    let market = setup::SimulatedMarket::start(cli.requests_per_minute, cli.latency_ms).await?;
    match cli.benchmark {
        Benchmark::Backfill => backfill::measure(&market, cli.runs).await,
        Benchmark::FirstBars { background } => first_bars::measure(&market, cli.runs, background).await,
        Benchmark::Page { bars } => page::measure(&market, cli.runs, bars).await,
        Benchmark::Search { symbols } => search::measure(&market, cli.runs, symbols).await,
    }
}
