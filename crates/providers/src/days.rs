//! Days in New York, for providers that use dates.

use jiff::{SignedDuration, Timestamp, civil::Date};
use market::{Calendar, Range};

/// The first and the last day in New York that `range` touches.
pub(crate) fn days_of(range: Range) -> (Date, Date) {
    let last = range.to().checked_sub(SignedDuration::from_nanos(1)).unwrap_or(range.from());
    (Calendar::Xnys.date_of(range.from()), Calendar::Xnys.date_of(last))
}

/// The midnight in New York before that instant: where a daily bar starts.
pub(crate) fn midnight_of(at: Timestamp) -> Option<Timestamp> {
    Calendar::Xnys.midnight(Calendar::Xnys.date_of(at))
}
