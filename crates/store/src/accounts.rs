//! Users who sign in with a password, where Barkeep keeps the users itself. Hashes are computed and compared
//! elsewhere.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use sqlx::Row;
use uuid::Uuid;

use crate::{
    Database, StoreError,
    row::{instant, instant_or_none},
    statement::{interval, query, query_scalar},
    users,
};

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Account {
    pub id: Uuid,
    pub email: String,
    pub created_at: Timestamp,
    /// When the password was last changed; `None` without a password.
    pub password_since: Option<Timestamp>,
    /// Number of symbols that the user tracks, from any source.
    pub symbols: i64,
}

/// All users but the anonymous one, by address.
///
/// # Errors
/// If the database is unreachable or not migrated, or its users are Supabase's.
pub async fn all(database: &Database) -> Result<Vec<Account>, StoreError> {
    users::ensure_ours(database).await?;
    let mut tx = database.begin().await?;
    let rows = query(
        "select u.id, u.email, u.created_at, p.changed_at,
            (select count(distinct t.symbol_id) from public.user_symbol_tracking t where t.user_id = u.id)
        from auth.users u
        left join barkeep.passwords p on p.user_id = u.id
        where u.id <> $1 and u.email is not null
        order by u.email",
    )
    .bind(users::ANONYMOUS)
    .fetch_all(&mut *tx)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Account {
                id: row.try_get(0)?,
                email: row.try_get(1)?,
                created_at: instant(row, 2)?,
                password_since: instant_or_none(row, 3)?,
                symbols: row.try_get(4)?,
            })
        })
        .collect()
}

/// Sets a user's password, replacing the previous one; the user's browsers are signed out.
///
/// # Errors
/// If the database rejects the statement or is unreachable, or its users are Supabase's.
pub async fn set_password(database: &Database, user: Uuid, hash: &str) -> Result<(), StoreError> {
    users::ensure_ours(database).await?;
    let mut tx = database.begin().await?;
    query(
        "insert into barkeep.passwords (user_id, hash) values ($1, $2)
        on conflict (user_id) do update set hash = excluded.hash, changed_at = now()",
    )
    .bind(user)
    .bind(hash)
    .execute(&mut *tx)
    .await?;
    query("delete from barkeep.browser_sessions where user_id = $1").bind(user).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(())
}

/// Removes a user and all of the user's data. `false`: there is no such user.
///
/// # Errors
/// [`StoreError::Refused`] for the users that Barkeep itself needs, or if the database's users are Supabase's.
pub async fn remove(database: &Database, email: &str) -> Result<bool, StoreError> {
    users::ensure_ours(database).await?;
    let mut tx = database.begin().await?;
    let id: Option<Uuid> = query_scalar("select id from auth.users where lower(email) = $1")
        .bind(email.trim().to_lowercase())
        .fetch_optional(&mut *tx)
        .await?;
    match id {
        None => Ok(false),
        Some(users::LOCAL | users::ANONYMOUS) => {
            Err(StoreError::Refused(format!("{email} is a user that Barkeep itself needs and can't be removed")))
        }
        Some(id) => {
            // Interest first: its trigger pauses series without any other interest.
            query("delete from public.user_symbol_tracking where user_id = $1").bind(id).execute(&mut *tx).await?;
            query("delete from auth.users where id = $1").bind(id).execute(&mut *tx).await?;
            tx.commit().await?;
            Ok(true)
        }
    }
}

/// Whether any user has a password.
///
/// # Errors
/// If the database is unreachable or not migrated.
pub async fn has_passwords(database: &Database) -> Result<bool, StoreError> {
    let mut tx = database.begin().await?;
    Ok(query_scalar("select exists (select from barkeep.passwords)").fetch_one(&mut *tx).await?)
}

/// The user with that address and the hash of the password.
///
/// # Errors
/// If the database is unreachable or not migrated.
pub async fn password_of(database: &Database, email: &str) -> Result<Option<(Uuid, String)>, StoreError> {
    let mut tx = database.begin().await?;
    let row = query(
        "select p.user_id, p.hash from barkeep.passwords p join auth.users u on u.id = p.user_id
        where lower(u.email) = $1",
    )
    .bind(email.trim().to_lowercase())
    .fetch_optional(&mut *tx)
    .await?;
    row.map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).transpose()
}

/// The number of failed sign-ins for an address within `span`.
///
/// # Errors
/// If the database is unreachable or not migrated.
pub async fn failed_sign_ins(database: &Database, address: &[u8], span: Duration) -> Result<i64, StoreError> {
    let mut tx = database.begin().await?;
    Ok(query_scalar("select count(*) from barkeep.sign_in_failures where address = $1 and at > now() - $2")
        .bind(address)
        .bind(interval(span))
        .fetch_one(&mut *tx)
        .await?)
}

/// Records a failed sign-in; those before `span` are deleted.
///
/// # Errors
/// If the database rejects the statement or is unreachable.
pub async fn record_failed_sign_in(database: &Database, address: &[u8], span: Duration) -> Result<(), StoreError> {
    let mut tx = database.begin().await?;
    query("delete from barkeep.sign_in_failures where at < now() - $1").bind(interval(span)).execute(&mut *tx).await?;
    query("insert into barkeep.sign_in_failures (address) values ($1)").bind(address).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(())
}

/// Deletes the failed sign-ins of an address.
///
/// # Errors
/// If the database rejects the statement or is unreachable.
pub async fn clear_failed_sign_ins(database: &Database, address: &[u8]) -> Result<(), StoreError> {
    let mut tx = database.begin().await?;
    query("delete from barkeep.sign_in_failures where address = $1").bind(address).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(())
}
