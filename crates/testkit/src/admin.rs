//! The superuser's statements that create and drop databases, over a few connections for all tests of this process.
//! In: statements. Out: nothing, or what the server says against them. Holds: they run on a runtime of their own, so any test's
//! runtime can wait for them, and a guard needs none.

use std::time::Duration;

use anyhow::Context;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, Executor, PgPool};
use tokio::runtime::{Builder, Runtime};

/// As many as are worked at at once; whoever comes then waits.
const CONNECTIONS: u32 = 3;

/// Longer than any test has patience.
const WAIT: Duration = Duration::from_secs(600);

#[derive(Debug)]
pub(crate) struct Admin {
    runtime: Runtime,
    pool: PgPool,
}

impl Admin {
    pub(crate) fn new(options: PgConnectOptions) -> anyhow::Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("testkit").enable_all().build();
        let runtime = runtime.context("could not start a runtime for the test server's statements")?;
        let pool = {
            let _inside = runtime.enter();
            PgPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(WAIT).connect_lazy_with(options)
        };
        Ok(Self { runtime, pool })
    }

    pub(crate) async fn execute(&self, statement: String) -> anyhow::Result<()> {
        let pool = self.pool.clone();
        self.runtime.spawn(async move { run(&pool, statement).await }).await?
    }

    /// The same for what nobody waits for. To wait in a guard's `drop` could be for ever: dropping a database waits until every
    /// connection of the server can be interrupted, and one may be sending rows to the very task that would be waiting.
    pub(crate) fn execute_later(&self, statement: String) {
        let pool = self.pool.clone();
        self.runtime.spawn(async move {
            if let Err(error) = run(&pool, statement).await {
                eprintln!("{error:#}");
            }
        });
    }
}

async fn run(pool: &PgPool, statement: String) -> anyhow::Result<()> {
    pool.execute(AssertSqlSafe(statement.as_str())).await.with_context(|| format!("{statement} failed"))?;
    Ok(())
}
