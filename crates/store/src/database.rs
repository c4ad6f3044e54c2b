//! The connection pool, and the transactions in which every statement runs.
//!
//! Holds: nothing here relies on session state and statements are unnamed, so that a transaction-mode pooler may be
//! used. Statements of users run in a [`UserTx`], under row level security as that user.

use std::{str::FromStr, time::Duration};

use sqlx::{
    ConnectOptions, PgPool, Postgres, Transaction,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use uuid::Uuid;

use crate::{StoreError, statement::query};

/// If a process stops in the middle of a transaction (suspended, or its network gone), its locks are released after
/// this time. Part of `begin` rather than a separate statement, to save a round trip.
const BEGIN: &str = "begin; set local idle_in_transaction_session_timeout = '15s'";

/// A transaction of the service: reads and writes everything.
pub type ServiceTx = Transaction<'static, Postgres>;

/// The database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Database {
    pool: PgPool,
}

/// A transaction as one user: role `authenticated`, claims set. Requests of users have no other access to user-owned
/// tables.
#[derive(Debug)]
pub struct UserTx(pub(crate) ServiceTx);

impl Database {
    /// Connects to `url`, with at most `connections` connections at a time.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if `url` is not a PostgreSQL URL, [`StoreError::Unreachable`] if no server answers.
    pub async fn connect(url: &str, connections: u32) -> Result<Self, StoreError> {
        let options = Self::options(url)?;
        let pooled = PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(Duration::from_secs(10))
            .connect_with(options.clone())
            .await;
        let error = match pooled {
            Ok(pool) => return Ok(Self { pool }),
            // The pool retries and reports only a timeout. One more attempt without it, for the reason.
            Err(sqlx::Error::PoolTimedOut) => {
                match tokio::time::timeout(Duration::from_secs(3), options.connect()).await {
                    Ok(Err(reason)) => reason,
                    _ => sqlx::Error::PoolTimedOut,
                }
            }
            Err(error) => error,
        };
        Err(match StoreError::from(error) {
            StoreError::Other(other) => StoreError::Unreachable(other.to_string()),
            // No user is involved yet: the URL's role was rejected.
            StoreError::Unauthenticated(message) => StoreError::Unreachable(message),
            other => other,
        })
    }

    fn options(url: &str) -> Result<PgConnectOptions, StoreError> {
        let unreadable = |problem: &str| {
            StoreError::Refused(format!(
                "the database URL can't be read ({problem}): write postgresql://USER:PASSWORD@HOST:5432/NAME"
            ))
        };
        // sqlx accepts URLs of any scheme and would connect to PostgreSQL there.
        if !url.starts_with("postgresql://") && !url.starts_with("postgres://") {
            return Err(unreadable("it does not begin with postgresql://"));
        }
        let options = PgConnectOptions::from_str(url).map_err(|error| unreadable(&error.to_string()))?;
        Ok(options
            .application_name("barkeep")
            // Only affects floats sent as text, of which there are none; poolers don't know the setting and reject
            // it.
            .extra_float_digits(None)
            // See `statement`: no statement is prepared for later use.
            .statement_cache_capacity(0)
            .log_slow_statements(tracing::log::LevelFilter::Warn, Duration::from_secs(5))
            .log_statements(tracing::log::LevelFilter::Trace))
    }

    pub(crate) fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Begins a transaction of the service.
    ///
    /// # Errors
    /// [`StoreError::Unreachable`] where no connection can be had within 10 s.
    pub async fn begin(&self) -> Result<ServiceTx, StoreError> {
        Ok(self.pool.begin_with(BEGIN).await?)
    }

    /// Begins a transaction as `user`.
    ///
    /// # Errors
    /// As [`Database::begin`].
    pub async fn begin_as(&self, user: Uuid) -> Result<UserTx, StoreError> {
        let mut tx = self.begin().await?;
        let claims = serde_json::json!({ "sub": user, "role": "authenticated" }).to_string();
        query("select set_config('request.jwt.claims', $1, true), set_config('role', 'authenticated', true)")
            .bind(claims)
            .execute(&mut *tx)
            .await?;
        Ok(UserTx(tx))
    }

    pub async fn close(&self) {
        self.pool.close().await;
    }
}

impl UserTx {
    /// # Errors
    /// If the database rejects it or is unreachable; nothing is written then.
    pub async fn commit(self) -> Result<(), StoreError> {
        Ok(self.0.commit().await?)
    }
}
