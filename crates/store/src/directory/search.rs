//! Searches the directory and the symbols: an index in memory, rebuilt when the directory's version in the database
//! changes.

use std::{
    collections::HashSet,
    sync::{Arc, PoisonError, RwLock},
};

use market::Ticker;
use serde::Serialize;
use sqlx::Row;
use tokio::sync::Mutex;
use utoipa::ToSchema;
use uuid::Uuid;

use super::index::{Index, Item};
use crate::{Database, ServiceTx, StoreError, row::parsed, statement::query, statement::query_scalar};

/// A symbol that was found.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Found {
    /// The symbol's id, or the one that it will have once it is tracked.
    pub id: Uuid,
    #[schema(value_type = String)]
    pub ticker: Ticker,
    /// `stock`, `etf` or `crypto`.
    pub asset_type: String,
    /// Its name; empty if unknown.
    pub description: String,
    pub exchange: String,
    /// Whether the user tracks it.
    pub kept: bool,
    /// Whether it trades; delisted symbols still have history.
    pub active: bool,
    /// Its new ticker; empty if it was not renamed.
    pub renamed_to: String,
}

/// The searchable directory. Cheap to clone; all clones share one index.
#[derive(Clone, Debug)]
pub struct Directory {
    database: Database,
    held: Arc<Held>,
}

#[derive(Debug, Default)]
struct Held {
    index: RwLock<Option<(i64, Arc<Index>)>>,
    /// Only one of concurrent searches rebuilds an outdated index.
    making: Mutex<()>,
}

impl Directory {
    pub fn new(database: Database) -> Self {
        Self { database, held: Arc::default() }
    }

    /// At most `limit` symbols that `text` may refer to, the best match first, the symbols of `user` before others.
    ///
    /// # Errors
    /// If the database is unreachable or not migrated.
    pub async fn search(&self, user: Uuid, text: &str, limit: usize) -> Result<Vec<Found>, StoreError> {
        let mut tx = self.database.begin_as(user).await?.0;
        let row = query(
            "select (select version from barkeep.directory_version), array(
                select distinct s.ticker
                from public.user_symbol_tracking t
                join public.symbols s on s.id = t.symbol_id
                where exists (select from public.job_definitions d where d.symbol = s.ticker and d.enabled)
            )",
        )
        .fetch_one(&mut *tx)
        .await?;
        tx.commit().await?;
        let tickers: Vec<String> = row.try_get(1)?;
        let kept: HashSet<Ticker> = tickers.iter().filter_map(|ticker| ticker.parse().ok()).collect();
        let index = self.index(row.try_get(0)?).await?;
        Ok(index.search(text, &kept, limit).into_iter().map(|item| found(item, &kept)).collect())
    }

    /// Builds the index ahead of the first search.
    ///
    /// # Errors
    /// If the database is unreachable or not migrated.
    pub async fn warm(&self) -> Result<(), StoreError> {
        let mut tx = self.database.begin().await?;
        let version = version(&mut tx).await?;
        tx.commit().await?;
        self.index(version).await?;
        Ok(())
    }

    async fn index(&self, version: i64) -> Result<Arc<Index>, StoreError> {
        if let Some(index) = self.of_version(version) {
            return Ok(index);
        }
        let _making = self.held.making.lock().await;
        if let Some(index) = self.of_version(version) {
            return Ok(index);
        }
        let (version, index) = load(&self.database).await?;
        let index = Arc::new(index);
        *self.held.index.write().unwrap_or_else(PoisonError::into_inner) = Some((version, Arc::clone(&index)));
        Ok(index)
    }

    fn of_version(&self, version: i64) -> Option<Arc<Index>> {
        let held = self.held.index.read().unwrap_or_else(PoisonError::into_inner);
        held.as_ref().filter(|(of, _)| *of >= version).map(|(_, index)| Arc::clone(index))
    }
}

fn found(item: &Item, kept: &HashSet<Ticker>) -> Found {
    Found {
        id: item.id,
        ticker: item.ticker.clone(),
        asset_type: item.asset_type.clone(),
        description: item.name.clone(),
        exchange: item.exchange.clone(),
        kept: kept.contains(&item.ticker),
        active: item.active,
        renamed_to: item.renamed_to.as_ref().map(ToString::to_string).unwrap_or_default(),
    }
}

/// A new index of all symbols, for single use.
///
/// # Errors
/// If the database is unreachable or not migrated.
pub async fn index(database: &Database) -> Result<Index, StoreError> {
    Ok(load(database).await?.1)
}

async fn version(tx: &mut ServiceTx) -> Result<i64, StoreError> {
    Ok(query_scalar("select version from barkeep.directory_version").fetch_one(&mut **tx).await?)
}

/// The version is read first: a later change is in the index and rebuilds it once more.
async fn load(database: &Database) -> Result<(i64, Index), StoreError> {
    let mut tx = database.begin().await?;
    let version = version(&mut tx).await?;
    let rows = query(
        "select coalesce(s.id, d.id), coalesce(s.ticker, d.ticker), coalesce(s.asset_type, d.asset_type),
            coalesce(nullif(s.description, ''), d.name, ''), coalesce(nullif(s.exchange, ''), d.exchange, ''),
            coalesce(d.active, true) and s.delisted_at is null, d.renamed_to, d.rank,
            d.ticker is not null or s.listing = 'listed' or s.description <> ''
                or barkeep.bars_exist(s.id)
        from barkeep.directory d
        full join public.symbols s on s.ticker = d.ticker
        where s.id is null or (s.active and s.listing <> 'unknown')
        order by 2",
    )
    .fetch_all(&mut *tx)
    .await?;
    tx.commit().await?;
    let item = |row| {
        let renamed_to: Option<String> = row_get(row, 6)?;
        Ok(Item {
            id: row_get(row, 0)?,
            ticker: parsed(row, 1)?,
            asset_type: row_get(row, 2)?,
            name: row_get(row, 3)?,
            exchange: row_get(row, 4)?,
            active: row_get(row, 5)?,
            renamed_to: renamed_to.and_then(|ticker| ticker.parse().ok()),
            rank: row_get(row, 7)?,
            certain: row_get(row, 8)?,
        })
    };
    let items = rows.iter().map(item).collect::<Result<Vec<_>, StoreError>>()?;
    Ok((version, Index::new(items)))
}

fn row_get<'r, T>(row: &'r sqlx::postgres::PgRow, column: usize) -> Result<T, StoreError>
where
    T: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    Ok(row.try_get(column)?)
}
