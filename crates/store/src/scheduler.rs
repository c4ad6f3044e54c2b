//! Heartbeats of the planner, and readiness.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::{Row, types::Json};

use crate::{Database, StoreError, row::instant_or_none, statement::query};

/// The name under which the planner reports.
pub const SCHEDULER: &str = "orchestrator-tick";

/// Records a heartbeat of `name`.
///
/// # Errors
/// If the database rejects the statement or is unreachable.
pub async fn heartbeat(database: &Database, name: &str, status: &str, message: &str) -> Result<(), StoreError> {
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

/// Result of a round of planning.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct PlanningRound {
    /// Series that were due.
    pub scanned: i64,
    pub slices_created: i64,
    pub duration_ms: i64,
    pub errors: Vec<String>,
}

/// Records a heartbeat of the scheduler with the result of a round of planning.
///
/// # Errors
/// If the database rejects the statement or is unreachable.
pub async fn record_round(
    database: &Database,
    status: &str,
    message: &str,
    results: &PlanningRound,
) -> Result<(), StoreError> {
    let mut tx = database.begin().await?;
    query(
        "insert into public.orchestrator_heartbeat as held (name, last_seen, status, message, updated_at, rounds, results)
        values ($1, clock_timestamp(), $2, $3, clock_timestamp(), 1, $4)
        on conflict (name) do update
        set last_seen = excluded.last_seen, status = excluded.status, message = excluded.message,
            updated_at = excluded.updated_at, rounds = held.rounds + 1, results = excluded.results",
    )
    .bind(SCHEDULER)
    .bind(status)
    .bind(message)
    .bind(Json(results))
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(())
}

/// The scheduler's last round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastRound {
    /// Number of rounds so far.
    pub number: i64,
    /// `None`: there was none since the schema was created.
    pub results: Option<PlanningRound>,
    pub seen: Option<Timestamp>,
}

/// # Errors
/// If the database is unreachable or not migrated.
pub async fn last_round(database: &Database) -> Result<LastRound, StoreError> {
    let mut tx = database.begin().await?;
    let row = query("select rounds, results, last_seen from public.orchestrator_heartbeat where name = $1")
        .bind(SCHEDULER)
        .fetch_one(&mut *tx)
        .await?;
    Ok(LastRound {
        number: row.try_get(0)?,
        results: row.try_get::<Option<Json<PlanningRound>>, _>(1)?.map(|json| json.0),
        seen: instant_or_none(&row, 2)?,
    })
}

/// Wakes the planners of all processes.
///
/// # Errors
/// If the database is unreachable.
pub async fn wake(database: &Database) -> Result<(), StoreError> {
    let mut tx = database.begin().await?;
    query("select barkeep.wake()").execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(())
}

/// The scheduler's status before its first round.
pub const STARTING: &str = "starting";

/// The scheduler's status while the provider can't be reached; the message gives the reason.
pub const WAITING: &str = "waiting for the provider";

/// The scheduler's status after it has stopped.
pub const STOPPED: &str = "stopped";

/// The data for `/readyz`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// Seconds since the planner's last heartbeat; `None` if there was none.
    pub scheduler_seen_secs_ago: Option<i64>,
    pub scheduler_status: String,
    pub scheduler_message: Option<String>,
}

/// Asks the database whether the scheduler is alive.
///
/// # Errors
/// If the database is unreachable or not migrated.
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
