//! The server with the databases of all tests of a run.
//! In: `BARKEEP_TEST_DATABASE_URL`, else a private cluster, not durable, shared by all test processes. Out: URLs.
//! Holds: the private cluster is stopped soon after the last test process that uses it has ended, in whatever way (see
//! `watchdog`). Its data stays for the next run, templates included.
//!
//! It is in memory (`/dev/shm`) if there is enough, since most of a test's time is spent on creating and dropping its
//! database; else in `target/testkit-pg` (root's in a directory that `target/testkit-pg/postgres/elsewhere` names).

use std::path::{Path, PathBuf};

use ::cluster::{BinarySearch, Cluster, ClusterSettings};
use anyhow::Context;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};
use tokio::sync::OnceCell;

use crate::admin::Admin;
use crate::watchdog::Watchdog;
use crate::{memory, names};

/// Variable: a superuser's URL of a server to use instead of the private cluster; direct, not through a pooler.
const SERVER_URL_VAR: &str = "BARKEEP_TEST_DATABASE_URL";

/// Variable: with `npm` the private cluster runs the npm package's Postgres, whatever is installed.
const SOURCE_VAR: &str = "BARKEEP_TEST_PG_SOURCE";

/// Variable: another directory for the private cluster.
const DIRECTORY_VAR: &str = "BARKEEP_TEST_CLUSTER_DIR";

/// A server on which this process can create databases.
#[derive(Debug)]
pub struct Server {
    options: PgConnectOptions,
    admin: Admin,
    private: Option<PrivateServer>,
}

/// Kept until the process ends, which its locks and pipes report by being closed.
#[derive(Debug)]
struct PrivateServer {
    cluster: Cluster,
    watchdog: Watchdog,
}

/// The run's server, which the first caller opens.
///
/// # Errors
/// If there is neither Postgres nor npm, or the server doesn't start.
pub async fn shared() -> anyhow::Result<&'static Server> {
    static SERVER: OnceCell<Server> = OnceCell::const_new();
    SERVER.get_or_try_init(Server::open).await
}

impl Server {
    async fn open() -> anyhow::Result<Self> {
        if let Ok(url) = std::env::var(SERVER_URL_VAR) {
            let admin = url.parse().with_context(|| format!("{SERVER_URL_VAR} isn't a database URL"))?;
            return Self::of(admin, None);
        }
        let from_npm = std::env::var(SOURCE_VAR).is_ok_and(|source| source == "npm");
        let mut settings = match std::env::var_os(DIRECTORY_VAR).map(PathBuf::from) {
            Some(folder) => ClusterSettings::new(folder),
            None => {
                memory::cluster_settings(from_npm).unwrap_or_else(|| ClusterSettings::new(default_directory(from_npm)))
            }
        };
        settings.durable = false;
        settings.pg_bin = std::env::var_os("PG_BIN").map(PathBuf::from);
        if from_npm {
            settings.search = BinarySearch::npm_only();
        }
        let registered = Watchdog::register(&settings.data_dir).await?;
        let cluster = Cluster::open(&settings).await?;
        let watchdog = registered.watch(&cluster.server_data())?;
        let admin = cluster.connect_options("postgres");
        let server = Self::of(admin, Some(PrivateServer { cluster, watchdog }))?;
        server.drop_leftovers().await?;
        Ok(server)
    }

    fn of(options: PgConnectOptions, private: Option<PrivateServer>) -> anyhow::Result<Self> {
        let options = options.disable_statement_logging();
        Ok(Self { admin: Admin::new(options.clone())?, options, private })
    }

    /// For statements that create and drop databases.
    pub(crate) fn admin(&self) -> &Admin {
        &self.admin
    }

    /// The URL of one of its databases, for psql and sqlx.
    pub fn url(&self, database: &str) -> String {
        match &self.private {
            Some(private) => private.cluster.url(database),
            None => url_of(&self.options, database, None),
        }
    }

    /// A superuser's connection to the server's own database.
    ///
    /// # Errors
    /// If the server doesn't accept it.
    pub async fn connect(&self) -> anyhow::Result<PgConnection> {
        PgConnection::connect_with(&self.options).await.context("could not connect to the test server")
    }

    /// The private cluster's data directory, with its `postmaster.pid`; `None` for another server.
    pub fn private_data(&self) -> Option<PathBuf> {
        self.private.as_ref().map(|private| private.cluster.server_data())
    }

    /// Drops the databases of test processes that were killed.
    async fn drop_leftovers(&self) -> anyhow::Result<()> {
        let Some(private) = &self.private else { return Ok(()) };
        let mut admin = self.connect().await?;
        let names: Vec<String> = sqlx::query_scalar("select datname::text from pg_database where datname like 't\\_%'")
            .fetch_all(&mut admin)
            .await?;
        for name in names {
            if !names::maker(&name).is_some_and(|process| private.watchdog.is_registered(process)) {
                names::drop_database(&mut admin, &name).await?;
            }
        }
        admin.close().await?;
        Ok(())
    }
}

/// The URL of the same database for another role of the same server.
pub(crate) fn url_for(url: &str, role: &str, password: &str) -> anyhow::Result<String> {
    let options: PgConnectOptions = url.parse().context("could not parse the test server's URL")?;
    let database = options.get_database().context("the test server's URL names no database")?;
    Ok(url_of(&options, database, Some((role, password))))
}

/// The URL as sqlx writes it, without sqlx's own parameters, which psql doesn't accept.
fn url_of(options: &PgConnectOptions, database: &str, role: Option<(&str, &str)>) -> String {
    let mut options = options.clone().database(database);
    if let Some((role, password)) = role {
        options = options.username(role).password(password);
    }
    let url = options.to_url_lossy().to_string();
    let Some((address, parameters)) = url.split_once('?') else { return url };
    let parameters: Vec<_> = parameters.split('&').filter(|p| !p.starts_with("statement-cache-capacity")).collect();
    format!("{address}?{}", parameters.join("&"))
}

fn default_directory(from_npm: bool) -> PathBuf {
    let name = if from_npm { "testkit-pg-npm" } else { "testkit-pg" };
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target").join(name)
}
