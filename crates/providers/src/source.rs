//! The trait every provider implements, and its vocabulary.

use std::{collections::BTreeMap, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use market::{Action, AssetClass, Bar, Range, Ticker, Timeframe};

use crate::{FetchError, budget::Urgency};

/// The market's time: a past instant where history is replayed.
pub type MarketClock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// A request to a provider: the bars of some tickers of one asset class over one range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BarsRequest {
    pub asset_class: AssetClass,
    /// All of `asset_class`; at least one, at most [`Limits::symbols_per_request`].
    pub tickers: Vec<Ticker>,
    /// One of [`Limits::timeframes`].
    pub timeframe: Timeframe,
    pub range: Range,
    pub urgency: Urgency,
}

/// A part of the response, as it arrives.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// As sent: not checked, not sorted, perhaps with bars outside the range.
    pub bars: BTreeMap<Ticker, Vec<Bar>>,
    /// Tickers without further bars, counting all pages so far. On the last page: all that weren't named before.
    pub complete: Vec<Ticker>,
    /// The part of the requested range that the response covers: shorter if the plan delays the newest minutes.
    /// `None`: nothing of it could be requested yet.
    pub answered: Option<Range>,
    /// Provider and feed, as stored with each bar: `alpaca/sip`, `market-sim/sip`.
    pub provenance: String,
}

/// A response's pages, one after the other.
#[async_trait::async_trait]
pub trait BarPages: Send {
    /// The next page; `None` after the last.
    ///
    /// # Errors
    /// A [`FetchError`], after which no page follows. What was complete before remains valid.
    ///
    /// Cancel-safe: dropping the future loses nothing but the requests already sent.
    async fn next(&mut self) -> Result<Option<Page>, FetchError>;

    /// HTTP requests so far, those that failed included.
    fn requests(&self) -> u32;
}

/// The bars that a provider returned.
#[derive(Clone, Debug, PartialEq)]
pub struct FetchedBars {
    /// As sent: not checked, not sorted, perhaps with bars outside the range. A ticker without bars has no entry.
    pub bars: BTreeMap<Ticker, Vec<Bar>>,
    /// As in [`Page`].
    pub answered: Option<Range>,
    pub provenance: String,
    /// HTTP requests it took, retries included.
    pub requests: u32,
}

/// What an endpoint can supply for an asset class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Timeframes that may be requested; none if this endpoint has no bars of the class at all. Bars of stocks are
    /// clock-aligned, extended hours included.
    pub timeframes: Vec<Timeframe>,
    /// Of these, those whose bars of stocks are aligned to the session's open instead.
    pub from_open: Vec<Timeframe>,
    /// Whether intraday bars of stocks cover 04:00 to 20:00 New York time, and not only the regular session.
    pub extended_hours: bool,
    /// Of these, those whose prices are adjusted for later splits: not as traded.
    pub split_adjusted: Vec<Timeframe>,
    pub symbols_per_request: usize,
    /// Rows of one page, over all symbols.
    pub rows_per_page: usize,
    /// The longest range of a request; `None`: unlimited.
    pub longest_range: Option<SignedDuration>,
    /// There are no older bars.
    pub earliest: Timestamp,
    /// How far back from now single timeframes go, where that is less.
    pub depth: BTreeMap<Timeframe, SignedDuration>,
    /// How long after its end a bar may still change or be delayed.
    pub grace: SignedDuration,
    pub requests_per_minute: u32,
}

impl Limits {
    /// The limits of an endpoint that has no bars of this class.
    pub fn nothing() -> Self {
        Self {
            timeframes: Vec::new(),
            from_open: Vec::new(),
            extended_hours: false,
            split_adjusted: Vec::new(),
            symbols_per_request: 1,
            rows_per_page: 1,
            longest_range: None,
            earliest: Timestamp::MAX,
            depth: BTreeMap::new(),
            grace: SignedDuration::ZERO,
            requests_per_minute: 1,
        }
    }

    /// The earliest bars of `timeframe`, with `now` on the market's clock.
    pub fn earliest_of(&self, timeframe: Timeframe, now: Timestamp) -> Timestamp {
        let reach = self.depth.get(&timeframe).and_then(|depth| now.checked_sub(*depth).ok());
        reach.map_or(self.earliest, |reach| reach.max(self.earliest))
    }
}

/// The server at the configured address.
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
    /// Whether it trades now; delisted ones still have history.
    pub active: bool,
}

/// A source of bars.
#[async_trait::async_trait]
pub trait BarSource: Send + Sync + std::fmt::Debug {
    fn endpoint(&self) -> &Endpoint;

    /// The account by which requests for bars are counted.
    fn account(&self) -> &str;

    fn limits(&self, asset_class: AssetClass) -> Limits;

    /// The bars of `request`, page by page. Nothing is sent before the first page is requested.
    fn pages<'a>(&'a self, request: &'a BarsRequest) -> Box<dyn BarPages + 'a>;

    /// Fetches the bars of `request`, all pages.
    ///
    /// # Errors
    /// A [`FetchError`], whose variants say what to do next.
    ///
    /// Cancel-safe: dropping the future loses nothing but the requests already sent.
    async fn bars(&self, request: &BarsRequest) -> Result<FetchedBars, FetchError> {
        let mut pages = self.pages(request);
        let mut all = FetchedBars { bars: BTreeMap::new(), answered: None, provenance: String::new(), requests: 0 };
        while let Some(page) = pages.next().await? {
            for (ticker, bars) in page.bars {
                all.bars.entry(ticker).or_default().extend(bars);
            }
            (all.answered, all.provenance) = (page.answered, page.provenance);
        }
        all.requests = pages.requests();
        Ok(all)
    }

    /// Looks `ticker` up in the provider's asset list; `None` if the list doesn't contain it.
    ///
    /// # Errors
    /// A [`FetchError`], as for bars.
    async fn asset(&self, ticker: &Ticker) -> Result<Option<Asset>, FetchError>;

    /// All assets of a class that trade now; `None` if this provider has no such list.
    ///
    /// # Errors
    /// A [`FetchError`], as for bars.
    async fn assets(&self, _asset_class: AssetClass) -> Result<Option<Vec<Asset>>, FetchError> {
        Ok(None)
    }

    /// Splits and cash dividends of some stocks with ex-dates in `range`, oldest first; a ticker without any has no
    /// entry. `None` if this provider lists none.
    ///
    /// # Errors
    /// A [`FetchError`], as for bars.
    async fn actions(
        &self,
        _tickers: &[Ticker],
        _range: Range,
    ) -> Result<Option<BTreeMap<Ticker, Vec<Action>>>, FetchError> {
        Ok(None)
    }
}
