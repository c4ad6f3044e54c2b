//! A bar under the short names that Alpaca and Massive give its fields.
//!
//! In: JSON as sent. Out: a [`Bar`]. Holds: a field that is missing is an error, one that is no number is the check of bars'
//! concern; the average and the trade count may be missing.

use jiff::Timestamp;
use market::Bar;
use serde::Deserialize;

use crate::number::Number;

/// Start (in the provider's own form), prices, volume, trade count, volume-weighted average price.
#[derive(Debug, Deserialize)]
pub(crate) struct ShortBar<T> {
    pub(crate) t: T,
    o: Number,
    h: Number,
    l: Number,
    c: Number,
    v: Number,
    n: Option<Number>,
    vw: Option<Number>,
}

impl<T> ShortBar<T> {
    /// The bar, which starts at what `t` means.
    pub(crate) fn starting(self, start: Timestamp) -> Bar {
        Bar {
            start,
            open: self.o.value(),
            high: self.h.value(),
            low: self.l.value(),
            close: self.c.value(),
            volume: self.v.value(),
            vwap: self.vw.and_then(Number::finite),
            trade_count: self.n.and_then(Number::count),
        }
    }
}

impl From<ShortBar<Timestamp>> for Bar {
    fn from(sent: ShortBar<Timestamp>) -> Self {
        let start = sent.t;
        sent.starting(start)
    }
}
