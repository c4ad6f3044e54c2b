//! What is promised of speed, measured on this machine: `cargo run --release -p bench -- --help`.
//!
//! Runs the `barkeep` binary beside it against a simulator of its own, each time on a fresh private database. Prints figures
//! and judges nothing.

mod backfill;
mod first_bars;
mod page;
mod search;
mod site;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(about = "Measures what is promised of speed")]
struct Cli {
    #[command(subcommand)]
    what: What,
    /// Requests a minute that the simulator allows
    #[arg(long, global = true, default_value_t = 200)]
    requests_per_minute: u32,
    /// Milliseconds that it waits before each answer
    #[arg(long, global = true, default_value_t = 100)]
    latency_ms: u64,
    /// How often
    #[arg(long, global = true, default_value_t = 5)]
    runs: usize,
}

#[derive(Debug, Subcommand)]
enum What {
    /// The 60 seeded definitions from nothing: requests and seconds, as `backfill` prints them
    Backfill,
    /// From a symbol's POST to its first bars readable in all three timeframes
    FirstBars {
        /// Background runs that are queued meanwhile
        #[arg(long, default_value_t = 0)]
        background: i64,
    },
    /// The chart page in a browser: first paint, and how fluid many bars are
    Page {
        #[arg(long, default_value_t = 10_000)]
        bars: i64,
    },
    /// Searches for symbols, with as many in the directory as a provider lists
    Search {
        #[arg(long, default_value_t = 20_000)]
        symbols: i64,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // Where another library asked for a provider of its own first, that one is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cli = Cli::parse();
    let market = site::Market::start(cli.requests_per_minute, cli.latency_ms).await?;
    match cli.what {
        What::Backfill => backfill::measure(&market, cli.runs).await,
        What::FirstBars { background } => first_bars::measure(&market, cli.runs, background).await,
        What::Page { bars } => page::measure(&market, cli.runs, bars).await,
        What::Search { symbols } => search::measure(&market, cli.runs, symbols).await,
    }
}
