//! Provider health: failures and circuits, shared by all processes, and the ranks of feeds.

use jiff::Timestamp;
use serde::Serialize;
use sqlx::Row;
use utoipa::ToSchema;

use crate::{
    Database, StoreError,
    row::instant_or_none,
    statement::{query, query_scalar},
};

/// After this many failures in a row a provider's circuit opens.
pub const FAILING: i32 = 3;

/// The health of one provider account.
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
    /// The end of the circuit's open period.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub resting_until: Option<Timestamp>,
    /// The provider was unreachable at the last failure.
    pub unreachable: bool,
}

/// Records a failed request that was the provider's fault; returns the number of failures in a row. `unreachable`:
/// the provider could not be reached at all.
///
/// # Errors
/// If the database rejects the statement or is unreachable.
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

/// Whether this caller may probe a provider whose circuit is open: only one at a time may.
///
/// # Errors
/// If the database rejects the statement or is unreachable.
pub async fn begin_probe(database: &Database, account: &str) -> Result<bool, StoreError> {
    let mut tx = database.begin().await?;
    let may = query_scalar("select barkeep.try_provider($1)").bind(account).fetch_one(&mut *tx).await?;
    tx.commit().await?;
    Ok(may)
}

/// Records a successful response, which closes the circuit.
///
/// # Errors
/// If the database rejects the statement or is unreachable.
pub async fn record_success(database: &Database, account: &str, provider: &str) -> Result<(), StoreError> {
    let mut tx = database.begin().await?;
    query("select barkeep.provider_answered($1, $2)").bind(account).bind(provider).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(())
}

/// The health of all providers that were ever used with this database.
///
/// # Errors
/// If the database is unreachable or not migrated.
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

/// Ranks feeds, the best first. Feeds that are not listed keep their ranks.
///
/// # Errors
/// If the database rejects the statement or is unreachable.
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
