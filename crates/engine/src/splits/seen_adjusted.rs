//! What a process has seen providers adjust for: it stays adjusted.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use jiff::civil::Date;
use market::{Ticker, Timeframe};

/// A provider, and what it has adjusted: a ticker's bars of a timeframe, for the split of a day.
type Adjustment = (String, Ticker, Timeframe, Date);

/// The adjustments that a process has seen.
#[derive(Clone, Debug, Default)]
pub struct SeenAdjusted(Arc<Mutex<HashSet<Adjustment>>>);

impl SeenAdjusted {
    pub(super) fn has(&self, key: &Adjustment) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(key)
    }

    pub(super) fn insert(&self, key: Adjustment) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
    }
}
