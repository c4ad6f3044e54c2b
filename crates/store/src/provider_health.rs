//! Provider health: failures and circuits, shared by all processes, and the ranks of feeds.

use jiff::{SignedDuration, Timestamp};
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

/// A provider that is used and fails has failed within this time: it is probed more often.
const RECENTLY: SignedDuration = SignedDuration::from_mins(10);

/// The health of one provider account.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ProviderHealth {
    pub account: String,
    pub provider: String,
    /// Failures in a row.
    pub failures: i32,
    /// The first of them.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub failing_since: Option<Timestamp>,
    /// How many of the last of them were no answers at all: server errors, timeouts and refused connections.
    pub unanswered: i32,
    pub last_error: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_failed_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_good_at: Option<Timestamp>,
    /// While the circuit is open: no request before.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub resting_until: Option<Timestamp>,
    /// The provider was unreachable at the last failure.
    pub unreachable: bool,
}

impl ProviderHealth {
    /// Whether the circuit is open.
    pub fn is_failing(&self) -> bool {
        self.failures >= FAILING
    }

    /// Whether that was so a moment ago: of a provider that nobody uses any more nothing is learnt.
    pub fn is_failing_now(&self) -> bool {
        let recently = Timestamp::now().checked_sub(RECENTLY);
        self.is_failing() && self.last_failed_at.is_some_and(|at| recently.is_ok_and(|recently| at > recently))
    }

    /// Whether it answers nobody.
    pub fn is_down(&self) -> bool {
        self.unanswered >= FAILING
    }
}

/// How a provider failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failed {
    /// Its answer was bad.
    BadAnswer,
    /// It gave no answer, or a server error in place of one.
    NoAnswer {
        /// It could not be reached at all.
        unreachable: bool,
    },
}

/// Records a failed request that was the provider's fault; returns the number of failures in a row.
///
/// # Errors
/// If the database rejects the statement or is unreachable.
pub async fn record_failure(
    database: &Database,
    account: &str,
    provider: &str,
    message: &str,
    failed: Failed,
) -> Result<i32, StoreError> {
    let mut tx = database.begin().await?;
    let in_a_row = query_scalar("select barkeep.provider_failed($1, $2, $3, $4, $5)")
        .bind(account)
        .bind(provider)
        .bind(message)
        .bind(matches!(failed, Failed::NoAnswer { .. }))
        .bind(matches!(failed, Failed::NoAnswer { unreachable: true }))
        .fetch_one(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(in_a_row)
}

/// Whether this caller may probe a provider whose circuit is open: one request in 15 s may.
///
/// # Errors
/// If the database rejects the statement or is unreachable.
pub async fn begin_probe(database: &Database, account: &str) -> Result<bool, StoreError> {
    let mut tx = database.begin().await?;
    let may = query_scalar("select barkeep.try_provider($1)").bind(account).fetch_one(&mut *tx).await?;
    tx.commit().await?;
    Ok(may)
}

/// The request that [`begin_probe`] allowed was not sent: another caller may probe.
///
/// # Errors
/// If the database rejects the statement or is unreachable.
pub async fn give_up_probe(database: &Database, account: &str) -> Result<(), StoreError> {
    let mut tx = database.begin().await?;
    query("select barkeep.provider_not_tried($1)").bind(account).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(())
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
        "select account, provider, failures, last_error, last_failed_at, last_good_at, resting_until, unreachable,
            failing_since, unanswered
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
                failing_since: instant_or_none(row, 8)?,
                unanswered: row.try_get(9)?,
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
