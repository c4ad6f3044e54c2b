//! Fetches bars from a provider, for runs that are packed into one request.
//!
//! In: claimed runs. Out: [`FetchResult`]s: the symbols that each page completes, in one base timeframe. Holds:
//! nothing is stored here; results of earlier pages have been returned before a later page fails.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use jiff::{SignedDuration, Timestamp};
use market::{Bar, Range, Sessions, Ticker, Timeframe, grid::Grid};
use metrics::{counter, histogram};
use providers::{BarPages, BarSource, BarsRequest, FetchError, Page, budget::Urgency};
use store::{StoreError, market_sessions::Edition, runs::ClaimedRun};

use crate::{calendar_exceptions, engine::Engine, market_now::Market};

/// Longer than two bars of any timeframe, closed hours included.
const FORMING_WITHIN: SignedDuration = SignedDuration::from_hours(24 * 24);

/// Sessions before the slice that are fetched again: of daily bars a single one would be a single bar.
const OVERLAP: usize = 3;

/// The complete bars of some symbols, between fetch and commit.
#[derive(Debug)]
pub struct FetchResult<'a> {
    pub request: &'a BarsRequest,
    /// The part of the requested range that the response covers.
    pub answered: Option<Range>,
    pub provenance: String,
    pub bars: BTreeMap<Ticker, Vec<Bar>>,
    /// The market's time before the request was sent: bars that had ended then can be final.
    pub asked_at: Timestamp,
    /// The calendars that the request was computed with.
    pub calendars: Edition,
    /// Requests that no earlier result has counted.
    pub requests: u32,
}

/// A request that is ready to be sent, with the market's time and calendars it was computed with.
#[derive(Debug)]
pub struct PreparedRequest {
    pub request: BarsRequest,
    asked_at: Timestamp,
    calendars: Edition,
}

/// The response to a request, page by page.
pub struct Fetching<'a> {
    prepared: &'a PreparedRequest,
    provider: &'a str,
    pages: Box<dyn BarPages + 'a>,
    /// Bars of symbols that are not complete yet.
    partial: BTreeMap<Ticker, Vec<Bar>>,
    requests_counted: u32,
}

impl PreparedRequest {
    /// The request to `source` that serves all of `runs`. `None` without runs.
    ///
    /// # Errors
    /// If the database is unreachable.
    pub async fn new(
        engine: &Engine,
        source: &dyn BarSource,
        runs: &[ClaimedRun],
        base: Timeframe,
        urgency: Urgency,
    ) -> Result<Option<Self>, StoreError> {
        // Read after the claim, so that it is the edition that these runs were planned under, or a later one.
        let calendars = calendar_exceptions::follow(&engine.database, &engine.calendars).await?;
        let market = Market { now: engine.clock.now(), calendars: calendars.calendars.clone() };
        let by_reference: Vec<&ClaimedRun> = runs.iter().collect();
        let Some(mut request) = covering(&by_reference, base, &market, urgency) else { return Ok(None) };
        let limits = source.limits(request.asset_class);
        if limits.split_adjusted.contains(&request.timeframe)
            && let Some(calendar) = runs.first().map(|run| run.calendar)
            && let Some(before) = sessions_before(&market.sessions_of(calendar), request.range.from())
        {
            // Includes stored sessions before the slice: a split that no provider lists shows up there.
            let from = before.from().max(limits.earliest_of(request.timeframe, market.now)).min(request.range.from());
            request.range = Range::new(from, request.range.to()).unwrap_or(request.range);
        }
        Ok(Some(Self { request, asked_at: market.now, calendars }))
    }

    /// Starts fetching. Nothing is sent before the first result is polled.
    pub fn send<'a>(&'a self, source: &'a dyn BarSource) -> Fetching<'a> {
        Fetching {
            prepared: self,
            provider: &source.endpoint().provider,
            pages: source.pages(&self.request),
            partial: BTreeMap::new(),
            requests_counted: 0,
        }
    }
}

impl<'a> Fetching<'a> {
    /// Fetches one page. `None`: there are no more. A page that completes no symbol returns a result without bars.
    ///
    /// # Errors
    /// The provider's error; the requests that it cost are [`Self::uncounted_requests`].
    ///
    /// Cancel-safe: dropping the future loses nothing but the requests already sent.
    pub async fn next_page(&mut self) -> Result<Option<FetchResult<'a>>, FetchError> {
        let began = Instant::now();
        let page = self.pages.next().await;
        let outcome = match &page {
            Ok(Some(_)) => Some("ok"),
            Ok(None) => None,
            Err(error) => Some(error.code()),
        };
        if let Some(outcome) = outcome {
            let provider = self.provider.to_owned();
            counter!("barkeep_fetch_pages_total", "provider" => provider, "outcome" => outcome).increment(1);
            histogram!("barkeep_fetch_page_seconds").record(began.elapsed());
        }
        let Some(Page { bars, complete, answered, provenance }) = page? else { return Ok(None) };
        tracing::debug!(symbols = bars.len(), milliseconds = began.elapsed().as_millis(), "Fetched a page");
        for (ticker, bars) in bars {
            self.partial.entry(ticker).or_default().extend(bars);
        }
        let bars: BTreeMap<Ticker, Vec<Bar>> =
            complete.iter().map(|ticker| (ticker.clone(), self.partial.remove(ticker).unwrap_or_default())).collect();
        // Requests are counted with the symbols that they complete.
        let requests = if bars.is_empty() { 0 } else { self.uncounted_requests() };
        self.requests_counted += requests;
        let PreparedRequest { request, asked_at, calendars } = self.prepared;
        let calendars = calendars.clone();
        Ok(Some(FetchResult { request, answered, provenance, bars, asked_at: *asked_at, calendars, requests }))
    }

    /// Requests sent that no result has counted.
    pub fn uncounted_requests(&self) -> u32 {
        self.pages.requests() - self.requests_counted
    }
}

impl std::fmt::Debug for Fetching<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fetching").field("prepared", &self.prepared).finish_non_exhaustive()
    }
}

/// The request that serves all of `runs`: their tickers, from the first of their bars to the last. `None` without runs.
fn covering(runs: &[&ClaimedRun], base: Timeframe, market: &Market, urgency: Urgency) -> Option<BarsRequest> {
    let first = runs.first()?;
    let ranges =
        runs.iter().map(|run| asked_range(&market.sessions_of(run.calendar), run.timeframe, run.slice, market.now));
    let range = ranges.reduce(hull)?;
    let tickers: BTreeSet<&Ticker> = runs.iter().map(|run| &run.ticker).collect();
    Some(BarsRequest {
        asset_class: first.ticker.asset_class(),
        tickers: tickers.into_iter().cloned().collect(),
        timeframe: base,
        range,
        urgency,
    })
}

/// The range to request for a slice: from the start of its first bar (a daily bar starts at midnight, before the
/// open) to its end, or to now if only the forming bar lies between.
pub(crate) fn asked_range(sessions: &Sessions, timeframe: Timeframe, slice: Range, now: Timestamp) -> Range {
    let grid = Grid::Session(sessions.clone());
    let from = grid.bucket_of(timeframe, slice.from()).map_or(slice.from(), |b| b.from());
    let from = from.min(slice.from());
    let forming = Range::new(slice.to(), now)
        .is_ok_and(|rest| rest.duration() < FORMING_WITHIN && grid.buckets(timeframe, rest).len() <= 2);
    let to = if forming { now } else { slice.to() };
    Range::new(from, to).unwrap_or(slice)
}

/// The smallest range that encloses both.
pub(crate) fn hull(a: Range, b: Range) -> Range {
    Range::new(a.from().min(b.from()), a.to().max(b.to())).unwrap_or(a)
}

/// The last sessions closed before `at`, from the midnight before the first, where a daily bar starts.
pub fn sessions_before(sessions: &Sessions, at: Timestamp) -> Option<Range> {
    let last = sessions.previous_session(at)?;
    let mut first = last;
    for _ in 1..OVERLAP {
        first = sessions.previous_session(first.open).unwrap_or(first);
    }
    Range::new(sessions.calendar().midnight(first.date)?, last.close).ok()
}
