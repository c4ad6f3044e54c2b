//! What the server can supply: Alpaca's free plan, or what a simulator declares.

use jiff::{SignedDuration, Timestamp};
use market::AssetClass;

use crate::probe::Simulator;

/// The kind of server, and what it can supply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Nature {
    pub(super) simulated: bool,
    earliest_stock: Timestamp,
    earliest_crypto: Timestamp,
    /// How long a bar may still change or be delayed, not counting the plan.
    pub(super) grace: SignedDuration,
    pub(super) requests_per_minute: u32,
}

impl Nature {
    /// Alpaca's free plan: stocks since 2016, crypto since 2021, 200 requests a minute. A bar is recomputed for late
    /// trades until about 30 s after its end; the grace is twice that.
    pub(super) const ALPACA: Self = Self {
        simulated: false,
        earliest_stock: Timestamp::constant(1_451_606_400, 0),
        earliest_crypto: Timestamp::constant(1_609_459_200, 0),
        grace: SignedDuration::from_secs(60),
        requests_per_minute: 200,
    };

    pub(super) fn earliest(&self, asset_class: AssetClass) -> Timestamp {
        match asset_class {
            AssetClass::Stock => self.earliest_stock,
            AssetClass::Crypto => self.earliest_crypto,
        }
    }
}

impl From<Simulator> for Nature {
    fn from(simulator: Simulator) -> Self {
        Self {
            simulated: true,
            earliest_stock: simulator.earliest,
            earliest_crypto: simulator.earliest,
            grace: simulator.delay,
            requests_per_minute: simulator.requests_per_minute,
        }
    }
}
