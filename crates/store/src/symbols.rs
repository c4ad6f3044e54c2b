//! Symbols: checks against asset lists, suspension, calendars.

use market::{Calendar, Ticker};
use uuid::Uuid;

use crate::{Database, StoreError, statement::query};

/// Those of the symbols that are due for a symbol check: they have no bars, and were not checked within a day. The
/// caller has five minutes to check them before another process may.
///
/// # Errors
/// If the database is unreachable.
pub async fn take_unchecked(database: &Database, symbols: &[Uuid]) -> Result<Vec<Ticker>, StoreError> {
    if symbols.is_empty() {
        return Ok(Vec::new());
    }
    let mut tx = database.begin().await?;
    let rows = query(
        "update public.symbols s
        set listing_checked_at = now() - interval '23 hours 55 minutes'
        from (
            select l.id from public.symbols l
            where l.id = any ($1) and (l.listing_checked_at is null or l.listing_checked_at < now() - interval '1 day')
                and not barkeep.bars_exist(l.id)
            order by l.id
            for no key update
        ) look
        where s.id = look.id
        returning s.ticker",
    )
    .bind(symbols)
    .fetch_all(&mut *tx)
    .await?;
    tx.commit().await?;
    rows.iter().map(|row| crate::row::parsed(row, 0)).collect()
}

/// Suspends `ticker` for this reason: no bars are requested until a later check finds it.
///
/// # Errors
/// If the database rejects the statement or is unreachable.
pub async fn suspend(database: &Database, ticker: &Ticker, reason: &str) -> Result<(), StoreError> {
    let mut tx = database.begin().await?;
    query("select barkeep.suspend_symbol($1, $2)").bind(ticker.as_str()).bind(reason).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(())
}

/// Confirms that an asset list contains `ticker`; name and exchange are stored if unknown.
///
/// # Errors
/// If the database rejects the statement or is unreachable.
pub async fn confirm_listed(
    database: &Database,
    ticker: &Ticker,
    name: &str,
    exchange: &str,
) -> Result<(), StoreError> {
    let mut tx = database.begin().await?;
    query("select barkeep.resume_symbol($1, $2, $3)")
        .bind(ticker.as_str())
        .bind(name)
        .bind(exchange)
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(())
}

/// Postpones the check of `ticker` after an error: it is due again in an hour.
///
/// # Errors
/// If the database rejects the statement or is unreachable.
pub async fn postpone_check(database: &Database, ticker: &Ticker) -> Result<(), StoreError> {
    let mut tx = database.begin().await?;
    query("update public.symbols set listing_checked_at = now() - interval '23 hours' where ticker = $1")
        .bind(ticker.as_str())
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(())
}

/// Symbols that are due for a repeated check: suspended ones after a day, and ones without bars whose check failed.
/// The caller has five minutes to check them before another process may.
///
/// # Errors
/// If the database is unreachable.
pub async fn take_due_for_recheck(database: &Database) -> Result<Vec<Ticker>, StoreError> {
    let mut tx = database.begin().await?;
    let rows = query(
        "update public.symbols s
        set listing_checked_at = now() - interval '23 hours 55 minutes'
        from (
            select l.id from public.symbols l
            where l.listing in ('unknown', 'unchecked') and l.listing_checked_at < now() - interval '1 day'
                and exists (
                    select from public.job_definitions d
                    where d.symbol = l.ticker and d.enabled
                        and (d.suspended_at is not null or l.listing = 'unchecked')
                )
                and (l.listing = 'unknown' or not barkeep.bars_exist(l.id))
            order by l.listing_checked_at
            limit 20
            for no key update skip locked
        ) look
        where s.id = look.id
        returning s.ticker",
    )
    .fetch_all(&mut *tx)
    .await?;
    tx.commit().await?;
    rows.iter().map(|row| crate::row::parsed(row, 0)).collect()
}

/// The calendar of a symbol; the one implied by its spelling if the symbol doesn't exist yet.
///
/// # Errors
/// If the database is unreachable or not migrated.
pub async fn calendar(database: &Database, ticker: &Ticker) -> Result<Calendar, StoreError> {
    let mut tx = database.begin().await?;
    let row = query(
        "select coalesce(
            (select s.calendar from public.symbols s where s.ticker = $1),
            barkeep.calendar_of(barkeep.asset_type_of($1))
        )",
    )
    .bind(ticker.as_str())
    .fetch_one(&mut *tx)
    .await?;
    crate::row::parsed(&row, 0)
}

/// The id of a symbol, if it exists.
///
/// # Errors
/// If the database is unreachable or not migrated.
pub async fn id(database: &Database, ticker: &Ticker) -> Result<Option<Uuid>, StoreError> {
    let mut tx = database.begin().await?;
    let row =
        query("select id from public.symbols where ticker = $1").bind(ticker.as_str()).fetch_optional(&mut *tx).await?;
    row.map(|row| Ok(sqlx::Row::try_get(&row, 0)?)).transpose()
}
