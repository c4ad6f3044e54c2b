//! What each account with a provider still allows: one count for all workers of all processes.
//!
//! In: every request before it is sent, and what its answer says. Out: leave to send, or how long to wait. Wall time. The
//! arithmetic stands in the database, under one lock an account.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use sqlx::{
    Row,
    postgres::{PgRow, types::PgInterval},
};

use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    Database, StoreError,
    row::instant_or_none,
    statement::{interval, query},
};

/// What an answer says of the account's budget; `None` where it is silent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answered {
    /// Requests per minute.
    pub limit: Option<i32>,
    /// Requests left until the reset.
    pub remaining: Option<i32>,
    /// Unix seconds as sent, and how far off that is.
    pub reset: Option<(i64, Duration)>,
    /// The request was turned away, and nothing is to be sent for so long.
    pub turned_away: Option<Duration>,
}

/// How an account stands.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Standing {
    pub account: String,
    pub provider: String,
    pub requests_per_minute: i32,
    /// Requests that could be sent now for what people ask for.
    pub left: i32,
    /// Requests that could be sent now for background work, which leaves a fifth of the limit to the others.
    pub left_for_background: i32,
    /// Until the next request may be sent for what people ask for; zero: now.
    #[serde(rename = "wait_seconds", serialize_with = "seconds")]
    #[schema(value_type = f64)]
    pub wait: Duration,
    /// Nothing may be sent before.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub blocked_until: Option<Timestamp>,
    /// `throttled` or `credentials`.
    pub blocked_reason: Option<String>,
    pub blocked_message: Option<String>,
    /// Requests that were turned away so far (429).
    pub turned_away: i64,
}

fn seconds<S: serde::Serializer>(wait: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(wait.as_secs_f64())
}

/// Makes sure that there is an account of that name. What was learnt of its limit stays, unless it comes with another one
/// than last time.
///
/// # Errors
/// Where the database refuses or is gone.
pub async fn open(
    database: &Database,
    account: &str,
    provider: &str,
    requests_per_minute: u32,
) -> Result<(), StoreError> {
    let mut tx = database.begin().await?;
    query("select barkeep.open_account($1, $2, $3)")
        .bind(account)
        .bind(provider)
        .bind(i32::try_from(requests_per_minute).unwrap_or(i32::MAX))
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(())
}

/// No leave to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotNow {
    /// Ask again then; never zero.
    Wait(Duration),
    /// The provider has refused the key, in these words, and is left alone for a while.
    Refused(String),
}

/// Leave for one request, by its name.
///
/// # Errors
/// Where the database is gone, or there is no such account. The inner error: why not now.
pub async fn take(database: &Database, account: &str, background: bool) -> Result<Result<Uuid, NotNow>, StoreError> {
    let mut tx = database.begin().await?;
    let row = query("select request_id, wait, refused from barkeep.take_request($1, $2)")
        .bind(account)
        .bind(background)
        .fetch_one(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(match (row.try_get::<Option<Uuid>, _>(0)?, row.try_get::<Option<String>, _>(2)?) {
        (Some(request), _) => Ok(request),
        (None, Some(words)) => Err(NotNow::Refused(words)),
        (None, None) => Err(NotNow::Wait(wait(&row, 1)?.max(Duration::from_millis(1)))),
    })
}

/// Notes that a request was answered, and what the answer says.
///
/// # Errors
/// Where the database is gone; the request then stays counted for a minute and a half.
pub async fn record_response(
    database: &Database,
    account: &str,
    request: Uuid,
    says: Answered,
) -> Result<(), StoreError> {
    let mut tx = database.begin().await?;
    query("select barkeep.request_answered($1, $2, $3, $4, $5, $6, $7)")
        .bind(account)
        .bind(request)
        .bind(says.limit)
        .bind(says.remaining)
        .bind(says.reset.map(|(unix, _)| unix))
        .bind(says.reset.map(|(_, after)| interval(after)))
        .bind(says.turned_away.map(interval))
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(())
}

/// Sends nothing on that account for `wait`: the provider refuses its key.
///
/// # Errors
/// Where the database refuses or is gone.
pub async fn block(database: &Database, account: &str, wait: Duration, message: &str) -> Result<(), StoreError> {
    let mut tx = database.begin().await?;
    query("select barkeep.block_account($1, $2, $3)")
        .bind(account)
        .bind(interval(wait))
        .bind(message)
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(())
}

/// Tries an account whose key was refused again at once: whoever starts may bring better ones, or it was mended.
///
/// # Errors
/// Where the database refuses or is gone.
pub async fn unblock(database: &Database, account: &str) -> Result<(), StoreError> {
    let mut tx = database.begin().await?;
    query("select barkeep.block_account($1, null, null)").bind(account).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(())
}

/// How that account stands; of all accounts those used within a day.
///
/// # Errors
/// Where the database is gone.
pub async fn account_budget(database: &Database, account: &str) -> Result<Option<Standing>, StoreError> {
    let mut tx = database.begin().await?;
    let row = query(STANDING).bind(account).fetch_optional(&mut *tx).await?;
    row.as_ref().map(read).transpose()
}

/// How every account stands that was used within a day, the latest first.
///
/// # Errors
/// Where the database is gone.
pub async fn account_budgets(database: &Database) -> Result<Vec<Standing>, StoreError> {
    let mut tx = database.begin().await?;
    query(STANDING).bind(None::<&str>).fetch_all(&mut *tx).await?.iter().map(read).collect()
}

const STANDING: &str = "select s.account, s.provider, s.requests_per_minute, s.left_now, s.left_background, s.wait_now,
        s.blocked_until, s.blocked_reason, s.blocked_message, s.turned_away
    from barkeep.budget_standing($1) s
    join barkeep.budgets b on b.account = s.account
    where $1 is not null or b.used_at > now() - interval '1 day'";

/// Forgets accounts that nobody has used for a week. Returns how many.
///
/// # Errors
/// Where the database refuses or is gone.
pub async fn forget_unused(database: &Database) -> Result<u64, StoreError> {
    let mut tx = database.begin().await?;
    let gone = query("delete from barkeep.budgets where used_at < now() - interval '7 days'")
        .execute(&mut *tx)
        .await?
        .rows_affected();
    tx.commit().await?;
    Ok(gone)
}

fn read(row: &PgRow) -> Result<Standing, StoreError> {
    Ok(Standing {
        account: row.try_get(0)?,
        provider: row.try_get(1)?,
        requests_per_minute: row.try_get(2)?,
        left: row.try_get(3)?,
        left_for_background: row.try_get::<i32, _>(4)?.max(0),
        wait: wait(row, 5)?,
        blocked_until: instant_or_none(row, 6)?,
        blocked_reason: row.try_get(7)?,
        blocked_message: row.try_get(8)?,
        turned_away: row.try_get(9)?,
    })
}

/// An interval of less than a month, rounded up to the millisecond; zero where there is none.
fn wait(row: &PgRow, column: usize) -> Result<Duration, StoreError> {
    let Some(interval) = row.try_get::<Option<PgInterval>, _>(column)? else { return Ok(Duration::ZERO) };
    let micros = i64::from(interval.days) * 86_400_000_000 + interval.microseconds;
    Ok(Duration::from_millis(u64::try_from(micros).unwrap_or(0).div_ceil(1000)))
}
