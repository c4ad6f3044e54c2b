//! One bar, and what makes it invalid.

use jiff::Timestamp;
use serde::Serialize;

/// Open, high, low, close and volume of `[start, next start)`.
///
/// Prices are in the quote currency, unadjusted; `start` is UTC; `volume` is shares or base units.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bar {
    pub start: Timestamp,
    pub open: f64,
    pub high: f64,
    pub low: f64,
    pub close: f64,
    pub volume: f64,
    /// Volume-weighted average price, where the provider sends it.
    pub vwap: Option<f64>,
    pub trade_count: Option<i64>,
}

/// Why a bar is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum BarDefect {
    #[error("a price is not a positive finite number")]
    Price,
    #[error("the high is below the open, low or close")]
    High,
    #[error("the low is above the open or close")]
    Low,
    #[error("the volume is negative or not a number")]
    Volume,
    #[error("the trade count is negative")]
    TradeCount,
}

impl Bar {
    /// Checks what must hold of every bar, whatever the market.
    ///
    /// # Errors
    /// The first [`BarDefect`] found.
    pub fn check(&self) -> Result<(), BarDefect> {
        let price = |p: f64| p.is_finite() && p > 0.0;
        if ![self.open, self.high, self.low, self.close].into_iter().all(price) {
            return Err(BarDefect::Price);
        }
        if self.high < self.open.max(self.close).max(self.low) {
            return Err(BarDefect::High);
        }
        if self.low > self.open.min(self.close) {
            return Err(BarDefect::Low);
        }
        if !self.volume.is_finite() || self.volume < 0.0 || self.vwap.is_some_and(|v| !v.is_finite() || v < 0.0) {
            return Err(BarDefect::Volume);
        }
        if self.trade_count.is_some_and(|n| n < 0) {
            return Err(BarDefect::TradeCount);
        }
        Ok(())
    }
}
