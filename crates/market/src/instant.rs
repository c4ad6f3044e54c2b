//! Parses instants from arguments and query strings.

use jiff::{Timestamp, civil::Date, civil::Time, tz::TimeZone};

/// An instant, or a date for its UTC midnight.
///
/// # Errors
/// The expected form, as the end of a sentence.
pub fn instant(text: &str) -> Result<Timestamp, String> {
    if let Ok(instant) = text.parse() {
        return Ok(instant);
    }
    text.parse::<Date>()
        .ok()
        .and_then(|date| TimeZone::UTC.to_timestamp(date.to_datetime(Time::midnight())).ok())
        .ok_or_else(|| "a time such as 2026-11-23T14:30:00Z or a date such as 2026-11-23 is expected".to_owned())
}
