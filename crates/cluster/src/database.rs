//! Databases of the private server.

use sqlx::{ConnectOptions as _, Connection as _, PgConnection};

use crate::{Cluster, ClusterError};

/// Whether there is a database of that name.
///
/// # Errors
/// Where the server is gone.
pub async fn has_database(cluster: &Cluster, name: &str) -> Result<bool, ClusterError> {
    let mut connection = cluster.connect_options("postgres").connect().await.map_err(ClusterError::Database)?;
    let there = exists(&mut connection, name).await?;
    connection.close().await.map_err(ClusterError::Database)?;
    Ok(there)
}

async fn exists(connection: &mut PgConnection, name: &str) -> Result<bool, ClusterError> {
    sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
        .bind(name)
        .fetch_one(connection)
        .await
        .map_err(ClusterError::Database)
}

/// Makes the database of that name where there is none.
///
/// # Errors
/// Where the server refuses or is gone.
pub async fn ensure_database(cluster: &Cluster, name: &str) -> Result<(), ClusterError> {
    let mut connection = cluster.connect_options("postgres").connect().await.map_err(ClusterError::Database)?;
    if !exists(&mut connection, name).await? {
        let quoted = format!("\"{}\"", name.replace('"', "\"\""));
        // The name is quoted above: an identifier can't be a parameter.
        let made =
            sqlx::raw_sql(sqlx::AssertSqlSafe(format!("create database {quoted}"))).execute(&mut connection).await;
        // Another process may have been faster.
        if let Err(error) = made
            && !error.as_database_error().is_some_and(|e| matches!(e.code().as_deref(), Some("42P04" | "23505")))
        {
            return Err(ClusterError::Database(error));
        }
    }
    connection.close().await.map_err(ClusterError::Database)
}
