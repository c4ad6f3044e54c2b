//! Which series are kept, and which of them are due for planning.

use market::{Calendar, Ticker, Timeframe};
use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

use crate::{Database, ServiceTx, StoreError, row::parsed, statement::query};

/// A series that somebody wants kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    pub id: Uuid,
    pub ticker: Ticker,
    pub timeframe: Timeframe,
    pub calendar: Calendar,
    /// A person asked for it, as opposed to being kept up in the background.
    pub by_interest: bool,
}

/// The definitions that are due on the market's clock: what people asked for first. `tickers` narrows it to theirs.
///
/// # Errors
/// Where the database is gone or not migrated.
pub async fn due(database: &Database, tickers: Option<&[Ticker]>, limit: i64) -> Result<Vec<Definition>, StoreError> {
    let mut tx = database.begin().await?;
    let rows = query(
        "select d.id, d.symbol, d.timeframe, s.calendar, d.by_interest
        from public.job_definitions d
        join public.symbols s on s.ticker = d.symbol
        where d.enabled and d.suspended_at is null and d.next_due_at <= barkeep.market_now()
            and ($1::text[] is null or d.symbol = any ($1))
        order by d.by_interest desc, d.priority desc, d.symbol, d.timeframe
        limit $2",
    )
    .bind(tickers.map(|tickers| tickers.iter().map(Ticker::as_str).collect::<Vec<_>>()))
    .bind(limit)
    .fetch_all(&mut *tx)
    .await?;
    rows.iter().map(definition).collect()
}

/// Notes that the series was planned: next when its next bar is final, or when an empty session is to be asked for
/// once more, whichever comes first.
///
/// # Errors
/// Where the database refuses or is gone.
pub async fn planned(tx: &mut ServiceTx, definition: &Definition) -> Result<(), StoreError> {
    query(
        "update public.job_definitions d
        set next_due_at = least(
                barkeep.next_bar_due($2, d.timeframe, barkeep.market_now()),
                (select min(e.recheck_at) from barkeep.empty_sessions e
                where e.symbol = d.symbol and e.timeframe = d.timeframe and e.recheck_at > barkeep.market_now())
            )
        where d.id = $1",
    )
    .bind(definition.id)
    .bind(definition.calendar.as_str())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The series could not be planned: its turn comes again in five minutes.
///
/// # Errors
/// Where the database refuses or is gone.
pub async fn put_off(database: &Database, definition: &Definition) -> Result<(), StoreError> {
    let mut tx = database.begin().await?;
    query("update public.job_definitions set next_due_at = barkeep.market_now() + interval '5 minutes' where id = $1")
        .bind(definition.id)
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(())
}

/// Makes every definition of `tickers` due now, for somebody who waits for the result.
///
/// # Errors
/// Where the database refuses or is gone.
pub async fn make_due(database: &Database, tickers: &[Ticker]) -> Result<(), StoreError> {
    let mut tx = database.begin().await?;
    let symbols: Vec<&str> = tickers.iter().map(Ticker::as_str).collect();
    query("select barkeep.lock_interest($1)").bind(&symbols).execute(&mut *tx).await?;
    query("update public.job_definitions set next_due_at = 'epoch' where symbol = any ($1)")
        .bind(&symbols)
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(())
}

/// Makes sure that `tickers` are kept in `timeframes` without anybody tracking them: symbols and definitions that are
/// missing are made, at background priority. `window_days` widens the windows that are smaller.
///
/// # Errors
/// Where the database refuses or is gone.
pub async fn keep_in_background(
    database: &Database,
    tickers: &[Ticker],
    timeframes: &[Timeframe],
    window_days: Option<i32>,
) -> Result<(), StoreError> {
    let mut tx = database.begin().await?;
    let symbols: Vec<&str> = tickers.iter().map(Ticker::as_str).collect();
    query("select barkeep.lock_interest($1)").bind(&symbols).execute(&mut *tx).await?;
    query(
        "insert into public.symbols (ticker, asset_type, calendar)
        select t, barkeep.asset_type_of(t), barkeep.calendar_of(barkeep.asset_type_of(t))
        from unnest($1::text[]) t order by t
        on conflict (ticker) do nothing",
    )
    .bind(&symbols)
    .execute(&mut *tx)
    .await?;
    query(
        "insert into public.job_definitions as held (symbol, timeframe, job_type, window_days, base_priority)
        select s.ticker, f, barkeep.job_type(f), coalesce($3, barkeep.window_days(f)), 50
        from public.symbols s
        cross join unnest($2::text[]) f
        where s.ticker = any ($1)
        order by s.ticker, f
        on conflict (symbol, timeframe, job_type) do update
        set window_days = greatest(held.window_days, excluded.window_days),
            base_priority = coalesce(held.base_priority, excluded.base_priority),
            next_due_at = 'epoch'",
    )
    .bind(&symbols)
    .bind(timeframes.iter().map(|t| t.as_str()).collect::<Vec<_>>())
    .bind(window_days)
    .execute(&mut *tx)
    .await?;
    query("select barkeep.refresh_definitions($1)").bind(&symbols).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(())
}

fn definition(row: &PgRow) -> Result<Definition, StoreError> {
    Ok(Definition {
        id: row.try_get(0)?,
        ticker: parsed(row, 1)?,
        timeframe: parsed(row, 2)?,
        calendar: parsed(row, 3)?,
        by_interest: row.try_get(4)?,
    })
}
