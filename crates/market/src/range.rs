//! Half-open ranges of instants.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

/// `[from, to)`: from before to, both UTC instants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Range {
    from: Timestamp,
    to: Timestamp,
}

/// A range would have to end after it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{from} to {to} isn't a valid range: it must end after it begins")]
pub struct EmptyRange {
    pub from: Timestamp,
    pub to: Timestamp,
}

impl Range {
    /// # Errors
    /// [`EmptyRange`] where `from` isn't before `to`.
    pub fn new(from: Timestamp, to: Timestamp) -> Result<Self, EmptyRange> {
        if from < to { Ok(Self { from, to }) } else { Err(EmptyRange { from, to }) }
    }

    /// For bounds whose order is known from how they were made.
    pub(crate) fn ordered(from: Timestamp, to: Timestamp) -> Self {
        debug_assert!(from < to, "{from} to {to} is no range");
        Self { from, to }
    }

    pub fn from(&self) -> Timestamp {
        self.from
    }

    pub fn to(&self) -> Timestamp {
        self.to
    }

    pub fn duration(&self) -> SignedDuration {
        self.to.duration_since(self.from)
    }

    pub fn contains(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.to
    }

    pub fn encloses(&self, other: &Self) -> bool {
        self.from <= other.from && other.to <= self.to
    }

    /// What both have in common.
    pub fn intersection(&self, other: &Self) -> Option<Self> {
        Self::new(self.from.max(other.from), self.to.min(other.to)).ok()
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}, {})", self.from, self.to)
    }
}
