//! The server and the handle on it.

use std::{sync::Arc, time::Duration};

use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{Fault, FaultKind, Seen, Settings, SimError, Stats, faults::Plan, protocol, shared::Shared};

/// Connections that are still busy so long after the order to stop are dropped.
const FAREWELL: Duration = Duration::from_secs(2);

/// A simulated provider: serves it, shows what it has seen, and lets faults be switched while it runs. Copies are
/// handles on the same one.
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

    /// The routes, for a server of one's own; requests that hang by a fault then do so until it drops them.
    pub fn router(&self) -> Router {
        protocol::router(Arc::clone(&self.0), CancellationToken::new())
    }

    /// Answers on `listener` until `stop`, then finishes what it has begun, for two seconds at most.
    ///
    /// # Errors
    /// [`SimError::Accept`].
    ///
    /// Cancel-safe: dropping the future closes the listener; answers begun may still go out.
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

    /// What it has seen so far.
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

    /// What goes wrong with the requests to come, one each, whatever their shares say: for whoever knows which they are.
    pub fn set_next_faults(&self, faults: impl IntoIterator<Item = Option<FaultKind>>) {
        self.0.plan().set_next(faults);
    }
}
