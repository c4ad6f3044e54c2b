//! What the stages share: the database, the providers, the market's clock, the signals and the stop token.

use std::sync::Arc;

use store::{
    Database,
    clock::SharedClock,
    events::{Notifier, Signals},
    market_sessions::SharedCalendars,
};
use tokio_util::sync::CancellationToken;

use crate::{
    foreground::Foreground, market_now::Market, providers::routes::Routes, splits::seen_adjusted::SeenAdjusted,
};

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
    pub seen_adjusted: SeenAdjusted,
    /// The prefix of this process's worker names. A dead process on the same data directory had the same prefix.
    pub worker: Arc<str>,
    pub stop: CancellationToken,
}

impl Engine {
    /// The market's time and calendars as this process knows them.
    pub fn market(&self) -> Market {
        Market { now: self.clock.now(), calendars: self.calendars.current() }
    }

    /// Signals queued slices to the workers of this process and of others.
    pub fn notify_queued(&self) {
        self.signals.queued_here();
        self.notifier.queued();
    }

    /// Signals ended runs to the event streams of this process and of others.
    pub fn notify_changed(&self) {
        self.signals.changed_here();
        self.notifier.changed();
    }
}
