//! The database that a command works on: the one that the settings name, or a private one in the data directory.
//!
//! In the private cluster simulated bars have a database of their own. The provider decides which of the two is used, by what
//! it says of itself; where it can't be asked it is the one used last.

use std::{fs, sync::Arc, time::Duration};

use anyhow::Context as _;
use cluster::{Cluster, ClusterError, ClusterSettings};
use store::{
    Database, StoreError, installation,
    migrations::{self, Migrated},
};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::config::Config;

const REAL_DATABASE: &str = "barkeep";
const SIMULATED_DATABASE: &str = "barkeep_sim";

/// How long closing the connections may take.
pub(crate) const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// The file in the data directory that names the database used last.
const LAST_USED_FILE: &str = "database";

/// An open database, and the private server behind it, if it is a private one.
#[derive(Debug)]
pub(crate) struct DatabaseHandle {
    pub(crate) database: Database,
    cluster: Option<Arc<Mutex<Cluster>>>,
    settings: ClusterSettings,
}

impl DatabaseHandle {
    /// Connects. Creates and starts the private server if the settings name no database. A database with another schema is
    /// refused, and nothing in it is changed.
    pub(crate) async fn open(config: &Config, connections: u32) -> anyhow::Result<Self> {
        let settings = cluster_settings(config);
        if let Some(url) = &config.database_url {
            let database = Database::connect(&url.0, connections).await?;
            migrations::check(&database).await?;
            return Ok(Self { database, cluster: None, settings });
        }
        let cluster = Cluster::open(&settings).await?;
        let name = database_name(config);
        let connected = async {
            cluster::ensure_database(&cluster, &name).await?;
            let database = Database::connect(&cluster.url(&name), connections).await?;
            match migrations::check(&database).await {
                Ok(()) => anyhow::Ok(database),
                Err(error) => {
                    database.close().await;
                    Err(of_private(config, error).into())
                }
            }
        }
        .await;
        match connected {
            Ok(database) => Ok(Self { database, cluster: Some(Arc::new(Mutex::new(cluster))), settings }),
            Err(error) => {
                cluster.close().await?;
                Err(error)
            }
        }
    }

    /// The same for commands that fetch: the providers decide which private database it is, and with `remember` the commands
    /// that don't fetch use it from then on.
    pub(crate) async fn open_to_fetch(config: &mut Config, connections: u32, remember: bool) -> anyhow::Result<Self> {
        if config.database_url.is_none() {
            config.ask_stand_ins().await;
        }
        if remember {
            remember_database(config)?;
        }
        Self::open(config, connections).await
    }

    /// Brings the schema up to date.
    pub(crate) async fn migrate(&self) -> Result<Migrated, StoreError> {
        migrations::migrate(&self.database).await
    }

    /// The same for a private database; any other is migrated only by `barkeep migrate` and the commands that fetch.
    pub(crate) async fn migrate_if_private(&self) -> Result<(), StoreError> {
        let pending = migrations::pending(&self.database).await?;
        if pending.is_empty() {
            return Ok(());
        }
        if self.cluster.is_none() {
            return Err(StoreError::NotMigrated(format!("{} migrations", pending.len())));
        }
        self.migrate().await.map(|_| ())
    }

    /// With the first real provider: copies what users tracked while bars were simulated. Returns how many rows.
    pub(crate) async fn import_simulated_interest(&self, config: &Config) -> anyhow::Result<u64> {
        let Some(cluster) = &self.cluster else { return Ok(0) };
        if !config.has_real_provider() || !installation::is_fresh(&self.database).await? {
            return Ok(0);
        }
        let url = {
            let cluster = cluster.lock().await;
            if !cluster::has_database(&cluster, SIMULATED_DATABASE).await? {
                return Ok(0);
            }
            cluster.url(SIMULATED_DATABASE)
        };
        let simulated = Database::connect(&url, 1).await?;
        let copied = match migrations::pending(&simulated).await?.is_empty() {
            true => store::takeover::copy_interest(&simulated, &self.database).await?,
            false => 0,
        };
        simulated.close().await;
        Ok(copied)
    }

    /// Restarts the private server whenever it has died, until `stop`.
    pub(crate) async fn supervise_cluster(&self, stop: CancellationToken) {
        let Some(cluster) = &self.cluster else { return };
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(Duration::from_secs(2)) => {}
            }
            if cluster.lock().await.answers().await {
                continue;
            }
            tracing::error!("The private PostgreSQL server has stopped; restarting it");
            match Cluster::open(&self.settings).await {
                // The old handle is dropped only after the new one has the server.
                Ok(opened) => *cluster.lock().await = opened,
                Err(error) => tracing::error!(%error, "Could not restart the private PostgreSQL server"),
            }
        }
    }

    /// Disconnects; the last process to close stops the private server.
    pub(crate) async fn close(self) -> Result<(), ClusterError> {
        // Connections still in use after that are dropped.
        if tokio::time::timeout(CLOSE_TIMEOUT, self.database.close()).await.is_err() {
            tracing::warn!("Database connections were still in use at shutdown");
        }
        match self.cluster.and_then(Arc::into_inner) {
            Some(cluster) => cluster.into_inner().close().await,
            None => Ok(()),
        }
    }
}

/// The same with what to do about a database that is in the data directory.
fn of_private(config: &Config, error: StoreError) -> StoreError {
    let StoreError::OtherSchema { what, .. } = error else { return error };
    let remedy = format!(
        "use the Barkeep that made it, move {} away, or name another with --data-dir",
        config.data_dir.display()
    );
    StoreError::OtherSchema { what, remedy }
}

pub(crate) fn cluster_settings(config: &Config) -> ClusterSettings {
    let mut settings = ClusterSettings::new(&config.data_dir);
    settings.pg_bin = std::env::var_os("PG_BIN").filter(|dir| !dir.is_empty()).map(Into::into);
    if std::env::var_os("BARKEEP_PG_SOURCE").is_some_and(|source| source == "npm") {
        settings.search = cluster::BinarySearch::npm_only();
    }
    settings
}

/// The name of the private cluster's database to use.
pub(crate) fn database_name(config: &Config) -> String {
    if config.has_real_provider() {
        return REAL_DATABASE.to_owned();
    }
    if config.stand_in_simulates == Some(true) {
        return SIMULATED_DATABASE.to_owned();
    }
    match fs::read_to_string(config.data_dir.join(LAST_USED_FILE)) {
        Ok(name) if name.trim() == REAL_DATABASE => REAL_DATABASE.to_owned(),
        Ok(_) => SIMULATED_DATABASE.to_owned(),
        // Only a simulator says that its bars are simulated.
        Err(_) if config.has_provider() => REAL_DATABASE.to_owned(),
        Err(_) => SIMULATED_DATABASE.to_owned(),
    }
}

/// For commands that fetch: without a provider they use the simulator, whatever was used before. Remembers the choice for
/// the commands that don't fetch.
fn remember_database(config: &Config) -> anyhow::Result<()> {
    let name = if config.has_provider() { database_name(config) } else { SIMULATED_DATABASE.to_owned() };
    fs::create_dir_all(&config.data_dir).with_context(|| {
        format!("the data directory {} can't be created: choose another with --data-dir", config.data_dir.display())
    })?;
    let path = config.data_dir.join(LAST_USED_FILE);
    fs::write(&path, name).with_context(|| format!("{} can't be written", path.display()))
}
