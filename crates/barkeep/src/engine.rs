//! What the stages share: the database, the provider, the market's clock, the signals and the stop sign.

use std::sync::Arc;

use providers::BarSource;
use store::{Database, clock::MarketClock, events::Signals};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Engine {
    pub(crate) database: Database,
    pub(crate) source: Arc<dyn BarSource>,
    pub(crate) clock: MarketClock,
    pub(crate) signals: Signals,
    /// Slices were queued in this process.
    pub(crate) queued: Arc<Notify>,
    /// Names this process's workers. Those of a dead process on the same data directory share the beginning.
    pub(crate) worker: Arc<str>,
    pub(crate) stop: CancellationToken,
}

impl Engine {
    pub(crate) fn provider(&self) -> &str {
        &self.source.endpoint().provider
    }
}
