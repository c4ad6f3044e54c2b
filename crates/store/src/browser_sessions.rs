//! Sign-in links, valid once and for a short time, and browser sessions.

use std::time::Duration;

use uuid::Uuid;

use crate::{
    Database, StoreError,
    statement::{interval, query, query_scalar},
};

/// Stores a link's code for `user`, valid for `good_for`. Only the code's digest is stored.
///
/// # Errors
/// If the database rejects the statement or is unreachable.
pub async fn store_code(database: &Database, user: Uuid, digest: &[u8], good_for: Duration) -> Result<(), StoreError> {
    let mut tx = database.begin().await?;
    query("delete from barkeep.sign_in_links where expires_at < now()").execute(&mut *tx).await?;
    query("insert into barkeep.sign_in_links (digest, user_id, expires_at) values ($1, $2, now() + $3)")
        .bind(digest)
        .bind(user)
        .bind(interval(good_for))
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(())
}

/// Redeems a code and returns its user; a code is valid once. `None`: it is unknown, used or expired.
///
/// # Errors
/// If the database rejects the statement or is unreachable.
pub async fn redeem_code(database: &Database, digest: &[u8]) -> Result<Option<Uuid>, StoreError> {
    let mut tx = database.begin().await?;
    let user =
        query_scalar("delete from barkeep.sign_in_links where digest = $1 and expires_at > now() returning user_id")
            .bind(digest)
            .fetch_optional(&mut *tx)
            .await?;
    tx.commit().await?;
    Ok(user)
}

/// Starts a browser session. Only its token's digest is stored.
///
/// # Errors
/// If the database rejects the statement or is unreachable.
pub async fn begin_session(
    database: &Database,
    user: Uuid,
    digest: &[u8],
    good_for: Duration,
) -> Result<(), StoreError> {
    let mut tx = database.begin().await?;
    query("delete from barkeep.browser_sessions where expires_at < now()").execute(&mut *tx).await?;
    query("insert into barkeep.browser_sessions (digest, user_id, expires_at) values ($1, $2, now() + $3)")
        .bind(digest)
        .bind(user)
        .bind(interval(good_for))
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(())
}

/// The user of the session with that token; `None` if it is unknown, ended or expired.
///
/// # Errors
/// If the database is unreachable or not migrated.
pub async fn user_of_session(database: &Database, digest: &[u8]) -> Result<Option<Uuid>, StoreError> {
    let mut tx = database.begin().await?;
    Ok(query_scalar("select user_id from barkeep.browser_sessions where digest = $1 and expires_at > now()")
        .bind(digest)
        .fetch_optional(&mut *tx)
        .await?)
}

/// Ends a browser session.
///
/// # Errors
/// If the database rejects the statement or is unreachable.
pub async fn end_session(database: &Database, digest: &[u8]) -> Result<(), StoreError> {
    let mut tx = database.begin().await?;
    query("delete from barkeep.browser_sessions where digest = $1").bind(digest).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(())
}
