//! The queue: slices in, claims out, outcomes fenced.
//!
//! A claim is a lease. Whoever lets it run out can no longer write: every outcome names worker and attempt, and is
//! refused where they aren't the current ones.

mod claims;
mod outcomes;

use std::time::Duration;

use market::{Calendar, Range, Ticker, Timeframe};
use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

use crate::{
    Database, ServiceTx, StoreError,
    definitions::Definition,
    row::{parsed, range},
    statement::{query, query_scalar},
};

pub use claims::{claim_pack, lock, release, renew, retry_credentials};
pub use outcomes::{finish, plan_again, readmit_failed, record_failure, retry_failed};

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// What people asked for, then background work.
    InterestFirst,
    /// Nothing else than what people asked for.
    InterestOnly,
    /// The share that is kept for background work: that first.
    BackgroundFirst,
}

impl Order {
    /// Whether by interest, one kind after the other.
    fn kinds(self) -> &'static [bool] {
        match self {
            Self::InterestFirst => &[true, false],
            Self::InterestOnly => &[true],
            Self::BackgroundFirst => &[false, true],
        }
    }
}

/// Why a run is looked at for a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Its turn has come.
    Head,
    /// Another run of the head's symbol.
    Own,
    /// Of another symbol, and ends where the head or one of its own does.
    Alike,
    /// Its turn comes next.
    Next,
}

/// A run that could be claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedRun {
    pub place: Place,
    pub id: Uuid,
    pub ticker: Ticker,
    pub symbol_id: Uuid,
    pub calendar: Calendar,
    pub timeframe: Timeframe,
    pub slice: Range,
    pub by_interest: bool,
    pub priority: i32,
    pub failures: i32,
}

/// A run that this worker holds until its lease ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedRun {
    pub id: Uuid,
    pub worker: String,
    pub attempt: i32,
    pub failures: i32,
    pub ticker: Ticker,
    pub symbol_id: Uuid,
    pub timeframe: Timeframe,
    pub calendar: Calendar,
    pub slice: Range,
    pub by_interest: bool,
}

impl ClaimedRun {
    /// As it stood in the queue, as far as is known.
    pub fn as_queued(&self) -> QueuedRun {
        QueuedRun {
            place: Place::Head,
            id: self.id,
            ticker: self.ticker.clone(),
            symbol_id: self.symbol_id,
            calendar: self.calendar,
            timeframe: self.timeframe,
            slice: self.slice,
            by_interest: self.by_interest,
            priority: 0,
            failures: self.failures,
        }
    }
}

/// What a run brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome<'a> {
    pub run: &'a ClaimedRun,
    /// The part of the slice that the provider answered for. `None`: nothing of it could be asked for yet.
    pub covered: Option<Range>,
    pub rows: u64,
    /// Requests that are this run's to count: of a pack the first run has them all.
    pub requests: u32,
}

/// How a run that brought nothing goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub code: &'static str,
    pub message: String,
    pub retry_after: Duration,
    /// The provider or its answer is to blame: five of these end the run.
    pub counts: bool,
    /// No use in trying again.
    pub terminal: bool,
    pub requests: u32,
}

/// Slices to be queued for a definition, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slices<'a> {
    pub definition: &'a Definition,
    pub slices: Vec<Range>,
    pub triggered_by: &'a str,
}

/// Queues slices, less what is queued, running or lately failed. Returns how many rows it made.
///
/// # Errors
/// Where the database refuses or is gone.
pub async fn enqueue(tx: &mut ServiceTx, wanted: &[Slices<'_>]) -> Result<u64, StoreError> {
    let slices = wanted.iter().map(|w| {
        w.slices.iter().map(|s| serde_json::json!({ "from": s.from(), "to": s.to() })).collect::<serde_json::Value>()
    });
    // In the order in which series are locked.
    let queued: i64 = query_scalar(
        "select coalesce(sum((
            select e.inserted_count
            from public.enqueue_job_slices(w.id, w.symbol, w.timeframe, barkeep.job_type(w.timeframe), w.slices, w.by) e
        )), 0)
        from (
            select * from unnest($1::uuid[], $2::text[], $3::text[], $4::jsonb[], $5::text[])
                as u (id, symbol, timeframe, slices, by)
            order by u.symbol, u.timeframe
        ) w",
    )
    .bind(wanted.iter().map(|w| w.definition.id).collect::<Vec<_>>())
    .bind(wanted.iter().map(|w| w.definition.ticker.as_str()).collect::<Vec<_>>())
    .bind(wanted.iter().map(|w| w.definition.timeframe.as_str()).collect::<Vec<_>>())
    .bind(slices.collect::<Vec<_>>())
    .bind(wanted.iter().map(|w| w.triggered_by).collect::<Vec<_>>())
    .fetch_one(&mut **tx)
    .await?;
    Ok(u64::try_from(queued).unwrap_or(0))
}

/// Every run that is queued now, in the order in which they would be claimed first, as the head's candidates. At most
/// `limit`.
///
/// # Errors
/// Where the database is gone.
pub async fn all_queued(database: &Database, limit: i64) -> Result<Vec<QueuedRun>, StoreError> {
    let mut tx = database.begin().await?;
    let rows = query(
        "select 'next', r.id, r.symbol, s.id, s.calendar, r.timeframe, r.slice_from, r.slice_to, r.by_interest,
            r.priority, r.failures
        from public.job_runs r
        join public.symbols s on s.ticker = r.symbol
        where r.status = 'queued'
        order by r.by_interest desc, r.rank_at, r.slice_to desc, r.id
        limit $1",
    )
    .bind(limit)
    .fetch_all(&mut *tx)
    .await?;
    rows.iter().map(queued).collect()
}

fn ids(runs: &[ClaimedRun]) -> Vec<Uuid> {
    runs.iter().map(|run| run.id).collect()
}

fn attempts(runs: &[ClaimedRun]) -> Vec<i32> {
    runs.iter().map(|run| run.attempt).collect()
}

fn queued(row: &PgRow) -> Result<QueuedRun, StoreError> {
    Ok(QueuedRun {
        place: match row.try_get(0)? {
            "head" => Place::Head,
            "own" => Place::Own,
            "alike" => Place::Alike,
            _ => Place::Next,
        },
        id: row.try_get(1)?,
        ticker: parsed(row, 2)?,
        symbol_id: row.try_get(3)?,
        calendar: parsed(row, 4)?,
        timeframe: parsed(row, 5)?,
        slice: range(row, 6)?,
        by_interest: row.try_get(8)?,
        priority: row.try_get(9)?,
        failures: row.try_get(10)?,
    })
}
