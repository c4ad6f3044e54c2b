//! A backfill of the 60 seeded series.

use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;

use crate::setup::{DataDir, SimulatedMarket, summary};

/// The simulator counts requests by the minute of the clock.
const MINUTE: Duration = Duration::from_secs(61);

pub(crate) async fn measure(market: &SimulatedMarket, runs: usize) -> anyhow::Result<()> {
    let mut seconds = Vec::new();
    for run in 0..runs {
        if run > 0 {
            tokio::time::sleep(MINUTE).await;
        }
        let data_dir = DataDir::new(market)?;
        data_dir.output(&["migrate"])?;
        let planned: Value = serde_json::from_str(&data_dir.output(&["plan", "--dry-run", "--json"])?)?;
        let throttled = market.simulator.stats().throttled;
        let summary: Value = serde_json::from_str(&data_dir.output(&["backfill", "--json"])?)?;
        println!(
            "{} requests ({} planned, minimum {}), {} rows, {} s, {} throttled",
            summary["requests"],
            planned["total"],
            planned["minimum"],
            summary["rows"],
            summary["seconds"],
            market.simulator.stats().throttled - throttled
        );
        seconds.push(summary["seconds"].as_f64().context("seconds")?);
    }
    println!("backfill of 60 series: {}", summary(seconds));
    Ok(())
}
