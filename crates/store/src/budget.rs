//! The request budget of each provider account: one count for all workers of all processes.
//!
//! In: every request before it is sent, and the rate limit in its response. Out: a permit to send it, or how long to
//! wait. In wall time. The arithmetic is in the database, under one lock per account.

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

/// The account's budget according to a response; `None` for what it doesn't say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answered {
    /// Requests per minute.
    pub limit: Option<i32>,
    /// Requests left until the reset.
    pub remaining: Option<i32>,
    /// The reset in Unix seconds as sent, and the time until then.
    pub reset: Option<(i64, Duration)>,
    /// The provider throttled the request and asked to wait this long.
    pub turned_away: Option<Duration>,
}

/// The budget of an account.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct AccountBudget {
    pub account: String,
    pub provider: String,
    pub requests_per_minute: i32,
    /// Requests that could be sent now for the foreground.
    pub left: i32,
    /// Requests that could be sent now for the background, which leaves a fifth of the limit to the foreground.
    pub left_for_background: i32,
    /// Until the next foreground request may be sent; zero: now.
    #[serde(rename = "wait_seconds", serialize_with = "seconds")]
    #[schema(value_type = f64)]
    pub wait: Duration,
    /// Nothing may be sent before this.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub blocked_until: Option<Timestamp>,
    /// `throttled` or `credentials`.
    pub blocked_reason: Option<String>,
    pub blocked_message: Option<String>,
    /// Throttled requests so far (429).
    pub turned_away: i64,
}

fn seconds<S: serde::Serializer>(wait: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(wait.as_secs_f64())
}

/// Creates the account if it doesn't exist. A limit learnt from responses is kept, unless the configured limit has
/// changed.
///
/// # Errors
/// If the database rejects the statement or is unreachable.
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

/// Why no request may be sent now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotNow {
    /// Ask again after this long; never zero.
    Wait(Duration),
    /// The provider has rejected the key, with this message; no requests are sent for a while.
    Refused(String),
}

/// Takes a permit for one request, and returns the request's id.
///
/// # Errors
/// If the database is unreachable, or there is no such account. The inner error: why not now.
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

/// Records the response to a request, and the budget it states.
///
/// # Errors
/// If the database is unreachable; the request then stays counted for a minute and a half.
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

/// Blocks the account for `wait`: the provider has rejected its key.
///
/// # Errors
/// If the database rejects the statement or is unreachable.
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

/// Unblocks an account whose key was rejected: a process that starts may have a better one, or it was fixed.
///
/// # Errors
/// If the database rejects the statement or is unreachable.
pub async fn unblock(database: &Database, account: &str) -> Result<(), StoreError> {
    let mut tx = database.begin().await?;
    query("select barkeep.block_account($1, null, null)").bind(account).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(())
}

/// The budget of that account, if it was used within a day.
///
/// # Errors
/// If the database is unreachable.
pub async fn account_budget(database: &Database, account: &str) -> Result<Option<AccountBudget>, StoreError> {
    let mut tx = database.begin().await?;
    let row = query(ACCOUNT_BUDGETS).bind(account).fetch_optional(&mut *tx).await?;
    row.as_ref().map(read).transpose()
}

/// The budgets of all accounts that were used within a day, the last used first.
///
/// # Errors
/// If the database is unreachable.
pub async fn account_budgets(database: &Database) -> Result<Vec<AccountBudget>, StoreError> {
    let mut tx = database.begin().await?;
    query(ACCOUNT_BUDGETS).bind(None::<&str>).fetch_all(&mut *tx).await?.iter().map(read).collect()
}

const ACCOUNT_BUDGETS: &str =
    "select s.account, s.provider, s.requests_per_minute, s.left_now, s.left_background, s.wait_now,
        s.blocked_until, s.blocked_reason, s.blocked_message, s.turned_away
    from barkeep.budget_standing($1) s
    join barkeep.budgets b on b.account = s.account
    where $1 is not null or b.used_at > now() - interval '1 day'";

/// Deletes accounts that were not used for a week, and returns their number.
///
/// # Errors
/// If the database rejects the statement or is unreachable.
pub async fn forget_unused(database: &Database) -> Result<u64, StoreError> {
    let mut tx = database.begin().await?;
    let gone = query("delete from barkeep.budgets where used_at < now() - interval '7 days'")
        .execute(&mut *tx)
        .await?
        .rows_affected();
    tx.commit().await?;
    Ok(gone)
}

fn read(row: &PgRow) -> Result<AccountBudget, StoreError> {
    Ok(AccountBudget {
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

/// An interval of less than a month, rounded up to the millisecond; zero for null.
fn wait(row: &PgRow, column: usize) -> Result<Duration, StoreError> {
    let Some(interval) = row.try_get::<Option<PgInterval>, _>(column)? else { return Ok(Duration::ZERO) };
    let micros = i64::from(interval.days) * 86_400_000_000 + interval.microseconds;
    Ok(Duration::from_millis(u64::try_from(micros).unwrap_or(0).div_ceil(1000)))
}
