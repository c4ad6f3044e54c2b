//! Users, in `auth.users`: Supabase's if it exists, else created by Barkeep.

use sqlx::Row;
use uuid::{Uuid, uuid};

use crate::{
    Database, StoreError,
    statement::{query, query_scalar},
};

/// The user of requests with the `anon` key, where Barkeep keeps the users itself.
pub const ANONYMOUS: Uuid = uuid!("00000000-0000-4000-8000-00000000a000");

/// The user of the command line.
pub const LOCAL: Uuid = uuid!("00000000-0000-4000-8000-000000000001");

/// The id of the user with that address; created if Barkeep keeps the users itself.
///
/// # Errors
/// [`StoreError::Refused`] if there is none and users are created by Supabase.
pub async fn by_email(database: &Database, email: &str) -> Result<Uuid, StoreError> {
    let email = email.trim().to_lowercase();
    if email.len() > 254 || !email.split_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty()) {
        return Err(StoreError::Refused(format!("'{email}' is not an e-mail address")));
    }
    let mut tx = database.begin().await?;
    let found: Option<Uuid> =
        query_scalar("select id from auth.users where lower(email) = $1").bind(&email).fetch_optional(&mut *tx).await?;
    if let Some(id) = found {
        return Ok(id);
    }
    if !ours(&mut tx).await? {
        return Err(StoreError::Refused(format!(
            "there is no user {email}, and users of this database are created by Supabase Auth: sign up there first"
        )));
    }
    let id = query_scalar(
        "insert into auth.users (email) values ($1) on conflict (email) do update set email = excluded.email
        returning id",
    )
    .bind(&email)
    .fetch_one(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(id)
}

/// Whether there is such a user.
///
/// # Errors
/// If the database is unreachable.
pub async fn exists(database: &Database, user: Uuid) -> Result<bool, StoreError> {
    let mut tx = database.begin().await?;
    let row = query("select exists (select from auth.users where id = $1)").bind(user).fetch_one(&mut *tx).await?;
    Ok(row.try_get(0)?)
}

/// Fails if users are managed by Supabase, with a hint where to go.
///
/// # Errors
/// [`StoreError::Refused`] if Supabase manages them; if the database is unreachable.
pub async fn ensure_ours(database: &Database) -> Result<(), StoreError> {
    let mut tx = database.begin().await?;
    match ours(&mut tx).await? {
        true => Ok(()),
        false => Err(StoreError::Refused(
            "the users of this database are managed by Supabase Auth: use that instead".to_owned(),
        )),
    }
}

async fn ours(tx: &mut crate::ServiceTx) -> Result<bool, StoreError> {
    Ok(query_scalar(
        "select coalesce(obj_description('auth'::regnamespace, 'pg_namespace') like '%Made by Barkeep.', false)",
    )
    .fetch_one(&mut **tx)
    .await?)
}
