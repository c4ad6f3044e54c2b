//! The 60 seeded definitions from nothing.

use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;

use crate::site::{Market, Place, spread};

/// The simulator counts by the minute of the clock.
const MINUTE: Duration = Duration::from_secs(61);

pub(crate) async fn measure(market: &Market, runs: usize) -> anyhow::Result<()> {
    let mut seconds = Vec::new();
    for run in 0..runs {
        if run > 0 {
            tokio::time::sleep(MINUTE).await;
        }
        let place = Place::new(market)?;
        place.printed(&["migrate"])?;
        let planned: Value = serde_json::from_str(&place.printed(&["plan", "--dry-run", "--json"])?)?;
        let throttled = market.simulator.stats().throttled;
        let summary: Value = serde_json::from_str(&place.printed(&["backfill", "--json"])?)?;
        println!(
            "{} requests ({} planned, {} at least), {} rows, {} s, {} turned away",
            summary["requests"],
            planned["total"],
            planned["minimum"],
            summary["rows"],
            summary["seconds"],
            market.simulator.stats().throttled - throttled
        );
        seconds.push(summary["seconds"].as_f64().context("seconds")?);
    }
    println!("backfill of 60 definitions: {}", spread(seconds));
    Ok(())
}
