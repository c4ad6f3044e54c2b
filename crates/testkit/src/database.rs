//! A database for one test.
//! In: a template's name, or nothing for an empty database. Out: a URL. Holds: when the guard is dropped, the database is dropped,
//! with any connections that are left.

use anyhow::Context;
use sqlx::{AssertSqlSafe, Connection, Executor};

use crate::Pooler;
use crate::cluster::{Server, shared};
use crate::names::{drop_database, quoted};

/// A database that is dropped with this guard.
#[derive(Debug)]
pub struct TestDatabase {
    /// A superuser's URL, for psql and sqlx.
    pub url: String,
    name: String,
    server: &'static Server,
}

impl TestDatabase {
    /// A copy of `template` (what [`crate::template`] returned), or an empty database.
    ///
    /// # Errors
    /// If the server can't be opened, or has no such template.
    pub async fn create(template: Option<&str>) -> anyhow::Result<Self> {
        let server = shared().await?;
        let name = format!("t_{}_{}", std::process::id(), uuid::Uuid::new_v4().simple());
        let template = template.unwrap_or("template0");
        let mut admin = server.admin().await?;
        let statement = format!("create database {} template {}", quoted(&name), quoted(template));
        admin
            .execute(AssertSqlSafe(statement))
            .await
            .with_context(|| format!("could not create a test database from {template}"))?;
        admin.close().await?;
        Ok(Self { url: server.url(&name), name, server })
    }

    /// The URL through a pooler in transaction mode.
    ///
    /// # Errors
    /// If PgBouncer isn't installed or doesn't start.
    pub fn pooled_url(&self) -> anyhow::Result<String> {
        Ok(Pooler::shared(self.server)?.url(&self.name))
    }

    /// Its name on the server.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for TestDatabase {
    /// On a thread with its own runtime: the test's runtime may be gone, and can't be waited on here.
    fn drop(&mut self) {
        let drop_self = async || {
            let mut admin = self.server.admin().await?;
            drop_database(&mut admin, &self.name).await?;
            anyhow::Ok(admin.close().await?)
        };
        let dropped = std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                runtime.block_on(drop_self())
            });
            thread.join()
        });
        match dropped {
            Ok(Ok(())) => {}
            Ok(Err(error)) => eprintln!("the test database {} was not dropped: {error:#}", self.name),
            Err(_) => eprintln!("the test database {} was not dropped", self.name),
        }
    }
}
