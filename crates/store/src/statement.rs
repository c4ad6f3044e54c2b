//! Unnamed statements: a named one stays on the connection that prepared it, where it is a leak, and behind a
//! transaction-mode pooler that connection serves another client in the next transaction.
//!
//! A cache of capacity 0 alone is not enough: sqlx names every statement that isn't marked as not persistent.

use std::time::Duration;

use sqlx::{
    Postgres,
    postgres::{PgArguments, PgRow, types::PgInterval},
    query::{Query, QueryScalar},
};

/// As [`sqlx::query`], unnamed.
pub(crate) fn query(sql: &'static str) -> Query<'static, Postgres, PgArguments> {
    sqlx::query(sql).persistent(false)
}

/// As [`sqlx::query_scalar`], unnamed.
pub(crate) fn query_scalar<O>(sql: &'static str) -> QueryScalar<'static, Postgres, O, PgArguments>
where
    (O,): for<'r> sqlx::FromRow<'r, PgRow>,
{
    sqlx::query_scalar(sql).persistent(false)
}

pub(crate) fn interval(duration: Duration) -> PgInterval {
    PgInterval { months: 0, days: 0, microseconds: i64::try_from(duration.as_micros()).unwrap_or(i64::MAX) }
}
