//! What the simulator has received, for tests and measurements.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

const MINUTE: Duration = Duration::from_secs(60);

/// Counters since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Requests by route: `/v2/stocks/bars`, `/v2/assets/{symbol}`, ...; unrouted ones are under `other`. The
    /// simulator's own `/v1/market-sim` isn't counted.
    pub requests: BTreeMap<String, u64>,
    /// Requests of each route that a fault fell on.
    pub faulted: BTreeMap<String, u64>,
    /// Responses with status 429: beyond the limit, or by a fault.
    pub throttled: u64,
    /// The highest number of requests within any 60 seconds, refused ones included.
    pub busiest_minute: u32,
}

impl Stats {
    /// Requests over all routes.
    pub fn total(&self) -> u64 {
        self.requests.values().sum()
    }

    /// Requests to one route that a fault fell on.
    pub fn faulted(&self, route: &str) -> u64 {
        self.faulted.get(route).copied().unwrap_or(0)
    }

    /// Requests to one route; 0 where there were none.
    pub fn to(&self, route: &str) -> u64 {
        self.requests.get(route).copied().unwrap_or(0)
    }
}

/// A request as received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub at: Instant,
    /// Path and query, as sent.
    pub uri: String,
}

/// How many of the latest requests are kept.
const REMEMBERED: usize = 10_000;

/// Keeps [`Stats`] up to date.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) stats: Stats,
    pub(crate) seen: VecDeque<Seen>,
    /// When the requests of the last 60 seconds arrived.
    recent: VecDeque<Instant>,
}

impl Tally {
    /// Counts a fault that fell on a request of that route.
    pub(crate) fn count_fault(&mut self, route: &str) {
        *self.stats.faulted.entry(route.to_owned()).or_default() += 1;
    }

    /// Counts a request, and returns its number, from 0.
    pub(crate) fn count(&mut self, route: &str, uri: String, now: Instant) -> u64 {
        let number = self.stats.total();
        if self.seen.len() == REMEMBERED {
            self.seen.pop_front();
        }
        self.seen.push_back(Seen { at: now, uri });
        match self.stats.requests.get_mut(route) {
            Some(count) => *count += 1,
            None => drop(self.stats.requests.insert(route.to_owned(), 1)),
        }
        while self.recent.front().is_some_and(|first| now.saturating_duration_since(*first) >= MINUTE) {
            self.recent.pop_front();
        }
        self.recent.push_back(now);
        let recent = u32::try_from(self.recent.len()).unwrap_or(u32::MAX);
        self.stats.busiest_minute = self.stats.busiest_minute.max(recent);
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_minute_may_begin_at_any_second() {
        let mut tally = Tally::default();
        let start = Instant::now();
        for (number, second) in [0, 50, 59, 61, 109, 111, 400].into_iter().enumerate() {
            assert_eq!(tally.count("/a", "/a".to_owned(), start + Duration::from_secs(second)), number as u64);
        }
        // 50, 59, 61, 109.
        assert_eq!(tally.stats.busiest_minute, 4);
        assert_eq!((tally.stats.total(), tally.stats.to("/a"), tally.stats.to("/b")), (7, 7, 0));
    }
}
