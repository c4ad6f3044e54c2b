//! Databases for commands that are given one.

use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex},
};

use sqlx::{Connection as _, PgConnection};
use testkit::TestDatabase;

/// Test databases by their URLs: the ones under which the pooler has them.
static POOLED: LazyLock<Mutex<HashMap<String, String>>> = LazyLock::new(Mutex::default);

fn pool(database: TestDatabase) -> TestDatabase {
    if crate::is_pooled() && testkit::pooler_is_installed() {
        POOLED.lock().unwrap().insert(database.url.clone(), database.pooled_url().unwrap());
    }
    database
}

/// What a command is to be given for an argument: for a test database's URL the pooler's.
pub(super) fn url_for_commands(argument: &str) -> String {
    POOLED.lock().unwrap().get(argument).cloned().unwrap_or_else(|| argument.to_owned())
}

/// A database with the schema, for an `up` that is given its database.
pub(crate) async fn database() -> TestDatabase {
    filled("barkeep", "").await
}

/// An empty one.
pub(crate) async fn empty_database() -> TestDatabase {
    pool(TestDatabase::create(None).await.unwrap())
}

/// One with the schema in which nobody wants anything: without the seeded definitions' background work.
pub(crate) async fn quiet_database() -> TestDatabase {
    filled("barkeep_quiet", "update job_definitions set enabled = false, base_priority = null").await
}

/// A migrated database to which `change` was done, copied from what the first to ask has made.
async fn filled(name: &str, change: &'static str) -> TestDatabase {
    let fingerprint = format!("{:x} {change}", store::migrations::fingerprint());
    let template = testkit::template(name, &fingerprint, async |url| {
        let database = store::Database::connect(&url, 2).await?;
        store::migrations::migrate(&database).await?;
        database.close().await;
        let mut sql = PgConnection::connect(&url).await?;
        sqlx::raw_sql(change).execute(&mut sql).await?;
        Ok(sql.close().await?)
    })
    .await
    .unwrap();
    pool(TestDatabase::create(Some(&template)).await.unwrap())
}
