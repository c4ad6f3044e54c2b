//! The processes of Barkeep that use this database, and their roles.

use std::{net::SocketAddr, time::Duration};

use jiff::Timestamp;
use serde::Serialize;
use sqlx::{Row, postgres::PgRow};

use crate::{
    Database, StoreError,
    row::instant,
    statement::{interval, query, query_scalar},
};

/// How often a process sends a heartbeat.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(20);

/// A process without a heartbeat for this long counts as dead.
pub const DEAD_AFTER: Duration = Duration::from_secs(70);

/// The role of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Serve,
    Plan,
    Work,
    Backfill,
}

impl Role {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Serve => "serve",
            Self::Plan => "plan",
            Self::Work => "work",
            Self::Backfill => "backfill",
        }
    }
}

/// What a process reports about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessInfo {
    /// The prefix of its worker names.
    pub name: String,
    pub parts: Vec<Role>,
    pub host: String,
    pub pid: u32,
    pub version: &'static str,
    /// Packs executed at a time.
    pub slots: u16,
    /// Where its server listens.
    pub address: Option<String>,
}

/// A process according to the database.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Process {
    pub name: String,
    pub parts: Vec<String>,
    pub host: String,
    pub pid: i32,
    pub version: String,
    pub slots: i32,
    pub address: Option<String>,
    /// Whether it receives notifications; `None`: not known yet.
    pub hears: Option<bool>,
    pub started_at: Timestamp,
    pub last_seen: Timestamp,
    pub alive: bool,
}

/// Records a heartbeat. `hears`: whether the process receives notifications.
///
/// # Errors
/// If the database rejects the statement or is unreachable.
pub async fn heartbeat(database: &Database, process: &ProcessInfo, hears: Option<bool>) -> Result<(), StoreError> {
    let mut tx = database.begin().await?;
    query(
        "insert into barkeep.processes (name, parts, host, pid, version, slots, hears, address)
        values ($1, $2, $3, $4, $5, $6, $7, $8)
        on conflict (name) do update set hears = excluded.hears, last_seen = now()",
    )
    .bind(&process.name)
    .bind(process.parts.iter().map(|part| part.as_str()).collect::<Vec<_>>())
    .bind(&process.host)
    .bind(i32::try_from(process.pid).unwrap_or(0))
    .bind(process.version)
    .bind(i32::from(process.slots))
    .bind(hears)
    .bind(&process.address)
    .execute(&mut *tx)
    .await?;
    query("delete from barkeep.processes where last_seen < now() - interval '1 day'").execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(())
}

/// Removes processes whose name begins with `prefix`: this one on exit, or earlier ones that are known to be dead.
///
/// # Errors
/// If the database rejects the statement or is unreachable.
pub async fn deregister(database: &Database, prefix: &str) -> Result<(), StoreError> {
    let mut tx = database.begin().await?;
    query("delete from barkeep.processes where starts_with(name, $1)").bind(prefix).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(())
}

/// Every process with a heartbeat within a day, the latest first.
///
/// # Errors
/// If the database is unreachable or not migrated.
pub async fn all(database: &Database) -> Result<Vec<Process>, StoreError> {
    let mut tx = database.begin().await?;
    let rows = query(
        "select name, to_jsonb(parts), host, pid, version, slots, hears, started_at, last_seen,
            last_seen > now() - $1 as alive, address
        from barkeep.processes
        order by last_seen > now() - $1 desc, started_at desc",
    )
    .bind(interval(DEAD_AFTER))
    .fetch_all(&mut *tx)
    .await?;
    rows.iter().map(read).collect()
}

/// Whether a process other than those whose name begins with `own` plans or works on this database.
///
/// # Errors
/// If the database is unreachable or not migrated.
pub async fn others_running(database: &Database, own: &str) -> Result<bool, StoreError> {
    let mut tx = database.begin().await?;
    Ok(query_scalar(
        "select exists (
            select from barkeep.processes
            where parts && '{plan,work,backfill}'::text[] and last_seen > now() - $1 and not starts_with(name, $2)
        )",
    )
    .bind(interval(DEAD_AFTER))
    .bind(own)
    .fetch_one(&mut *tx)
    .await?)
}

/// The address of the server that was started last, of those alive.
///
/// # Errors
/// If the database is unreachable or not migrated.
pub async fn server(database: &Database) -> Result<Option<SocketAddr>, StoreError> {
    let serving = all(database).await?.into_iter().filter(|process| process.alive);
    Ok(serving.filter_map(|process| process.address?.parse().ok()).next())
}

/// Whether a process other than `own` plans on this database.
///
/// # Errors
/// If the database is unreachable or not migrated.
pub async fn others_plan(database: &Database, own: &str) -> Result<bool, StoreError> {
    let mut tx = database.begin().await?;
    Ok(query_scalar(
        "select exists (
            select from barkeep.processes
            where 'plan' = any (parts) and last_seen > now() - $1 and name <> $2
        )",
    )
    .bind(interval(DEAD_AFTER))
    .bind(own)
    .fetch_one(&mut *tx)
    .await?)
}

fn read(row: &PgRow) -> Result<Process, StoreError> {
    let sqlx::types::Json(parts) = row.try_get(1)?;
    Ok(Process {
        name: row.try_get(0)?,
        parts,
        host: row.try_get(2)?,
        pid: row.try_get(3)?,
        version: row.try_get(4)?,
        slots: row.try_get(5)?,
        hears: row.try_get(6)?,
        started_at: instant(row, 7)?,
        last_seen: instant(row, 8)?,
        alive: row.try_get(9)?,
        address: row.try_get(10)?,
    })
}
