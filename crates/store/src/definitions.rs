//! Definitions: which series are kept, and which of them are due for planning.

use std::collections::HashMap;

use market::{Calendar, Ticker, Timeframe};
use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

use crate::{
    Database, ServiceTx, StoreError,
    row::parsed,
    statement::{query, query_scalar},
};

/// A series to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    pub id: Uuid,
    pub ticker: Ticker,
    pub timeframe: Timeframe,
    pub calendar: Calendar,
    /// Foreground: a user tracks it, as opposed to being kept in the background only.
    pub by_interest: bool,
    pub priority: i32,
    pub window_days: i32,
}

/// The definitions that are due on the market's clock, of at most `symbols` symbols: all of a symbol's together,
/// symbols with interest first. `tickers` restricts it to their series.
///
/// # Errors
/// If the database is unreachable or not migrated.
pub async fn due(database: &Database, tickers: Option<&[Ticker]>, symbols: i64) -> Result<Vec<Definition>, StoreError> {
    let mut tx = database.begin().await?;
    let rows = query(
        "with due as (
            select d.*, s.calendar
            from public.job_definitions d
            join public.symbols s on s.ticker = d.symbol
            where d.enabled and d.suspended_at is null and d.next_due_at <= barkeep.market_now()
                and ($1::text[] is null or d.symbol = any ($1))
        ),
        first as (
            select symbol, bool_or(by_interest) as by_interest, max(priority) as priority
            from due
            group by symbol
            order by bool_or(by_interest) desc, max(priority) desc, symbol
            limit $2
        )
        select d.id, d.symbol, d.timeframe, d.calendar, d.by_interest, d.priority, d.window_days
        from first f join due d on d.symbol = f.symbol
        order by f.by_interest desc, f.priority desc, d.symbol, d.timeframe",
    )
    .bind(tickers.map(|tickers| tickers.iter().map(Ticker::as_str).collect::<Vec<_>>()))
    .bind(symbols)
    .fetch_all(&mut *tx)
    .await?;
    rows.iter().map(definition).collect()
}

/// Every enabled series, whether it is due or not. `tickers` restricts it to their series.
///
/// # Errors
/// If the database is unreachable or not migrated.
pub async fn kept(database: &Database, tickers: Option<&[Ticker]>) -> Result<Vec<Definition>, StoreError> {
    let mut tx = database.begin().await?;
    let rows = query(
        "select d.id, d.symbol, d.timeframe, s.calendar, d.by_interest, d.priority, d.window_days
        from public.job_definitions d
        join public.symbols s on s.ticker = d.symbol
        where d.enabled and d.suspended_at is null and ($1::text[] is null or d.symbol = any ($1))
        order by d.by_interest desc, d.priority desc, d.symbol, d.timeframe",
    )
    .bind(tickers.map(|tickers| tickers.iter().map(Ticker::as_str).collect::<Vec<_>>()))
    .fetch_all(&mut *tx)
    .await?;
    rows.iter().map(definition).collect()
}

/// Those of `definitions` that are still due, locked with their series until the transaction ends: another planner
/// may have been faster.
///
/// # Errors
/// If the database rejects the statement or is unreachable.
pub async fn lock_due(tx: &mut ServiceTx, definitions: &[Definition]) -> Result<Vec<Definition>, StoreError> {
    let rows =
        query("select id, window_days from barkeep.lock_due($1)").bind(ids(definitions)).fetch_all(&mut **tx).await?;
    // Read under the lock: a later change of the window makes the series due again.
    let mut windows = HashMap::new();
    for row in &rows {
        windows.insert(row.try_get::<Uuid, _>(0)?, row.try_get::<i32, _>(1)?);
    }
    let due = |d: &Definition| Some(Definition { window_days: *windows.get(&d.id)?, ..d.clone() });
    Ok(definitions.iter().filter_map(due).collect())
}

/// Marks the series as planned. They are due again when their next bar is final, or when an empty session or one that
/// has just ended is due for a reread, whichever comes first. A symbol that was delisted days ago has no next bar:
/// its series are due once a day.
///
/// # Errors
/// If the database rejects the statement or is unreachable.
pub async fn mark_planned(tx: &mut ServiceTx, definitions: &[Definition]) -> Result<(), StoreError> {
    query(
        "update public.job_definitions d
        set due_reason = null, next_due_at = least(
                case
                    when s.delisted_at < barkeep.market_now() - interval '3 days'
                        then barkeep.market_now() + interval '1 day'
                    else barkeep.next_bar_due(s.calendar, d.timeframe, barkeep.market_now())
                end,
                (select min(e.recheck_at) from barkeep.empty_sessions e
                where e.symbol = d.symbol and e.timeframe = d.timeframe and e.recheck_at > barkeep.market_now()),
                (select min(r.due_at) from barkeep.rereads r
                where r.symbol = d.symbol and r.timeframe = d.timeframe and r.due_at > barkeep.market_now())
            )
        from public.symbols s
        where d.id = any ($1) and s.ticker = d.symbol",
    )
    .bind(ids(definitions))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

fn ids(definitions: &[Definition]) -> Vec<Uuid> {
    definitions.iter().map(|definition| definition.id).collect()
}

/// Postpones a series that could not be planned: it is due again in five minutes.
///
/// # Errors
/// If the database rejects the statement or is unreachable.
pub async fn postpone(database: &Database, definition: &Definition) -> Result<(), StoreError> {
    let mut tx = database.begin().await?;
    query("update public.job_definitions set next_due_at = barkeep.market_now() + interval '5 minutes' where id = $1")
        .bind(definition.id)
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(())
}

/// Which series to make due.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Which<'a> {
    All,
    OfCalendar(Calendar),
    OfSymbols(&'a [&'a str]),
    /// By the ids of their definitions.
    These(&'a [Uuid]),
}

/// Makes series due now instead of at the end of their next bar, by calling `barkeep.make_due`, which all code does.
/// The reason is kept until they are planned.
///
/// # Errors
/// If the database rejects the statement or is unreachable.
pub(crate) async fn due_now(tx: &mut ServiceTx, which: Which<'_>, reason: &'static str) -> Result<(), StoreError> {
    let (calendar, symbols, ids) = match which {
        Which::All => (None, None, None),
        Which::OfCalendar(calendar) => (Some(calendar.as_str()), None, None),
        Which::OfSymbols(symbols) => (None, Some(symbols), None),
        Which::These(ids) => (None, None, Some(ids)),
    };
    query(
        "select barkeep.make_due(array(
            select d.id from public.job_definitions d
            join public.symbols s on s.ticker = d.symbol
            where ($1::text is null or s.calendar = $1) and ($2::text[] is null or d.symbol = any ($2))
                and ($3::uuid[] is null or d.id = any ($3))
        ), $4)",
    )
    .bind(calendar)
    .bind(symbols)
    .bind(ids)
    .bind(reason)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Makes every definition of `tickers` due now, for a user who waits for the result.
///
/// # Errors
/// If the database rejects the statement or is unreachable.
pub async fn make_due(database: &Database, tickers: &[Ticker]) -> Result<(), StoreError> {
    let mut tx = database.begin().await?;
    let symbols: Vec<&str> = tickers.iter().map(Ticker::as_str).collect();
    query("select barkeep.lock_interest($1)").bind(&symbols).execute(&mut *tx).await?;
    due_now(&mut tx, Which::OfSymbols(&symbols), "a user waits for it").await?;
    tx.commit().await?;
    Ok(())
}

/// Ensures that `tickers` are kept in `timeframes` without any user tracking them: creates missing symbols and
/// definitions, with background priority. `window_days` extends smaller windows.
///
/// # Errors
/// If the database rejects the statement or is unreachable.
pub async fn ensure_background(
    database: &Database,
    tickers: &[Ticker],
    timeframes: &[Timeframe],
    window_days: Option<i32>,
) -> Result<(), StoreError> {
    let mut tx = database.begin().await?;
    let symbols: Vec<&str> = tickers.iter().map(Ticker::as_str).collect();
    let named: Vec<&str> = timeframes.iter().map(|t| t.as_str()).collect();
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
        "insert into public.job_definitions (symbol, timeframe, job_type, window_days, base_priority)
        select s.ticker, f, barkeep.job_type(f), coalesce($3, barkeep.window_days(f)), 50
        from public.symbols s
        cross join unnest($2::text[]) f
        where s.ticker = any ($1)
        order by s.ticker, f
        on conflict (symbol, timeframe, job_type) do nothing",
    )
    .bind(&symbols)
    .bind(&named)
    .bind(window_days)
    .execute(&mut *tx)
    .await?;
    // Existing definitions, in the order in which all transactions lock them.
    let kept: Vec<Uuid> = query_scalar(
        "update public.job_definitions d
        set window_days = greatest(d.window_days, coalesce($3, barkeep.window_days(d.timeframe))),
            base_priority = coalesce(d.base_priority, 50)
        from (
            select id from public.job_definitions
            where symbol = any ($1) and timeframe = any ($2)
            order by id
            for no key update
        ) held
        where d.id = held.id
        returning d.id",
    )
    .bind(&symbols)
    .bind(&named)
    .bind(window_days)
    .fetch_all(&mut *tx)
    .await?;
    due_now(&mut tx, Which::These(&kept), "it is kept in the background").await?;
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
        priority: row.try_get(5)?,
        window_days: row.try_get(6)?,
    })
}
