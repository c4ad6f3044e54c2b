//! Databases of the private server.

use sqlx::{ConnectOptions as _, Connection as _, PgConnection};

use super::Cluster;
use crate::StoreError;

/// Whether there is a database of that name.
///
/// # Errors
/// Where the server is gone.
pub async fn has_database(cluster: &Cluster, name: &str) -> Result<bool, StoreError> {
    let mut connection = cluster.connect_options("postgres").connect().await?;
    let there = exists(&mut connection, name).await?;
    connection.close().await?;
    Ok(there)
}

async fn exists(connection: &mut PgConnection, name: &str) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
        .bind(name)
        .fetch_one(connection)
        .await?)
}

/// Makes the database of that name where there is none.
///
/// # Errors
/// Where the server refuses or is gone.
pub async fn ensure_database(cluster: &Cluster, name: &str) -> Result<(), StoreError> {
    let mut connection = cluster.connect_options("postgres").connect().await?;
    if !exists(&mut connection, name).await? {
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
