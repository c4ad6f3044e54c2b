//! Bars in and out: the one module that knows how they lie.
//!
//! In: bars of series, with their provenance. Out: bars, and the closes that lists show. The same in SQL is the migration
//! `bars`: reading, counting, the latest, whether there are any, expected against stored, deleting. Everything else asks one
//! of the two, so whoever changes how bars lie on disk, or where, changes it in these two places.

pub mod quotes;
mod read;
mod write;

use market::{Bar, Timeframe};
use serde::Serialize;
use uuid::Uuid;

pub use read::{closes_before, read};
pub use write::{delete, quarantine, store};

/// The table, for those who look at tables as such: their rights, their policies.
pub(crate) const TABLE: &str = "public.ohlc_bars_v2";

/// A bar and whether it may still change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ShapedBar {
    pub bar: Bar,
    /// False while its end plus the provider's grace has not passed.
    pub is_final: bool,
}

/// A bar as stored.
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

/// A bar that can't be true, as sent.
#[derive(Clone, Debug, PartialEq)]
pub struct InvalidBar {
    pub bar: Bar,
    pub reason: String,
}
