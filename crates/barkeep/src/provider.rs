//! The provider that the settings name, or the simulator where they name none.

use std::sync::Arc;

use anyhow::Context as _;
use market::Ticker;
use providers::{BarSource, FetchError, alpaca::AlpacaSource};
use simulator::{Settings as SimulatorSettings, Simulator, Source};
use store::{Database, clock::MarketClock, installation};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::config::Config;

/// Requests a minute that our own simulator allows us: nobody needs to be spared.
const OWN_SIMULATOR_ALLOWS: u32 = 10_000;

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
    config.alpaca.data_url = format!("http://{address}").parse().context("the simulator's address")?;
    config.alpaca.trading_url = None;
    tracing::warn!(
        "No provider is set up: the bars are SIMULATED (market-sim at {address}). Set APCA_API_KEY_ID and \
         APCA_API_SECRET_KEY for real ones"
    );
    Ok(true)
}

/// Connects to the provider and takes the database for its kind of bars.
pub(crate) async fn connect(
    config: &Config,
    database: &Database,
    clock: MarketClock,
) -> Result<Arc<dyn BarSource>, ConnectError> {
    let source = AlpacaSource::connect(config.alpaca.clone(), Arc::new(move || clock.now())).await?;
    let endpoint = source.endpoint();
    let bars = if endpoint.simulated { installation::Bars::Simulated } else { installation::Bars::Real };
    installation::claim(database, bars, &format!("{} at {}", endpoint.provider, kind_of_address(&endpoint.address)))
        .await?;
    tracing::info!(provider = %endpoint.provider, address = %endpoint.address, "Connected to {}", endpoint.provider);
    Ok(Arc::new(source))
}

/// Loopback ports change from start to start and tell nothing.
fn kind_of_address(address: &str) -> &str {
    if address.starts_with("http://127.0.0.1:") { "loopback" } else { address }
}

/// Why there is no provider to work with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error(transparent)]
    Provider(#[from] FetchError),
    #[error(transparent)]
    Store(#[from] store::StoreError),
}

impl ConnectError {
    /// Whether it may work later without anybody mending anything here.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Provider(_) => true,
            Self::Store(error) => error.is_unreachable(),
        }
    }
}

/// Tickers as an argument list takes them.
pub(crate) fn listed(tickers: &[Ticker]) -> String {
    tickers.iter().map(Ticker::as_str).collect::<Vec<_>>().join(", ")
}
