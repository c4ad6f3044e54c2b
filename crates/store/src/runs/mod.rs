//! The queue: slices in, claims out, outcomes fenced.
//!
//! A claim is a lease. A worker whose lease ran out can't write any more: every outcome names worker and attempt, and
//! is rejected unless they are the current ones.

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

pub use claims::{claim_pack, lock, release, renew, retry_waiting};
pub use outcomes::{finish, plan_again, readmit_failed, record_failure, retry_failed};

/// The order of claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Foreground runs, then background runs.
    InterestFirst,
    /// Foreground runs only.
    InterestOnly,
    /// Background runs first: for their reserved share.
    BackgroundFirst,
}

impl Order {
    /// Foreground (`true`) and background, in the order in which they are tried.
    fn kinds(self) -> &'static [bool] {
        match self {
            Self::InterestFirst => &[true, false],
            Self::InterestOnly => &[true],
            Self::BackgroundFirst => &[false, true],
        }
    }
}

/// Why a run is a candidate for a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The next run of the queue.
    Head,
    /// Another run of the head's symbol.
    Own,
    /// A run of another symbol with the same end as the head or one of its symbol's runs.
    Alike,
    /// The next runs after the head.
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

/// A run that this worker holds until its lease runs out.
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
    /// The run as it was in the queue, as far as is known.
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

/// The outcome of a successful run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome<'a> {
    pub run: &'a ClaimedRun,
    /// The part of the slice that the provider answered for. `None`: nothing of it could be asked for yet.
    pub covered: Option<Range>,
    pub rows: u64,
    /// Requests counted with this run: the first run of a pack has all of them.
    pub requests: u32,
}

/// What a failure counts for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Blame {
    /// Nothing: the run is requeued unchanged.
    Nobody,
    /// The request or its response: five of these fail the run for good.
    Request,
    /// This account gave no answer. While it answers nobody that counts for nothing; a run that it doesn't answer three
    /// times while it answers others is to blame.
    Unanswered {
        account: String,
        /// The answer began, and broke off.
        in_part: bool,
    },
}

/// How a failed run continues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub code: &'static str,
    pub message: String,
    pub retry_after: Duration,
    pub blame: Blame,
    /// Retrying is of no use.
    pub terminal: bool,
    pub requests: u32,
}

/// Slices to queue for a definition, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slices<'a> {
    pub definition: &'a Definition,
    pub slices: Vec<Range>,
    pub triggered_by: &'a str,
}

/// Queues slices, except for what is queued, running or recently failed. Returns the number of runs.
///
/// # Errors
/// If the database rejects the statement or is unreachable.
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

/// All queued runs, in the order in which they would be claimed as heads. At most `limit`.
///
/// # Errors
/// If the database is unreachable.
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
