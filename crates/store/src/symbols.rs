//! What is known of a symbol beyond its bars.

use market::{Calendar, Ticker};
use uuid::Uuid;

use crate::{Database, StoreError, statement::query};

/// Those of the symbols that the provider's asset list should be asked about: they have no bars, and nobody has looked
/// within a day. Whoever is told so looks: nobody else is for the next five minutes.
///
/// # Errors
/// Where the database is gone.
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

/// Notes that the asset list could not be asked about `ticker`: its turn comes again in an hour.
///
/// # Errors
/// Where the database refuses or is gone.
pub async fn postpone_check(database: &Database, ticker: &Ticker) -> Result<(), StoreError> {
    let mut tx = database.begin().await?;
    query("update public.symbols set listing_checked_at = now() - interval '23 hours' where ticker = $1")
        .bind(ticker.as_str())
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(())
}

/// Symbols to be looked up once more: suspended ones whose last look is a day old, and ones without bars of which nothing
/// could be learnt before. Whoever is told so looks: nobody else is for the next five minutes.
///
/// # Errors
/// Where the database is gone.
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

/// The calendar that a symbol's sessions follow; that of its spelling where nobody has asked for it yet.
///
/// # Errors
/// Where the database is gone or not migrated.
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

/// The id of a symbol that somebody has asked for.
///
/// # Errors
/// Where the database is gone or not migrated.
pub async fn id(database: &Database, ticker: &Ticker) -> Result<Option<Uuid>, StoreError> {
    let mut tx = database.begin().await?;
    let row =
        query("select id from public.symbols where ticker = $1").bind(ticker.as_str()).fetch_optional(&mut *tx).await?;
    row.map(|row| Ok(sqlx::Row::try_get(&row, 0)?)).transpose()
}
