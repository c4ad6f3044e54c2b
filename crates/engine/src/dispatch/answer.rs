//! What a page of a provider's answer brought, on its way from fetch to commit.

use std::collections::BTreeMap;

use jiff::Timestamp;
use market::{Bar, Range, Ticker};
use providers::BarsRequest;
use store::sessions::Edition;

/// What came for some symbols, whole.
pub struct Brought<'a> {
    pub request: &'a BarsRequest,
    /// The part of the asked range that was answered for.
    pub answered: Option<Range>,
    pub provenance: String,
    pub bars: BTreeMap<Ticker, Vec<Bar>>,
    /// The market's time before the request went out: what had ended by then can be final.
    pub asked_at: Timestamp,
    /// The calendars that the request was made by.
    pub calendars: Edition,
    /// Not counted with others before.
    pub requests: u32,
}
