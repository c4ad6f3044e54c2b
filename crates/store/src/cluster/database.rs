//! Databases of the private server.

use sqlx::{ConnectOptions as _, Connection as _};

use super::Cluster;
use crate::StoreError;

/// Makes the database of that name where there is none.
///
/// # Errors
/// Where the server refuses or is gone.
pub async fn ensure_database(cluster: &Cluster, name: &str) -> Result<(), StoreError> {
    let mut connection = cluster.connect_options("postgres").connect().await?;
    let there: bool = sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
        .bind(name)
        .fetch_one(&mut connection)
        .await?;
    if !there {
        let quoted = format!("\"{}\"", name.replace('"', "\"\""));
        // The name is quoted above: an identifier can't be a parameter.
        let made =
            sqlx::raw_sql(sqlx::AssertSqlSafe(format!("create database {quoted}"))).execute(&mut connection).await;
        // Another process may have been faster.
        if let Err(error) = made
            && !error.as_database_error().is_some_and(|e| matches!(e.code().as_deref(), Some("42P04" | "23505")))
        {
            return Err(error.into());
        }
    }
    connection.close().await?;
    Ok(())
}
