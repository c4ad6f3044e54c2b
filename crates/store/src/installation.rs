//! Whether this database contains simulated or real bars.

use crate::{
    Database, StoreError,
    statement::{query, query_scalar},
};
use sqlx::Row;

/// The kind of bars in a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bars {
    Simulated,
    Real,
}

impl Bars {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Simulated => "simulated",
            Self::Real => "real",
        }
    }
}

/// Whether nothing was ever fetched into the database.
///
/// # Errors
/// If the database is unreachable or not migrated.
pub async fn is_fresh(database: &Database) -> Result<bool, StoreError> {
    let mut tx = database.begin().await?;
    Ok(query_scalar("select bars is null from barkeep.installation").fetch_one(&mut *tx).await?)
}

/// Claims the database for one kind of bars, from `endpoint`.
///
/// # Errors
/// [`StoreError::WrongKind`] if it contains the other kind.
pub async fn claim(database: &Database, bars: Bars, endpoint: &str) -> Result<(), StoreError> {
    let mut tx = database.begin().await?;
    let row = query("select bars, endpoint from barkeep.installation for update").fetch_one(&mut *tx).await?;
    let held: Option<String> = row.try_get(0)?;
    let before: Option<String> = row.try_get(1)?;
    if held.as_deref().is_some_and(|held| held != bars.as_str()) {
        return Err(StoreError::WrongKind(match bars {
            Bars::Simulated => "this database contains real bars, and simulated ones must not mix with them: set \
                APCA_API_KEY_ID and APCA_API_SECRET_KEY, or choose another database for simulated bars"
                .to_owned(),
            Bars::Real => {
                "this database contains simulated bars, and real ones must not mix with them: choose another \
                database (--database-url) for the real ones"
                    .to_owned()
            }
        }));
    }
    if before.as_deref() != Some(endpoint) {
        query("update barkeep.installation set bars = $1, endpoint = $2, updated_at = now()")
            .bind(bars.as_str())
            .bind(endpoint)
            .execute(&mut *tx)
            .await?;
    }
    tx.commit().await?;
    Ok(())
}
