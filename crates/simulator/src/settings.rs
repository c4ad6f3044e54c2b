//! The settings of a simulator.

use std::{collections::BTreeMap, fmt, path::PathBuf, time::Duration};

use jiff::SignedDuration;
use market::{Action, Ticker};

use crate::{Clock, Fault};

/// Where bars come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Made up, from the seed: any ticker, any time since 1990.
    Synthetic,
    /// A folder of one-minute bars, one `TICKER.csv` or `TICKER.csv.gz` each with the columns
    /// `ts_utc,open,high,low,close,volume`; read once, at the start.
    Folder(PathBuf),
}

/// How a simulator behaves. Start from [`Settings::new`].
#[derive(Clone)]
pub struct Settings {
    pub source: Source,
    /// The market's clock: nothing later is sent. Request limits always go by the wall clock.
    pub clock: Clock,
    /// Requests allowed in each minute of the wall clock, over all paths; at least 1.
    pub requests_per_minute: u32,
    /// Waited before every answer.
    pub latency: Duration,
    /// How long stock bars of the SIP feed are held back (Alpaca's free plan: 15 minutes).
    pub delay: SignedDuration,
    /// The one pair of key id and secret that is let in; `None` lets any pair in, but not none.
    pub credentials: Option<(String, String)>,
    /// What goes wrong, and how often. The shares may add up to 1 at most.
    pub faults: Vec<Fault>,
    /// Chooses the made-up market, and which requests faults fall on.
    pub seed: u64,
    /// Tickers that a made-up market doesn't know, besides those that begin with `ZZ` or contain `NOPE`.
    pub unknown: Vec<Ticker>,
    /// Splits and dividends that it tells of, from their ex-dates on. Bars are as traded whatever they say.
    pub actions: BTreeMap<Ticker, Vec<Action>>,
}

impl Settings {
    /// Alpaca's free limit of 200 requests a minute, the wall clock, no delays, no faults, any keys.
    pub fn new(source: Source) -> Self {
        Self {
            source,
            clock: Clock::wall(),
            requests_per_minute: 200,
            latency: Duration::ZERO,
            delay: SignedDuration::ZERO,
            credentials: None,
            faults: Vec::new(),
            seed: 0,
            unknown: Vec::new(),
            actions: BTreeMap::new(),
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("source", &self.source)
            .field("clock", &self.clock)
            .field("requests_per_minute", &self.requests_per_minute)
            .field("latency", &self.latency)
            .field("delay", &self.delay)
            .field("credentials", &self.credentials.as_ref().map(|_| ".."))
            .field("faults", &self.faults)
            .field("seed", &self.seed)
            .field("unknown", &self.unknown)
            .field("actions", &self.actions)
            .finish()
    }
}
