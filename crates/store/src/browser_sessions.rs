//! Links that sign somebody in: once, and not for long.

use std::time::Duration;

use uuid::Uuid;

use crate::{
    Database, StoreError,
    statement::{interval, query, query_scalar},
};

/// Makes a link's code good for `user` for so long. Only the code's digest is kept.
///
/// # Errors
/// Where the database refuses or is gone.
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

/// Whom the code signs in; it is good for nothing afterwards. `None`: it never was, or was used, or its time is over.
///
/// # Errors
/// Where the database refuses or is gone.
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

/// Signs a browser in for so long. Only its token's digest is kept.
///
/// # Errors
/// Where the database refuses or is gone.
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

/// Who was signed in with that token; `None` where nobody was, or is no more.
///
/// # Errors
/// Where the database is gone or not migrated.
pub async fn user_of_session(database: &Database, digest: &[u8]) -> Result<Option<Uuid>, StoreError> {
    let mut tx = database.begin().await?;
    Ok(query_scalar("select user_id from barkeep.browser_sessions where digest = $1 and expires_at > now()")
        .bind(digest)
        .fetch_optional(&mut *tx)
        .await?)
}

/// Signs a browser out.
///
/// # Errors
/// Where the database refuses or is gone.
pub async fn end_session(database: &Database, digest: &[u8]) -> Result<(), StoreError> {
    let mut tx = database.begin().await?;
    query("delete from barkeep.browser_sessions where digest = $1").bind(digest).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(())
}
