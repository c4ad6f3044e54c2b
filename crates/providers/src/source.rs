//! The trait every provider implements, and its vocabulary.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use market::{AssetClass, Bar, Range, Ticker, Timeframe};

use crate::FetchError;

/// One question to a provider: the bars of some tickers of one asset class over one range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BarsRequest {
    pub asset_class: AssetClass,
    /// All of `asset_class`; at least one, at most [`Limits::symbols_per_request`].
    pub tickers: Vec<Ticker>,
    /// One of [`Limits::timeframes`].
    pub timeframe: Timeframe,
    pub range: Range,
}

/// What a provider answered.
#[derive(Clone, Debug, PartialEq)]
pub struct FetchedBars {
    /// As sent: not checked, not sorted, perhaps with bars outside the range. A ticker without bars has no entry.
    pub bars: BTreeMap<Ticker, Vec<Bar>>,
    /// The part of the asked range that was really answered for: shorter where the plan holds the newest minutes
    /// back. `None`: nothing of it could be asked for yet.
    pub answered: Option<Range>,
    /// Provider and feed, as stored with each bar: `alpaca/sip`, `market-sim/sip`.
    pub provenance: String,
    /// HTTP requests it took, retries included.
    pub requests: u32,
}

/// What an endpoint can give for an asset class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Timeframes that may be asked for. Their bars start on multiples of the clock, extended hours included.
    pub timeframes: Vec<Timeframe>,
    pub symbols_per_request: usize,
    /// Rows of one page, over all symbols.
    pub rows_per_page: usize,
    /// Nothing older exists here.
    pub earliest: Timestamp,
    /// How long after its end a bar may still change or be held back.
    pub grace: SignedDuration,
    pub requests_per_minute: u32,
}

/// Who stands behind the configured address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `alpaca`, or `market-sim` for the simulator: the part of the provenance before the slash.
    pub provider: String,
    /// Simulated bars are kept apart from real ones.
    pub simulated: bool,
    pub address: String,
}

/// An entry of a provider's asset list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asset {
    pub ticker: Ticker,
    pub asset_class: AssetClass,
    pub name: String,
    pub exchange: String,
    /// Whether it trades now; a delisted one has history all the same.
    pub active: bool,
}

/// A source of bars.
#[async_trait::async_trait]
pub trait BarSource: Send + Sync + std::fmt::Debug {
    fn endpoint(&self) -> &Endpoint;

    fn limits(&self, asset_class: AssetClass) -> Limits;

    /// Fetches the bars of `request`, all pages.
    ///
    /// # Errors
    /// A [`FetchError`], whose variants say what to do next.
    ///
    /// Cancel-safe: dropping the future leaves nothing behind but requests spent.
    async fn bars(&self, request: &BarsRequest) -> Result<FetchedBars, FetchError>;

    /// Looks `ticker` up in the provider's asset list; `None` where the list has no such ticker.
    ///
    /// # Errors
    /// A [`FetchError`], as for bars.
    async fn asset(&self, ticker: &Ticker) -> Result<Option<Asset>, FetchError>;
}
