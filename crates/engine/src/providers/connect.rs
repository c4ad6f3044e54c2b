//! Connects to the configured providers.
//!
//! In: candidates, in the order of preference. Out: [`Routes`]. Holds: real and simulated bars never share a
//! database.

use std::sync::Arc;

use providers::{FetchError, registry::Candidate};
use store::{Database, clock::SharedClock, installation};

use super::{
    rate_limits::SharedAccounts,
    routes::{Route, Routes},
};

/// The configured providers, in the order of preference.
pub type Candidates = [Arc<dyn Candidate>];

/// Connects to the providers and claims the database for their kind of bars, real or simulated.
pub async fn connect(
    candidates: &Candidates,
    database: &Database,
    clock: &SharedClock,
) -> Result<Arc<Routes>, ConnectError> {
    let routes = connect_read_only(candidates, database, clock).await?;
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
    store::provider_health::rank_feeds(database, &feeds(candidates)).await?;
    Ok(routes)
}

/// Feeds from best to worst: in the order of the providers, and Alpaca's consolidated feed before its single-exchange
/// feed.
fn feeds(candidates: &Candidates) -> Vec<String> {
    let mut feeds = Vec::new();
    for name in candidates.iter().map(|provider| provider.name()) {
        match name {
            "alpaca" => feeds.extend(["alpaca", "market-sim/sip", "market-sim/us", "alpaca/iex"].map(str::to_owned)),
            name => feeds.extend([name.to_owned(), format!("market-sim/{name}")]),
        }
    }
    feeds
}

/// Connects without claiming the database for their kind of bars. Requests are still counted there. A provider that
/// can't be reached is skipped if another one can.
pub async fn connect_read_only(
    candidates: &Candidates,
    database: &Database,
    clock: &SharedClock,
) -> Result<Arc<Routes>, FetchError> {
    let accounts = SharedAccounts(database.clone());
    let (mut routes, mut first_error) = (Vec::new(), None);
    for provider in candidates {
        let clock = clock.clone();
        match provider.connect(Arc::new(move || clock.now()), &accounts).await {
            Ok(source) => routes.push(Route { source, serves: provider.serves().to_vec() }),
            Err(error) => {
                tracing::warn!(provider = provider.name(), %error, "Skipping {}", provider.name());
                first_error.get_or_insert(error);
            }
        }
    }
    match (routes.is_empty(), first_error) {
        (true, Some(error)) => Err(error),
        _ => Ok(Arc::new(Routes::new(routes))),
    }
}

/// Loopback ports differ from start to start and are left out.
fn kind_of_address(address: &str) -> &str {
    if address.starts_with("http://127.0.0.1:") { "loopback" } else { address }
}

/// Why no provider can be used.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error(transparent)]
    Provider(#[from] FetchError),
    #[error(transparent)]
    Store(#[from] store::StoreError),
    #[error("{simulated} is a simulator and {real} is not: their bars must never mix; configure only one kind")]
    Mixed { simulated: String, real: String },
}

impl ConnectError {
    /// Whether it may work later without a change of the configuration.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Provider(_) => true,
            Self::Store(error) => error.is_unreachable(),
            Self::Mixed { .. } => false,
        }
    }
}
