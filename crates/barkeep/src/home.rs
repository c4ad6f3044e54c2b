//! Where the database is: the one that the settings name, or a private one in the data directory.
//!
//! Simulated bars have a database of their own in the private cluster. Which of the two a command means follows from
//! the settings where they name a provider; a command without them means the one last worked on.

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

const REAL: &str = "barkeep";
const SIMULATED: &str = "barkeep_sim";

/// How long connections may take to come home.
pub(crate) const PARTING: Duration = Duration::from_secs(2);

/// In the data directory: the name of the database last worked on.
const LAST_USED: &str = "database";

/// An open database, and the server behind it where that is ours.
#[derive(Debug)]
pub(crate) struct Home {
    pub(crate) database: Database,
    cluster: Option<Arc<Mutex<Cluster>>>,
    settings: ClusterSettings,
}

impl Home {
    /// Connects; makes and starts the private server where the settings name no other. A database with another schema is
    /// refused, whatever the command, and nothing in it is changed.
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

    /// Brings the schema up to date.
    pub(crate) async fn migrate(&self) -> Result<Migrated, StoreError> {
        migrations::migrate(&self.database).await
    }

    /// The same for a database that is Barkeep's own; another's is migrated when its owner says so.
    pub(crate) async fn migrate_own(&self) -> Result<(), StoreError> {
        let pending = migrations::pending(&self.database).await?;
        if pending.is_empty() {
            return Ok(());
        }
        if self.cluster.is_none() {
            return Err(StoreError::NotMigrated(format!("{} migrations", pending.len())));
        }
        self.migrate().await.map(|_| ())
    }

    /// With the first real key: what people watched while the bars were simulated comes along. Returns how many rows.
    pub(crate) async fn take_interest_along(&self, config: &Config) -> anyhow::Result<u64> {
        let Some(cluster) = &self.cluster else { return Ok(0) };
        if !config.is_real() || !installation::is_fresh(&self.database).await? {
            return Ok(0);
        }
        let url = {
            let cluster = cluster.lock().await;
            if !cluster::has_database(&cluster, SIMULATED).await? {
                return Ok(0);
            }
            cluster.url(SIMULATED)
        };
        let simulated = Database::connect(&url, 1).await?;
        let taken = match migrations::pending(&simulated).await?.is_empty() {
            true => store::takeover::take_interest_along(&simulated, &self.database).await?,
            false => 0,
        };
        simulated.close().await;
        Ok(taken)
    }

    /// Keeps the private server running until `stop`: one that died is started again.
    pub(crate) async fn keep_running(&self, stop: CancellationToken) {
        let Some(cluster) = &self.cluster else { return };
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(Duration::from_secs(2)) => {}
            }
            if cluster.lock().await.answers().await {
                continue;
            }
            tracing::error!("The private PostgreSQL server is gone; starting it again");
            match Cluster::open(&self.settings).await {
                // The former handle goes only after the new one holds the server.
                Ok(opened) => *cluster.lock().await = opened,
                Err(error) => tracing::error!(%error, "The private PostgreSQL server could not be started again"),
            }
        }
    }

    /// Disconnects; the last process to leave stops the private server.
    pub(crate) async fn close(self) -> Result<(), ClusterError> {
        // Whoever still holds a connection then is cut off.
        if tokio::time::timeout(PARTING, self.database.close()).await.is_err() {
            tracing::warn!("Connections to the database were still in use at the end");
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

/// The private cluster's database that the settings mean.
pub(crate) fn database_name(config: &Config) -> String {
    if config.is_real() {
        return REAL.to_owned();
    }
    if config.has_provider() {
        return SIMULATED.to_owned();
    }
    match fs::read_to_string(config.data_dir.join(LAST_USED)) {
        Ok(name) if name.trim() == REAL => REAL.to_owned(),
        _ => SIMULATED.to_owned(),
    }
}

/// For those that fetch: a provider that isn't set up is the simulator, whatever was worked on before. Remembers the
/// choice for the commands that don't.
pub(crate) fn use_database(config: &Config) -> anyhow::Result<()> {
    let name = if config.is_real() { REAL } else { SIMULATED };
    fs::create_dir_all(&config.data_dir).with_context(|| {
        format!("the data directory {} can't be made: choose another with --data-dir", config.data_dir.display())
    })?;
    let path = config.data_dir.join(LAST_USED);
    fs::write(&path, name).with_context(|| format!("{} can't be written", path.display()))
}
