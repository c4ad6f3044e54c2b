//! The settings of a simulator.

use std::{collections::BTreeMap, fmt, path::PathBuf, sync::Arc, time::Duration};

use jiff::SignedDuration;
use market::{Action, Calendars, Ticker};

use crate::{Clock, Fault};

/// Where bars come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Generated from the seed: any ticker, any time since 1990.
    Synthetic,
    /// A folder of one-minute bars, one `TICKER.csv` or `TICKER.csv.gz` each with the columns
    /// `ts_utc,open,high,low,close,volume`; read once, at the start.
    Folder(PathBuf),
}

/// Where the calendars come from, which may change while the simulator runs. The default are the rules, without exceptions.
#[derive(Clone)]
pub struct CalendarSource(Arc<dyn Fn() -> Calendars + Send + Sync>);

impl CalendarSource {
    pub fn by(current: impl Fn() -> Calendars + Send + Sync + 'static) -> Self {
        Self(Arc::new(current))
    }

    pub(crate) fn current(&self) -> Calendars {
        (self.0)()
    }
}

impl Default for CalendarSource {
    fn default() -> Self {
        Self::by(Calendars::default)
    }
}

impl fmt::Debug for CalendarSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CalendarSource(..)")
    }
}

/// The behaviour of a simulator. Start from [`Settings::new`].
#[derive(Clone)]
pub struct Settings {
    pub source: Source,
    /// The market's clock: nothing later is sent. Request limits always go by the wall clock.
    pub clock: Clock,
    /// The calendars that a made-up market trades by, in regular hours.
    pub calendars: CalendarSource,
    /// Requests allowed in each minute of the wall clock, over all paths; at least 1.
    pub requests_per_minute: u32,
    /// The delay before every response.
    pub latency: Duration,
    /// The delay of stock bars of the SIP feed (Alpaca's free plan: 15 minutes).
    pub delay: SignedDuration,
    /// The one pair of key id and secret that is accepted; `None` accepts any pair, but not none.
    pub credentials: Option<(String, String)>,
    /// The faults and their shares, which add up to 1 at most.
    pub faults: Vec<Fault>,
    /// Determines the synthetic market, and which requests have faults.
    pub seed: u64,
    /// Tickers that are unknown in a synthetic market, besides those that begin with `ZZ` or contain `NOPE`.
    pub unknown: Vec<Ticker>,
    /// Splits and dividends that it lists, from their ex-dates on. Bars are as traded regardless.
    pub actions: BTreeMap<Ticker, Vec<Action>>,
}

impl Settings {
    /// Alpaca's free limit of 200 requests a minute, the wall clock, no delays, no faults, any keys.
    pub fn new(source: Source) -> Self {
        Self {
            source,
            clock: Clock::wall(),
            calendars: CalendarSource::default(),
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
