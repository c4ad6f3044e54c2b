//! One minute of trading, and sums of minutes.
//!
//! Holds: volume and turnover are whole numbers, so that sums are exact and a coarse bar doesn't depend on the order
//! or grouping of its minutes.

/// The smallest unit of a share or coin, and of a price, as its reciprocal.
pub(crate) const PARTS: u128 = 100_000_000;

/// Open, high, low and close of a minute or of several, with what was traded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Minute {
    /// Unix seconds.
    pub(crate) start: i64,
    pub(crate) open: f64,
    pub(crate) high: f64,
    pub(crate) low: f64,
    pub(crate) close: f64,
    /// In [`PARTS`] of a share or coin.
    pub(crate) volume: u128,
    /// Volume times price, in [`PARTS`] of both; 0 if unknown.
    pub(crate) turnover: u128,
    /// 0 if unknown: a minute without a trade doesn't exist.
    pub(crate) trades: u64,
}

impl Minute {
    /// Adds a later minute.
    pub(crate) fn add(&mut self, next: &Self) {
        self.high = self.high.max(next.high);
        self.low = self.low.min(next.low);
        self.close = next.close;
        self.volume += next.volume;
        self.turnover += next.turnover;
        self.trades += next.trades;
    }

    /// Shares or coins.
    pub(crate) fn volume(&self) -> f64 {
        match self.volume % PARTS {
            0 => (self.volume / PARTS) as f64,
            _ => self.volume as f64 / PARTS as f64,
        }
    }

    /// Volume-weighted average price, to six decimals; `None` if the turnover is unknown.
    pub(crate) fn vwap(&self) -> Option<f64> {
        const MILLIONTH: u128 = PARTS / 1_000_000;
        let unit = self.volume.checked_mul(MILLIONTH).filter(|unit| *unit > 0)?;
        (self.turnover > 0).then(|| ((self.turnover + unit / 2) / unit) as f64 / 1e6)
    }

    pub(crate) fn trade_count(&self) -> Option<u64> {
        (self.trades > 0).then_some(self.trades)
    }
}
