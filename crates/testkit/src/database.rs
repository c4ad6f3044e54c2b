//! A database for one test.
//! In: a template's name, or nothing for an empty database. Out: a URL. Holds: when the guard is dropped, the database goes soon
//! after, with any connections that are left; what is left of it when this process ends is dropped by the next.

use crate::Pooler;
use crate::cluster::{Server, shared};
use crate::names::{drop_statement, quoted};

/// A database that goes with this guard.
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
        Self::create_for(None, template).await
    }

    /// The same, owned by a role; without one by the superuser.
    pub(crate) async fn create_for(role: Option<&str>, template: Option<&str>) -> anyhow::Result<Self> {
        let server = shared().await?;
        let name = format!("t_{}_{}", std::process::id(), uuid::Uuid::new_v4().simple());
        let mut statement = format!("create database {}", quoted(&name));
        if let Some(role) = role {
            statement.push_str(&format!(" owner {}", quoted(role)));
        }
        statement.push_str(&format!(" template {}", quoted(template.unwrap_or("template0"))));
        if server.private_data().is_some() {
            // Copying files is half the work of logging their pages, where no checkpoint waits for a disk.
            statement.push_str(" strategy file_copy");
        }
        server.admin().execute(statement).await?;
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
    fn drop(&mut self) {
        self.server.admin().execute_later(drop_statement(&self.name));
    }
}
