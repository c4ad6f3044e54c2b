//! Who is alive.

use sqlx::Row;

use crate::{Database, StoreError, statement::query};

/// The name under which the planner reports.
pub const SCHEDULER: &str = "orchestrator-tick";

/// Notes that `name` lives.
///
/// # Errors
/// Where the database refuses or is gone.
pub async fn beat(database: &Database, name: &str, status: &str, message: &str) -> Result<(), StoreError> {
    let mut tx = database.begin().await?;
    query(
        "insert into public.orchestrator_heartbeat (name, last_seen, status, message, updated_at)
        values ($1, clock_timestamp(), $2, $3, clock_timestamp())
        on conflict (name) do update
        set last_seen = excluded.last_seen, status = excluded.status, message = excluded.message,
            updated_at = excluded.updated_at",
    )
    .bind(name)
    .bind(status)
    .bind(message)
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(())
}

/// The scheduler's status before its first round.
pub const STARTING: &str = "starting";

/// The scheduler's status after its end.
pub const STOPPED: &str = "stopped";

/// What `/readyz` wants to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// Seconds since the planner was last seen; `None` where it never was.
    pub scheduler_seen_secs_ago: Option<i64>,
    pub scheduler_status: String,
    pub scheduler_message: Option<String>,
}

/// Asks the database whether it is there and the scheduler alive.
///
/// # Errors
/// Where the database is gone or not migrated.
pub async fn readiness(database: &Database) -> Result<Readiness, StoreError> {
    let mut tx = database.begin().await?;
    let row = query(
        "select extract(epoch from clock_timestamp() - last_seen)::bigint, status, message
        from public.orchestrator_heartbeat where name = $1",
    )
    .bind(SCHEDULER)
    .fetch_one(&mut *tx)
    .await?;
    Ok(Readiness {
        scheduler_seen_secs_ago: row.try_get(0)?,
        scheduler_status: row.try_get(1)?,
        scheduler_message: row.try_get(2)?,
    })
}
