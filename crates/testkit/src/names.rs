//! What the names of databases on the run's server say, and how a database is named and dropped.

use anyhow::Context;
use sqlx::{AssertSqlSafe, Executor, PgConnection};

/// The process that made the test database of this name.
pub(crate) fn maker(name: &str) -> Option<u32> {
    name.strip_prefix("t_")?.split('_').next()?.parse().ok()
}

pub(crate) async fn drop_database(admin: &mut PgConnection, name: &str) -> anyhow::Result<()> {
    admin.execute(AssertSqlSafe(drop_statement(name))).await.with_context(|| format!("could not drop {name}"))?;
    Ok(())
}

/// Drops the database with any connections that are left.
pub(crate) fn drop_statement(name: &str) -> String {
    format!("drop database if exists {} with (force)", quoted(name))
}

/// As an SQL identifier.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
