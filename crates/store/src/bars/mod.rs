//! Bars: the one module that knows their table.
//!
//! In: bars of series, with their provenance. Out: bars, and the closes that lists show. The counterpart in SQL is
//! the migration `bars`: reading, counting, the latest bar, whether there are any, expected against stored, deleting.
//! All other code uses one of the two, so a change of the storage of bars is a change of these two places.

pub(crate) mod around;
pub mod quotes;
mod read;
mod write;

use market::{Bar, Timeframe};
use serde::Serialize;
use uuid::Uuid;

pub use read::{closes_before, read};
pub use write::{delete, quarantine, store};

/// The table's name, for checks of its privileges and policies.
pub(crate) const TABLE: &str = "public.ohlc_bars_v2";

/// A bar and whether it is final.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ShapedBar {
    pub bar: Bar,
    /// False until its end plus the provider's grace has passed.
    pub is_final: bool,
}

/// A stored bar.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StoredBar {
    #[serde(flatten)]
    pub bar: Bar,
    /// Provider and feed: `alpaca/sip`.
    pub provider: String,
    pub is_final: bool,
}

/// Bars of one series, to be stored.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesBars<'a> {
    pub symbol_id: Uuid,
    pub timeframe: Timeframe,
    pub bars: &'a [ShapedBar],
}

/// An invalid bar, as sent.
#[derive(Clone, Debug, PartialEq)]
pub struct InvalidBar {
    pub bar: Bar,
    pub reason: String,
}
