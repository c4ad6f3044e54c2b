//! This process's own market data simulator, for when no provider is configured.

use anyhow::Context as _;
use simulator::{Settings as SimulatorSettings, Simulator, Source};
use store::{clock::MarketClock, market_sessions::SharedCalendars};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::config::Config;

/// Requests a minute that the simulator allows, as a free plan does.
const REQUESTS_PER_MINUTE: u32 = 200;

/// What to do where nothing is fetched.
pub(crate) const NO_PROVIDER: &str = "no provider is set up, and nothing is fetched: set APCA_API_KEY_ID and \
     APCA_API_SECRET_KEY (`barkeep providers` lists all), or store simulated bars in this database with --simulated";

/// Starts a simulator if the settings name no provider, and makes it the provider. Returns whether it did. In a database that
/// the settings name, simulated bars are stored only on request.
pub(crate) async fn start_if_no_provider(
    config: &mut Config,
    clock: MarketClock,
    calendars: &SharedCalendars,
    stop: &CancellationToken,
) -> anyhow::Result<bool> {
    if config.has_provider() || !config.may_fetch() {
        return Ok(false);
    }
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("could not bind a port for the simulator")?;
    let address = listener.local_addr()?;
    let mut settings = SimulatorSettings::new(Source::Synthetic);
    settings.requests_per_minute = REQUESTS_PER_MINUTE;
    settings.clock = match clock.as_of {
        Some(_) => simulator::Clock::starting_at(clock.now()),
        None => simulator::Clock::wall(),
    };
    let calendars = calendars.clone();
    settings.calendars = simulator::CalendarSource::by(move || calendars.current());
    let simulator = Simulator::new(settings)?;
    let stop = stop.clone();
    tokio::spawn(async move {
        if let Err(error) = simulator.serve(listener, stop).await {
            tracing::error!(%error, "The simulator stopped");
        }
    });
    config.use_simulator(address)?;
    tracing::warn!(
        "No provider is configured: bars are SIMULATED (market-sim at {address}). Set APCA_API_KEY_ID and \
         APCA_API_SECRET_KEY for real bars"
    );
    Ok(true)
}
