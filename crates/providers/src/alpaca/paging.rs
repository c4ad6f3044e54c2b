//! Assembles the pages of one request.
//!
//! In: pages as they arrive. Out: each page's bars by ticker, which tickers are complete then, and the token of the
//! next page. Holds: only a `null` token ends the pages, short and empty pages don't; and they end: no token is
//! followed twice, and the numbers of rows and of pages without anything new are bounded by the range and its
//! tickers. Rows are ordered by symbol: a symbol is complete when rows of another follow, and must not return.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use jiff::{SignedDuration, Timestamp};
use market::{Bar, Range, Ticker, Timeframe};

use super::wire::{self, BarsPage, ROWS_PER_PAGE};

/// The pages of one request so far.
#[derive(Debug)]
pub(super) struct Pages {
    tickers: BTreeMap<String, Ticker>,
    /// Whose bars came with the last page that had any.
    begun: BTreeSet<Ticker>,
    complete: BTreeSet<Ticker>,
    newest: BTreeMap<Ticker, Timestamp>,
    tokens: HashSet<String>,
    rows: usize,
    rows_allowed: usize,
    idle_pages_left: usize,
}

impl Pages {
    pub(super) fn new(tickers: &[Ticker], timeframe: Timeframe, range: Range) -> Self {
        let step =
            timeframe.step().unwrap_or(SignedDuration::from_hours(if timeframe == Timeframe::W1 { 168 } else { 24 }));
        let tickers: BTreeMap<_, _> = tickers.iter().map(|ticker| (wire::symbol(ticker), ticker.clone())).collect();
        let steps = |length: SignedDuration| {
            usize::try_from(range.duration().as_secs() / length.as_secs().max(1)).unwrap_or(usize::MAX)
        };
        let rows = tickers.len().saturating_mul(steps(step).saturating_add(2));
        let months = steps(SignedDuration::from_hours(30 * 24)).saturating_add(1);
        Self {
            begun: BTreeSet::new(),
            complete: BTreeSet::new(),
            newest: BTreeMap::new(),
            tokens: HashSet::new(),
            rows: 0,
            // Twice as many and a page: rows sent twice or outside the range are for the caller to judge.
            rows_allowed: rows.saturating_mul(2).saturating_add(ROWS_PER_PAGE),
            // A server may answer month by month, also for tickers without a single trade.
            idle_pages_left: tickers.len().saturating_mul(months).saturating_add(16),
            tickers,
        }
    }

    /// The `symbols` parameter: each ticker once.
    pub(super) fn symbols(&self) -> String {
        self.tickers.keys().map(String::as_str).collect::<Vec<_>>().join(",")
    }

    /// Adds a page.
    ///
    /// # Errors
    /// What is invalid about the page.
    pub(super) fn add(&mut self, page: BarsPage) -> Result<Added, String> {
        let mut added: BTreeMap<Ticker, Vec<Bar>> = BTreeMap::new();
        let mut something_new = false;
        for (symbol, bars) in page.bars.into_iter().flatten() {
            let ticker =
                self.tickers.get(&symbol).ok_or_else(|| format!("bars of {symbol}, which we didn't ask for"))?;
            if bars.is_empty() {
                continue;
            }
            if self.complete.contains(ticker) {
                return Err(format!("bars of {symbol} once more, after those of others: they should come together"));
            }
            self.rows = self.rows.saturating_add(bars.len());
            let bars: Vec<Bar> = bars.into_iter().map(Bar::from).collect();
            let newest = bars.iter().map(|bar| bar.start).max();
            if self.newest.get(ticker).copied() < newest {
                self.newest.extend(newest.map(|newest| (ticker.clone(), newest)));
                something_new = true;
            }
            added.insert(ticker.clone(), bars);
        }
        let mut complete = Vec::new();
        if !added.is_empty() {
            let begun = std::mem::replace(&mut self.begun, added.keys().cloned().collect());
            complete.extend(begun.into_iter().filter(|ticker| !added.contains_key(ticker)));
            self.complete.extend(complete.iter().cloned());
        }
        let Some(token) = page.next_page_token else {
            complete.extend(self.tickers.values().filter(|ticker| !self.complete.contains(ticker)).cloned());
            return Ok(Added { bars: added, complete, token: None });
        };
        if token.is_empty() {
            return Err("an empty next_page_token, which neither ends the pages nor leads on".to_owned());
        }
        if self.rows > self.rows_allowed {
            return Err(format!("{} rows and still a next page, more than the range can hold", self.rows));
        }
        if !something_new {
            self.idle_pages_left = self
                .idle_pages_left
                .checked_sub(1)
                .ok_or("page after page with a next_page_token and nothing new: they don't end")?;
        }
        if !self.tokens.insert(token.clone()) {
            return Err("a next_page_token for the second time: its pages run in a circle".to_owned());
        }
        Ok(Added { bars: added, complete, token: Some(token) })
    }
}

/// The contents of a page.
#[derive(Debug)]
pub(super) struct Added {
    pub(super) bars: BTreeMap<Ticker, Vec<Bar>>,
    /// Tickers without further bars; none is named twice.
    pub(super) complete: Vec<Ticker>,
    /// The token of the next page; `None` after the last.
    pub(super) token: Option<String>,
}

#[cfg(test)]
#[path = "paging_tests.rs"]
mod tests;
