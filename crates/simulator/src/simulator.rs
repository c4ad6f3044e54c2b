//! The server and its handle.

use std::{sync::Arc, time::Duration};

use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{Fault, FaultKind, Seen, Settings, SimError, Stats, faults::Plan, protocol, shared::Shared};

/// Connections that are still busy this long after the stop are dropped.
const FAREWELL: Duration = Duration::from_secs(2);

/// A simulated provider: serves requests, shows what it has received, and lets faults be changed while it runs.
/// Copies are handles of the same one.
#[derive(Clone, Debug)]
pub struct Simulator(Arc<Shared>);

/// Serves `settings` on `listener` until `stop`: [`Simulator::new`] and [`Simulator::serve`] in one.
///
/// # Errors
/// As for these.
pub async fn serve(listener: TcpListener, settings: Settings, stop: CancellationToken) -> Result<(), SimError> {
    Simulator::new(settings)?.serve(listener, stop).await
}

impl Simulator {
    /// Reads the folder of bars, where there is one.
    ///
    /// # Errors
    /// [`SimError`], which says what is wrong with the settings or a file of bars.
    pub fn new(settings: Settings) -> Result<Self, SimError> {
        Ok(Self(Arc::new(Shared::open(settings)?)))
    }

    /// The routes, for another server; requests that hang by a fault do so until that server drops them.
    pub fn router(&self) -> Router {
        protocol::router(Arc::clone(&self.0), CancellationToken::new())
    }

    /// Serves `listener` until `stop`, then finishes the requests in progress, for two seconds at most.
    ///
    /// # Errors
    /// [`SimError::Accept`].
    ///
    /// Cancel-safe: dropping the future closes the listener; responses in progress may still be sent.
    pub async fn serve(&self, listener: TcpListener, stop: CancellationToken) -> Result<(), SimError> {
        let router = protocol::router(Arc::clone(&self.0), stop.clone());
        let server = axum::serve(listener, router).with_graceful_shutdown(stop.clone().cancelled_owned());
        let overdue = async {
            stop.cancelled().await;
            tokio::time::sleep(FAREWELL).await;
        };
        tokio::select! {
            served = server.into_future() => served.map_err(SimError::Accept),
            () = overdue => Ok(()),
        }
    }

    /// What it has received so far.
    pub fn stats(&self) -> Stats {
        self.0.tally().stats.clone()
    }

    /// The latest ten thousand requests, oldest first.
    pub fn seen(&self) -> Vec<Seen> {
        self.0.tally().seen.iter().cloned().collect()
    }

    /// From the next request on, these faults and no others.
    ///
    /// # Errors
    /// [`SimError::Faults`] where their shares add up to more than 1; then nothing changes.
    pub fn set_faults(&self, faults: Vec<Fault>) -> Result<(), SimError> {
        *self.0.plan() = Plan::new(faults, self.0.settings.seed)?;
        Ok(())
    }

    /// Sets the faults of the next requests, one each, regardless of shares: for tests that know which requests
    /// follow.
    pub fn set_next_faults(&self, faults: impl IntoIterator<Item = Option<FaultKind>>) {
        self.0.plan().set_next(faults);
    }
}
