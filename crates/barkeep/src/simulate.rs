//! A simulator of this process's own, where the settings name no provider.

use anyhow::Context as _;
use simulator::{Settings as SimulatorSettings, Simulator, Source};
use store::clock::MarketClock;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::config::Config;

/// Requests a minute that our own simulator allows us: what a free plan does.
const OWN_SIMULATOR_ALLOWS: u32 = 200;

/// Starts a simulator of our own where the settings name no provider, and has the settings name it.
pub(crate) async fn simulate_if_none(
    config: &mut Config,
    clock: MarketClock,
    stop: &CancellationToken,
) -> anyhow::Result<bool> {
    if config.has_provider() {
        return Ok(false);
    }
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("the simulator found no free port")?;
    let address = listener.local_addr()?;
    let mut settings = SimulatorSettings::new(Source::Synthetic);
    settings.requests_per_minute = OWN_SIMULATOR_ALLOWS;
    settings.clock = match clock.as_of {
        Some(_) => simulator::Clock::starting_at(clock.now()),
        None => simulator::Clock::wall(),
    };
    let simulator = Simulator::new(settings)?;
    let stop = stop.clone();
    tokio::spawn(async move {
        if let Err(error) = simulator.serve(listener, stop).await {
            tracing::error!(%error, "The simulator ended");
        }
    });
    config.simulate(address)?;
    tracing::warn!(
        "No provider is set up: the bars are SIMULATED (market-sim at {address}). Set APCA_API_KEY_ID and \
         APCA_API_SECRET_KEY for real ones"
    );
    Ok(true)
}
