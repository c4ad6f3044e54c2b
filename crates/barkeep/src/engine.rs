//! What the stages share: the database, the provider, the market's clock, the signals and the stop sign.

use std::sync::Arc;

use store::{
    Database,
    clock::SharedClock,
    events::{Signals, Teller},
};
use tokio_util::sync::CancellationToken;

use crate::{route::Routes, turns::Turns};

/// Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Engine {
    pub(crate) database: Database,
    pub(crate) routes: Arc<Routes>,
    pub(crate) clock: SharedClock,
    pub(crate) signals: Signals,
    pub(crate) teller: Teller,
    pub(crate) turns: Turns,
    /// Names this process's workers. Those of a dead process on the same data directory share the beginning.
    pub(crate) worker: Arc<str>,
    pub(crate) stop: CancellationToken,
}

impl Engine {
    /// Slices were queued: tells the slots here, and those elsewhere.
    pub(crate) fn tell_queued(&self) {
        self.signals.queued_here();
        self.teller.queued();
    }

    /// Runs ended: tells those who show it, here and elsewhere.
    pub(crate) fn tell_ended(&self) {
        self.signals.ended_here();
        self.teller.ended();
    }
}
