//! The provider that the settings name, or the simulator where they name none.

use std::sync::Arc;

use anyhow::Context as _;
use market::Ticker;
use providers::FetchError;
use simulator::{Settings as SimulatorSettings, Simulator, Source};
use store::{
    Database,
    clock::{MarketClock, SharedClock},
    installation,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    accounts::SharedAccounts,
    config::Config,
    route::{Route, Routes},
};

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

/// Connects to the providers and takes the database for their kind of bars.
pub(crate) async fn connect(
    config: &Config,
    database: &Database,
    clock: &SharedClock,
) -> Result<Arc<Routes>, ConnectError> {
    let routes = look_at(config, database, clock).await?;
    let endpoints: Vec<_> = routes.all().map(|source| source.endpoint().clone()).collect();
    if let (Some(simulated), Some(real)) =
        (endpoints.iter().find(|e| e.simulated), endpoints.iter().find(|e| !e.simulated))
    {
        return Err(ConnectError::Mixed { simulated: simulated.address.clone(), real: real.provider.clone() });
    }
    for endpoint in &endpoints {
        let bars = if endpoint.simulated { installation::Bars::Simulated } else { installation::Bars::Real };
        let named = format!("{} at {}", endpoint.provider, kind_of_address(&endpoint.address));
        installation::claim(database, bars, &named).await?;
        tracing::info!(provider = %endpoint.provider, address = %endpoint.address, "Connected to {}", endpoint.provider);
    }
    store::providers::rank(database, &feeds(config)).await?;
    Ok(routes)
}

/// Feeds from the best to the worst: as providers are asked, and of Alpaca's the whole market before one exchange.
fn feeds(config: &Config) -> Vec<String> {
    let mut feeds = Vec::new();
    for name in config.providers.iter().map(|provider| provider.name()) {
        match name {
            "alpaca" => feeds.extend(["alpaca", "market-sim/sip", "market-sim/us", "alpaca/iex"].map(str::to_owned)),
            name => feeds.extend([name.to_owned(), format!("market-sim/{name}")]),
        }
    }
    feeds
}

/// Connects for a look at what the providers take: the database is not taken for their kind of bars. What is asked for all
/// the same is counted there. One that can't be reached is left out where another can.
pub(crate) async fn look_at(
    config: &Config,
    database: &Database,
    clock: &SharedClock,
) -> Result<Arc<Routes>, FetchError> {
    let accounts = SharedAccounts(database.clone());
    let (mut routes, mut first_error) = (Vec::new(), None);
    for provider in &config.providers {
        let clock = clock.clone();
        match provider.connect(Arc::new(move || clock.now()), &accounts).await {
            Ok(source) => routes.push(Route { source, serves: provider.serves().to_vec() }),
            Err(error) => {
                tracing::warn!(provider = provider.name(), %error, "{} is left out", provider.name());
                first_error.get_or_insert(error);
            }
        }
    }
    match (routes.is_empty(), first_error) {
        (true, Some(error)) => Err(error),
        _ => Ok(Arc::new(Routes::new(routes))),
    }
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
    #[error("{simulated} is a simulator and {real} is none: their bars must never mix; set up one kind alone")]
    Mixed { simulated: String, real: String },
}

impl ConnectError {
    /// Whether it may work later without anybody mending anything here.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Provider(_) => true,
            Self::Store(error) => error.is_unreachable(),
            Self::Mixed { .. } => false,
        }
    }
}

/// Tickers as an argument list takes them.
pub(crate) fn listed(tickers: &[Ticker]) -> String {
    tickers.iter().map(Ticker::as_str).collect::<Vec<_>>().join(", ")
}
