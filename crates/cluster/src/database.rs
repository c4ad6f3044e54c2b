//! Databases of the private server.

use sqlx::{ConnectOptions as _, Connection as _, PgConnection};

use crate::{Cluster, ClusterError};

/// Whether a database of that name exists.
///
/// # Errors
/// If the server can't be reached.
pub async fn has_database(cluster: &Cluster, name: &str) -> Result<bool, ClusterError> {
    let mut connection = cluster.connect_options("postgres").connect().await.map_err(ClusterError::Database)?;
    let found = exists(&mut connection, name).await?;
    connection.close().await.map_err(ClusterError::Database)?;
    Ok(found)
}

async fn exists(connection: &mut PgConnection, name: &str) -> Result<bool, ClusterError> {
    sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
        .bind(name)
        .fetch_one(connection)
        .await
        .map_err(ClusterError::Database)
}

/// Creates the database of that name if it doesn't exist.
///
/// # Errors
/// If the server refuses or can't be reached.
pub async fn ensure_database(cluster: &Cluster, name: &str) -> Result<(), ClusterError> {
    let mut connection = cluster.connect_options("postgres").connect().await.map_err(ClusterError::Database)?;
    if !exists(&mut connection, name).await? {
        let quoted = format!("\"{}\"", name.replace('"', "\"\""));
        // The name is quoted above: an identifier can't be a parameter.
        let created =
            sqlx::raw_sql(sqlx::AssertSqlSafe(format!("create database {quoted}"))).execute(&mut connection).await;
        // Another process may have created it meanwhile.
        if let Err(error) = created
            && !error.as_database_error().is_some_and(|e| matches!(e.code().as_deref(), Some("42P04" | "23505")))
        {
            return Err(ClusterError::Database(error));
        }
    }
    connection.close().await.map_err(ClusterError::Database)
}
