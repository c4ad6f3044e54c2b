//! What the stages share: the database, the provider, the market's clock, the signals and the stop sign.

use std::sync::Arc;

use store::{
    Database,
    clock::SharedClock,
    events::{Notifier, Signals},
    market_sessions::SharedCalendars,
};
use tokio_util::sync::CancellationToken;

use crate::{foreground::Foreground, market_now::Market, providers::routes::Routes};

/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Engine {
    pub database: Database,
    pub routes: Arc<Routes>,
    pub clock: SharedClock,
    pub calendars: SharedCalendars,
    pub signals: Signals,
    pub notifier: Notifier,
    pub foreground: Foreground,
    /// Names this process's workers. Those of a dead process on the same data directory share the beginning.
    pub worker: Arc<str>,
    pub stop: CancellationToken,
}

impl Engine {
    /// The market as this process knows it now.
    pub fn market(&self) -> Market {
        Market { now: self.clock.now(), calendars: self.calendars.current() }
    }

    /// Slices were queued: tells the slots here, and those elsewhere.
    pub fn notify_queued(&self) {
        self.signals.queued_here();
        self.notifier.queued();
    }

    /// Runs ended: tells those who show it, here and elsewhere.
    pub fn notify_changed(&self) {
        self.signals.changed_here();
        self.notifier.changed();
    }
}
