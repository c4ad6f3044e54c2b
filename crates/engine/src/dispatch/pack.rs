//! Chooses the runs of one request: as many symbols and as long a range as saves requests.
//!
//! In: the next run of the queue (the head), other candidates, and the provider's limits. Out: the chosen runs and
//! the base timeframe to request. A request is a rectangle: all its symbols over all its range. Holds: the head is
//! always chosen; no run is added that costs a request more than it saves; a pack is no longer than a few pages.

use std::collections::{BTreeMap, BTreeSet};

use market::{Range, Sessions, Ticker, Timeframe};
use providers::Limits;
use store::runs::{Place, QueuedRun};
use uuid::Uuid;

use crate::{
    bases::{Rows, bases_of},
    fetch::{asked_range, hull},
    market_now::Market,
    providers::routes::has_bars,
};

/// Pages are fetched one after the other: a longer pack would occupy a slot for too long.
const MOST_PAGES: usize = 5;

/// A pack whose pages are this full is not extended: several shorter packs can be fetched in parallel.
const FULL_ENOUGH: f64 = 0.9;

/// Rows of a symbol that return quickly: a foreground request for the newest slice is not extended beyond this.
const ROWS_AT_ONCE: usize = 500;

/// The chosen runs and their request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pack {
    /// In the order in which they were added: the head first.
    pub runs: Vec<Uuid>,
    /// The base timeframe to request.
    pub base: Timeframe,
    pub range: Range,
    pub tickers: BTreeSet<Ticker>,
    /// The maximum number of rows, and the pages that they fill.
    pub rows: usize,
    pub pages: usize,
}

/// What the choice depends on.
#[derive(Clone, Copy, Debug)]
pub struct Packer<'a> {
    pub limits: &'a Limits,
    pub rows: &'a Rows,
    pub market: &'a Market,
    /// All runs have the same scope: background and foreground runs may be mixed freely.
    pub mixed: bool,
}

impl Packer<'_> {
    /// Chooses among `candidates`, the first of which is the head. `None`: there is no candidate, or the provider has
    /// no timeframe to resample the head from.
    pub fn pack(&self, candidates: &[QueuedRun]) -> Option<Pack> {
        let (head, others) = candidates.split_first()?;
        let mut pack = Growing::new(self, head)?;
        // Runs of the head's kind (foreground or background) first; the others are added only if they cost little.
        let (same, other): (Vec<_>, Vec<_>) =
            others.iter().partition(|run| self.mixed || run.by_interest == head.by_interest);
        for kind in [same, other] {
            let mut left: Vec<&QueuedRun> = Vec::with_capacity(kind.len());
            for run in kind {
                // Runs of the head's symbol that overlap its slice are added first.
                let touches = run.place == Place::Own && run.slice.intersection(&head.slice).is_some();
                if !(touches && pack.add_if_it_saves(run)) {
                    left.push(run);
                }
            }
            pack.fill(&mut left);
            for run in left {
                pack.add_if_it_saves(run);
            }
        }
        Some(pack.finish())
    }
}

/// A pack while runs are being added.
#[derive(Debug)]
struct Growing<'a> {
    by: &'a Packer<'a>,
    head: &'a QueuedRun,
    runs: Vec<&'a QueuedRun>,
    tickers: BTreeSet<&'a Ticker>,
    /// The base timeframes that all of the runs can be resampled from, the coarsest first.
    bases: Vec<Timeframe>,
    range: Range,
    rows: usize,
    /// How many rows of one symbol the range may grow to.
    reach: usize,
}

impl<'a> Growing<'a> {
    fn new(by: &'a Packer<'a>, head: &'a QueuedRun) -> Option<Self> {
        let bases = bases_of(head.timeframe, &by.sessions(head), by.limits);
        let range = by.requested_range(head);
        let rows = by.rows.of(range, &by.sessions(head), *bases.first()?);
        let waited_for = head.by_interest && rows <= ROWS_AT_ONCE && !by.mixed;
        let reach = if waited_for { ROWS_AT_ONCE } else { usize::MAX };
        Some(Self { by, head, runs: vec![head], tickers: BTreeSet::from([&head.ticker]), bases, range, rows, reach })
    }

    /// Adds a run if one request for all takes fewer pages than a separate request for it.
    fn add_if_it_saves(&mut self, run: &'a QueuedRun) -> bool {
        let Some(grown) = self.extended_by(run) else { return false };
        let limit = MOST_PAGES.max(self.pages(self.rows));
        let alone = self.pages(self.by.rows_alone(run));
        let saves = self.pages(grown.rows) < self.pages(self.rows) + alone && self.pages(grown.rows) <= limit;
        if saves && self.may_join(run, grown.rows) && grown.reach <= self.reach {
            (self.bases, self.range, self.rows) = (grown.bases, grown.range, grown.rows);
            self.tickers.insert(&run.ticker);
            self.runs.push(run);
            return true;
        }
        false
    }

    /// Adds whole symbols that need exactly the requested range, while that fills pages: no requested row is
    /// unneeded.
    fn fill(&mut self, left: &mut Vec<&'a QueuedRun>) {
        let Some(base) = self.bases.first().copied() else { return };
        let each = self.by.rows.of(self.range, &self.by.sessions(self.head), base);
        let mut by_symbol: BTreeMap<&Ticker, (usize, Vec<&'a QueuedRun>)> = BTreeMap::new();
        for (order, run) in left.iter().enumerate() {
            let fits = self.range.encloses(&self.by.requested_range(run))
                && bases_of(run.timeframe, &self.by.sessions(run), self.by.limits).contains(&base)
                && run.calendar == self.head.calendar
                && self.by.has_history(run)
                && !self.tickers.contains(&run.ticker);
            if fits {
                by_symbol.entry(&run.ticker).or_insert((order, Vec::new())).1.push(run);
            }
        }
        let mut symbols: Vec<_> = by_symbol.into_values().collect();
        symbols.sort_by_key(|(order, _)| *order);
        symbols.retain(|(_, runs)| runs.iter().map(|run| self.by.rows_alone(run)).max() >= Some(each));

        let mut added: Vec<(Vec<&'a QueuedRun>, usize)> = Vec::new();
        let mut rows = self.rows;
        for (_, runs) in symbols {
            let grown = rows + each;
            let all = self.tickers.len() + added.len();
            if all >= self.symbols_at_most() || self.pages(grown) > MOST_PAGES {
                break;
            }
            if runs.iter().all(|run| self.may_join(run, grown)) {
                added.push((runs, grown));
                rows = grown;
            }
        }
        added.truncate(self.where_pages_are_full(&added));
        for (runs, rows) in added {
            self.rows = rows;
            self.tickers.extend(runs.iter().map(|run| &run.ticker));
            left.retain(|run| !runs.iter().any(|added| added.id == run.id));
            self.runs.extend(runs);
        }
    }

    /// How many of the symbols to take: all if they fit on one page, else the fewest that fill their pages well
    /// enough, or the number that fills them best.
    fn where_pages_are_full(&self, added: &[(Vec<&QueuedRun>, usize)]) -> usize {
        let totals: Vec<usize> = std::iter::once(self.rows).chain(added.iter().map(|(_, rows)| *rows)).collect();
        if totals.last().is_none_or(|rows| self.pages(*rows) <= 1) {
            return added.len();
        }
        let filled = |rows: usize| rows as f64 / (self.pages(rows) * self.by.limits.rows_per_page) as f64;
        let mut best = 0;
        for (count, rows) in totals.iter().enumerate() {
            let ends_a_page = totals.get(count + 1).is_none_or(|next| self.pages(*next) > self.pages(*rows));
            if ends_a_page && filled(*rows) >= filled(totals[best]) {
                best = count;
            }
            if ends_a_page && filled(*rows) >= FULL_ENOUGH {
                return count;
            }
        }
        best
    }

    /// Whether a run of the other kind than the head may be added: background runs must not delay a foreground
    /// request, nor foreground runs extend a background request by much.
    fn may_join(&self, run: &QueuedRun, rows: usize) -> bool {
        self.by.mixed || run.by_interest == self.head.by_interest || rows <= self.by.limits.rows_per_page / 4
    }

    /// A quarter as many symbols for each failure: a symbol that spoils the request for all ends up alone.
    fn symbols_at_most(&self) -> usize {
        let halvings = u32::try_from(2 * self.head.failures).unwrap_or(0);
        self.by.limits.symbols_per_request.checked_shr(halvings).unwrap_or(0).max(1)
    }

    /// The pack with that run added; `None` if it can't be.
    fn extended_by(&self, run: &QueuedRun) -> Option<Grown> {
        if run.calendar != self.head.calendar || !self.by.has_history(run) {
            return None;
        }
        let more = usize::from(!self.tickers.contains(&run.ticker));
        let symbols = self.tickers.len() + more;
        if symbols > self.symbols_at_most() {
            return None;
        }
        let run_bases = bases_of(run.timeframe, &self.by.sessions(run), self.by.limits);
        let bases: Vec<_> = self.bases.iter().copied().filter(|base| run_bases.contains(base)).collect();
        let range = hull(self.range, self.by.requested_range(run));
        let each = self.by.rows.of(range, &self.by.sessions(self.head), *bases.first()?);
        Some(Grown { bases, range, rows: symbols * each, reach: each })
    }

    fn pages(&self, rows: usize) -> usize {
        rows.div_ceil(self.by.limits.rows_per_page.max(1)).max(1)
    }

    fn finish(self) -> Pack {
        Pack {
            runs: self.runs.iter().map(|run| run.id).collect(),
            base: self.bases.first().copied().unwrap_or(self.head.timeframe),
            range: self.range,
            tickers: self.tickers.iter().map(|ticker| (*ticker).clone()).collect(),
            rows: self.rows,
            pages: self.pages(self.rows),
        }
    }
}

#[derive(Debug)]
struct Grown {
    bases: Vec<Timeframe>,
    range: Range,
    rows: usize,
    reach: usize,
}

impl Packer<'_> {
    fn sessions(&self, run: &QueuedRun) -> Sessions {
        self.market.sessions_of(run.calendar)
    }

    /// Whether the provider's history goes back far enough.
    fn has_history(&self, run: &QueuedRun) -> bool {
        has_bars(self.limits, run.timeframe, &self.sessions(run), run.slice.from(), self.market.now)
    }

    fn requested_range(&self, run: &QueuedRun) -> Range {
        asked_range(&self.sessions(run), run.timeframe, run.slice, self.market.now)
    }

    /// Rows of a request for this run alone.
    fn rows_alone(&self, run: &QueuedRun) -> usize {
        let sessions = self.sessions(run);
        let base = bases_of(run.timeframe, &sessions, self.limits).first().copied();
        base.map_or(0, |base| self.rows.of(self.requested_range(run), &sessions, base))
    }
}

#[cfg(test)]
#[path = "pack_tests.rs"]
mod tests;
