//! What is known of a symbol beyond its bars.

use market::Ticker;
use uuid::Uuid;

use crate::{
    Database, StoreError,
    statement::{query, query_scalar},
};

/// Whether the provider's asset list should be asked about the symbol: it has no bars, and nobody has looked within
/// a day.
///
/// # Errors
/// Where the database is gone.
pub async fn needs_a_look(database: &Database, symbol_id: Uuid) -> Result<bool, StoreError> {
    let mut tx = database.begin().await?;
    Ok(query_scalar(
        "select (s.listing_checked_at is null or s.listing_checked_at < now() - interval '1 day')
            and not exists (select from public.ohlc_bars_v2 b where b.symbol_id = s.id)
        from public.symbols s where s.id = $1",
    )
    .bind(symbol_id)
    .fetch_one(&mut *tx)
    .await?)
}

/// Nothing more is asked for `ticker`, for the reason given, until a later look finds it.
///
/// # Errors
/// Where the database refuses or is gone.
pub async fn suspend(database: &Database, ticker: &Ticker, reason: &str) -> Result<(), StoreError> {
    let mut tx = database.begin().await?;
    query("select barkeep.suspend_symbol($1, $2)").bind(ticker.as_str()).bind(reason).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(())
}

/// The asset list knows `ticker`; name and exchange are kept where there were none.
///
/// # Errors
/// Where the database refuses or is gone.
pub async fn listed(database: &Database, ticker: &Ticker, name: &str, exchange: &str) -> Result<(), StoreError> {
    let mut tx = database.begin().await?;
    query("select barkeep.symbol_is_listed($1, null, $2, $3)")
        .bind(ticker.as_str())
        .bind(name)
        .bind(exchange)
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(())
}

/// Notes that the asset list could not be asked about `ticker`: its turn comes again in a day.
///
/// # Errors
/// Where the database refuses or is gone.
pub async fn not_looked_up(database: &Database, ticker: &Ticker) -> Result<(), StoreError> {
    let mut tx = database.begin().await?;
    query("update public.symbols set listing_checked_at = now() where ticker = $1")
        .bind(ticker.as_str())
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(())
}

/// Suspended symbols whose last look is a day old or older: to be looked up once more.
///
/// # Errors
/// Where the database is gone.
pub async fn due_for_a_second_look(database: &Database) -> Result<Vec<Ticker>, StoreError> {
    let mut tx = database.begin().await?;
    let rows = query(
        "select s.ticker from public.symbols s
        where s.listing = 'unknown' and s.listing_checked_at < now() - interval '1 day'
            and exists (
                select from public.job_definitions d
                where d.symbol = s.ticker and d.enabled and d.suspended_at is not null
            )
        order by s.listing_checked_at
        limit 20",
    )
    .fetch_all(&mut *tx)
    .await?;
    rows.iter().map(|row| crate::row::parsed(row, 0)).collect()
}
