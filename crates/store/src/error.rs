//! Errors of the database, by what the caller does next.

/// A failed statement or connection.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The caller's input was rejected by the database, with a message for users.
    #[error("{0}")]
    Refused(String),

    /// A user's statement without a valid user.
    #[error("{0}")]
    Unauthenticated(String),

    /// No connection: wait and retry.
    #[error("the database can't be reached ({0}): check that PostgreSQL runs and that DATABASE_URL is right")]
    Unreachable(String),

    /// The schema isn't Barkeep's, or is an older one.
    #[error("the database lacks what this version needs ({0}): run `barkeep migrate`")]
    NotMigrated(String),

    /// The database's migrations differ from this version's: nothing is read or written.
    #[error("{what}: {remedy}")]
    OtherSchema { what: String, remedy: String },

    /// Data that this version can't read or that should not exist.
    #[error("the database contains invalid data: {0}")]
    Corrupt(String),

    /// Real and simulated bars in one database.
    #[error("{0}")]
    WrongKind(String),

    /// Computed with sessions that another process has changed meanwhile: do it again.
    #[error("the market's sessions have changed meanwhile")]
    SessionsChanged,

    #[error("the database failed: {0}")]
    Other(#[source] sqlx::Error),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(database) if database.constraint() == Some("user_symbol_tracking_user_id_fkey") => {
                Self::Unauthenticated("This user no longer exists: sign in again".to_owned())
            }
            sqlx::Error::Database(database) => match database.code().as_deref() {
                Some("22023" | "BK001") => Self::Refused(database.message().to_owned()),
                Some("28000") => Self::Unauthenticated(database.message().to_owned()),
                // Shutting down, crashed, starting up, too many connections, no such database, wrong password.
                Some(code @ ("57P01" | "57P02" | "57P03" | "53300" | "3D000" | "28P01")) => {
                    Self::Unreachable(format!("{}, SQLSTATE {code}", database.message()))
                }
                // Undefined table, function, column or schema.
                Some("42P01" | "42883" | "42703" | "3F000") => Self::NotMigrated(database.message().to_owned()),
                _ => Self::Other(error),
            },
            sqlx::Error::Io(io) => Self::Unreachable(io.to_string()),
            sqlx::Error::PoolTimedOut => Self::Unreachable("no connection within the time allowed".to_owned()),
            sqlx::Error::Tls(tls) => Self::Unreachable(format!("TLS: {tls}")),
            sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => Self::Unreachable(error.to_string()),
            _ => Self::Other(error),
        }
    }
}

impl StoreError {
    /// Whether the server aborted this transaction in favour of another one (deadlock, serialization failure):
    /// retrying the same will do.
    pub fn is_conflict(&self) -> bool {
        match self {
            Self::Other(sqlx::Error::Database(error)) => matches!(error.code().as_deref(), Some("40P01" | "40001")),
            _ => false,
        }
    }

    /// Whether the same may work later without a fix on this side.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable(_))
    }
}
