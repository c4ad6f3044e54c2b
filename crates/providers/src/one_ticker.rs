//! The pages of one ticker, window by window, for providers that take one ticker at a time.
//!
//! In: a [`BarsRequest`], and a provider's request and response formats ([`OneTicker`]). Out: its pages, oldest
//! window first. Holds: a bar belongs to the window that contains its start, so that bars sent beyond a window are
//! not repeated; links to next pages end; the ticker is complete with the last page and not before.

use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    time::Duration,
};

use jiff::SignedDuration;
use market::{AssetClass, Bar, Range, Ticker, Timeframe};
use reqwest::Url;

use crate::{
    BarPages, BarsRequest, FetchError, Page,
    connection::Connection,
    http::{Answer, PATIENCE_BETWEEN_PAGES},
};

/// The maximum number of linked pages in one window; no window needs more.
const MOST_PAGES: usize = 200;

/// Bars that start so close to a window may come with its own: the last one before it, or a week's that contains it.
const NEAR: SignedDuration = SignedDuration::from_hours(8 * 24);

/// A provider's request and response formats.
pub(crate) trait OneTicker: Send + Sync {
    fn connection(&self) -> &Connection;

    fn timeframes(&self, asset_class: AssetClass) -> &'static [Timeframe];

    /// After the provenance's slash.
    fn feed(&self, query: &WindowQuery<'_>) -> String;

    /// The longest range of one request.
    fn longest(&self, timeframe: Timeframe) -> Option<SignedDuration>;

    /// The part of `range` that the provider supplies now; may shrink with what is learnt from responses.
    fn available_range(&self, range: Range) -> Option<Range> {
        Some(range)
    }

    fn request_url(&self, query: &WindowQuery<'_>) -> Result<Url, FetchError>;

    fn read(&self, query: &WindowQuery<'_>, answer: &Answer) -> Result<Reading, FetchError>;
}

/// The bars of one ticker in one window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WindowQuery<'a> {
    pub(crate) ticker: &'a Ticker,
    pub(crate) timeframe: Timeframe,
    pub(crate) window: Range,
    /// Whether the response continues an earlier one of the same window.
    pub(crate) continued: bool,
}

/// The contents of a response.
pub(crate) enum Reading {
    Part {
        /// As sent.
        bars: Vec<Bar>,
        /// The address of the rest of the window.
        next: Option<Url>,
    },
    /// The newest part is delayed: the rest of [`OneTicker::available_range`] is requested instead, or else this is
    /// returned.
    HeldBack(FetchError),
}

impl Reading {
    /// All bars of a window.
    pub(crate) fn complete(bars: Vec<Bar>) -> Self {
        Self::Part { bars, next: None }
    }
}

/// The state of one request.
pub(crate) struct Windows<'a, S> {
    source: &'a S,
    request: &'a BarsRequest,
    stage: Stage<'a>,
    spent: u32,
}

enum Stage<'a> {
    New,
    Under(Box<Under<'a>>),
    Ended,
}

struct Under<'a> {
    ticker: &'a Ticker,
    answered: Range,
    /// Still to be requested, the current one first.
    windows: VecDeque<Range>,
    /// The rest of the current window.
    next: Option<Url>,
    /// Links that were followed within it.
    followed: HashSet<Url>,
}

impl<'a, S: OneTicker> Windows<'a, S> {
    pub(crate) fn new(source: &'a S, request: &'a BarsRequest) -> Self {
        Self { source, request, stage: Stage::New, spent: 0 }
    }

    fn begin(&mut self) -> Result<Option<Page>, FetchError> {
        let ticker = self.source.connection().check(self.request, |class| self.source.timeframes(class))?;
        self.source.connection().need_key()?;
        let Some(answered) = self.source.available_range(self.request.range) else {
            return Ok(Some(self.nothing(ticker)));
        };
        let windows = windows(answered, self.source.longest(self.request.timeframe));
        let under = Under { ticker, answered, windows, next: None, followed: HashSet::new() };
        self.stage = Stage::Under(Box::new(under));
        Ok(None)
    }

    /// Nothing of the range could be requested yet.
    fn nothing(&mut self, ticker: &Ticker) -> Page {
        self.stage = Stage::Ended;
        let query =
            WindowQuery { ticker, timeframe: self.request.timeframe, window: self.request.range, continued: false };
        let provenance = self.source.connection().provenance(&self.source.feed(&query));
        Page { bars: BTreeMap::new(), complete: vec![ticker.clone()], answered: None, provenance }
    }

    async fn ask(&mut self) -> Result<Option<Page>, FetchError> {
        let Stage::Under(under) = &mut self.stage else { return Ok(None) };
        let Some(window) = under.windows.front().copied() else { return Ok(None) };
        let (connection, ticker) = (self.source.connection(), under.ticker);
        let next = under.next.take();
        let query = WindowQuery { ticker, timeframe: self.request.timeframe, window, continued: next.is_some() };
        let url = match next {
            Some(next) => next,
            None => self.source.request_url(&query)?,
        };
        let patience = if self.spent == 0 { Duration::ZERO } else { PATIENCE_BETWEEN_PAGES };
        let answer = connection.get(url, self.request.urgency, patience, &mut self.spent).await?;
        match self.source.read(&query, &answer)? {
            Reading::HeldBack(error) => {
                let available = self.source.available_range(self.request.range);
                let Some(available) = available else { return Ok(Some(self.nothing(ticker))) };
                // Just refused without a change.
                if available == under.answered {
                    return Err(error);
                }
                under.answered = available;
                let left = Range::new(window.from(), available.to()).ok();
                let longest = self.source.longest(self.request.timeframe);
                under.windows = left.map(|left| windows(left, longest)).unwrap_or_default();
                Ok(if under.windows.is_empty() { Some(self.page(&query, Vec::new())) } else { None })
            }
            Reading::Part { bars, next } => {
                under.next = next;
                match &under.next {
                    Some(next) => {
                        if !under.followed.insert(next.clone()) || under.followed.len() > MOST_PAGES {
                            return Err(connection.http.bad_data("links to next pages that don't end"));
                        }
                    }
                    None => {
                        under.windows.pop_front();
                        under.followed.clear();
                    }
                }
                if let Some(other) = of_another_range(&bars, &query) {
                    return Err(answer.bad_data(&connection.http, &other));
                }
                let within = bars.into_iter().filter(|bar| window.contains(bar.start)).collect();
                Ok(Some(self.page(&query, within)))
            }
        }
    }

    fn page(&mut self, query: &WindowQuery<'_>, bars: Vec<Bar>) -> Page {
        let provenance = self.source.connection().provenance(&self.source.feed(query));
        let mut page = Page { bars: BTreeMap::new(), complete: Vec::new(), answered: None, provenance };
        if !bars.is_empty() {
            page.bars.insert(query.ticker.clone(), bars);
        }
        if let Stage::Under(under) = &self.stage {
            page.answered = Some(under.answered);
            if under.windows.is_empty() {
                page.complete.push(query.ticker.clone());
                self.stage = Stage::Ended;
            }
        }
        page
    }

    async fn step(&mut self) -> Result<Option<Page>, FetchError> {
        loop {
            let page = match &self.stage {
                Stage::Ended => return Ok(None),
                Stage::New => self.begin()?,
                Stage::Under(_) => self.ask().await?,
            };
            if page.is_some() {
                return Ok(page);
            }
        }
    }
}

/// Bars that are all far from the window are the answer to another request. Some
/// providers send the last candle before a window.
fn of_another_range(bars: &[Bar], query: &WindowQuery<'_>) -> Option<String> {
    let window = query.window;
    let is_far =
        |bar: &Bar| window.from().duration_since(bar.start) > NEAR || bar.start.duration_since(window.to()) > NEAR;
    let first = bars.first().filter(|_| bars.iter().all(is_far))?;
    Some(format!(
        "bars of another range, from {}, where {} to {} was asked for",
        first.start,
        window.from(),
        window.to()
    ))
}

/// Splits `range` into windows of at most `longest`, oldest first.
fn windows(range: Range, longest: Option<SignedDuration>) -> VecDeque<Range> {
    let mut windows = VecDeque::new();
    let mut from = range.from();
    loop {
        let to = longest.and_then(|longest| from.checked_add(longest).ok()).unwrap_or(range.to()).min(range.to());
        let Ok(window) = Range::new(from, to) else { return windows };
        windows.push_back(window);
        from = to;
    }
}

#[async_trait::async_trait]
impl<S: OneTicker> BarPages for Windows<'_, S> {
    async fn next(&mut self) -> Result<Option<Page>, FetchError> {
        let page = self.step().await;
        if page.is_err() {
            self.stage = Stage::Ended;
        }
        page
    }

    fn requests(&self) -> u32 {
        self.spent
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn windows_tile_the_range_exactly(seconds in 1_i64..10_000_000, longest in proptest::option::of(3_600_i64..10_000_000)) {
            let from: jiff::Timestamp = "2026-03-02T00:00:00Z".parse().unwrap();
            let range = Range::new(from, from + SignedDuration::from_secs(seconds)).unwrap();
            let windows = windows(range, longest.map(SignedDuration::from_secs));
            prop_assert_eq!(windows.front().unwrap().from(), range.from());
            prop_assert_eq!(windows.back().unwrap().to(), range.to());
            for (a, b) in windows.iter().zip(windows.iter().skip(1)) {
                prop_assert_eq!(a.to(), b.from());
            }
            prop_assert!(windows.iter().all(|w| longest.is_none_or(|longest| w.duration().as_secs() <= longest)));
        }
    }
}
