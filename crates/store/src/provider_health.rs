//! How the providers fare, shared by all processes, and whose bars are better.

use jiff::Timestamp;
use serde::Serialize;
use sqlx::Row;
use utoipa::ToSchema;

use crate::{
    Database, StoreError,
    row::instant_or_none,
    statement::{query, query_scalar},
};

/// From this many failures in a row on a provider rests.
pub const FAILING: i32 = 3;

/// How one provider fares, by its account.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ProviderHealth {
    pub account: String,
    pub provider: String,
    /// Failures in a row.
    pub failures: i32,
    pub last_error: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_failed_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_good_at: Option<Timestamp>,
    /// Until then it is left alone.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub resting_until: Option<Timestamp>,
    /// Nobody was there at all, the last time.
    pub unreachable: bool,
}

/// Notes that a request failed, and not by our fault; returns how many in a row by now. `unreachable`: nobody was there at
/// all.
///
/// # Errors
/// Where the database refuses or is gone.
pub async fn record_failure(
    database: &Database,
    account: &str,
    provider: &str,
    message: &str,
    unreachable: bool,
) -> Result<i32, StoreError> {
    let mut tx = database.begin().await?;
    let in_a_row = query_scalar("select barkeep.provider_failed($1, $2, $3, $4)")
        .bind(account)
        .bind(provider)
        .bind(message)
        .bind(unreachable)
        .fetch_one(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(in_a_row)
}

/// Whether a provider that has failed again and again may be tried: by one at a time.
///
/// # Errors
/// Where the database refuses or is gone.
pub async fn begin_probe(database: &Database, account: &str) -> Result<bool, StoreError> {
    let mut tx = database.begin().await?;
    let may = query_scalar("select barkeep.try_provider($1)").bind(account).fetch_one(&mut *tx).await?;
    tx.commit().await?;
    Ok(may)
}

/// Notes that it has answered.
///
/// # Errors
/// Where the database refuses or is gone.
pub async fn record_success(database: &Database, account: &str, provider: &str) -> Result<(), StoreError> {
    let mut tx = database.begin().await?;
    query("select barkeep.provider_answered($1, $2)").bind(account).bind(provider).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(())
}

/// How all of them fare that were ever asked here.
///
/// # Errors
/// Where the database is gone or not migrated.
pub async fn all(database: &Database) -> Result<Vec<ProviderHealth>, StoreError> {
    let mut tx = database.begin().await?;
    let rows = query(
        "select account, provider, failures, last_error, last_failed_at, last_good_at, resting_until, unreachable
        from barkeep.provider_health
        order by account",
    )
    .fetch_all(&mut *tx)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(ProviderHealth {
                account: row.try_get(0)?,
                provider: row.try_get(1)?,
                failures: row.try_get(2)?,
                last_error: row.try_get(3)?,
                last_failed_at: instant_or_none(row, 4)?,
                last_good_at: instant_or_none(row, 5)?,
                resting_until: instant_or_none(row, 6)?,
                unreachable: row.try_get(7)?,
            })
        })
        .collect()
}

/// Ranks feeds: those named first are the better ones. What is not named keeps the rank that it has.
///
/// # Errors
/// Where the database refuses or is gone.
pub async fn rank_feeds(database: &Database, feeds: &[String]) -> Result<(), StoreError> {
    let mut tx = database.begin().await?;
    query(
        "insert into barkeep.feeds as held (feed, rank)
        select distinct on (f.feed) f.feed, f.rank::int from unnest($1::text[]) with ordinality as f (feed, rank)
        order by f.feed, f.rank
        on conflict (feed) do update set rank = excluded.rank where held.rank <> excluded.rank",
    )
    .bind(feeds)
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(())
}
