//! Typed access to columns.

use std::{fmt::Display, str::FromStr};

use jiff::Timestamp;
use market::Range;
use sqlx::{Row, postgres::PgRow};

use crate::{StoreError, instant::Instant};

/// A text column that contains a ticker, a timeframe or the like.
pub(crate) fn parsed<T>(row: &PgRow, column: usize) -> Result<T, StoreError>
where
    T: FromStr,
    T::Err: Display,
{
    let text: String = row.try_get(column)?;
    text.parse().map_err(|error: T::Err| StoreError::Corrupt(error.to_string()))
}

pub(crate) fn instant(row: &PgRow, column: usize) -> Result<Timestamp, StoreError> {
    Ok(row.try_get::<Instant, _>(column)?.0)
}

pub(crate) fn instant_or_none(row: &PgRow, column: usize) -> Result<Option<Timestamp>, StoreError> {
    Ok(row.try_get::<Option<Instant>, _>(column)?.map(|i| i.0))
}

/// Two consecutive timestamptz columns.
pub(crate) fn range(row: &PgRow, column: usize) -> Result<Range, StoreError> {
    Range::new(instant(row, column)?, instant(row, column + 1)?).map_err(|error| StoreError::Corrupt(error.to_string()))
}
