//! What is missing, what can't be had, and how far each series has come.

use jiff::Timestamp;
use market::{Range, Ticker, Timeframe};
use serde::Serialize;
use sqlx::Row;
use uuid::Uuid;

use crate::{
    Database, ServiceTx, StoreError,
    definitions::Definition,
    instant::Instant,
    row::{instant_or_none, parsed, range},
    statement::{query, query_scalar},
};

/// How far one series has come.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SeriesCoverage {
    pub timeframe: Timeframe,
    /// Bars stored, whatever the window.
    pub bars: i64,
    pub earliest: Option<Timestamp>,
    pub latest: Option<Timestamp>,
    pub last_fetch: Option<Timestamp>,
    /// What the calendar expects in the window, up to the last final bar.
    pub expected: i64,
    /// Final bars in the window.
    pub stored: i64,
    /// Expected bars that nobody has answered for yet. What is neither stored nor missing had no trade.
    pub missing: i64,
    /// `complete`, `filling`, `failing`, `unknown`, `unchecked`, `paused` or `not tracked`.
    pub state: String,
    pub reason: Option<String>,
    pub priority: i32,
}

/// Locks the series and its definition until the transaction ends and returns its gaps, oldest first: the one thing that
/// planning asks. `window_days`: a longer window than the definition's, for this once.
///
/// # Errors
/// Where the database is gone, or its sessions don't reach that far.
pub async fn gaps_locked(
    tx: &mut ServiceTx,
    definition: &Definition,
    window_days: Option<i32>,
) -> Result<Vec<Range>, StoreError> {
    query("select barkeep.lock_series($1, $2)")
        .bind(definition.ticker.as_str())
        .bind(definition.timeframe.as_str())
        .execute(&mut **tx)
        .await?;
    // Read now and held: who widens the window meanwhile makes the series due again after this.
    let held: Option<i32> =
        query_scalar("select window_days from public.job_definitions where id = $1 for no key update")
            .bind(definition.id)
            .fetch_optional(&mut **tx)
            .await?;
    let Some(held) = held else { return Ok(Vec::new()) };
    let rows = query("select gap_from, gap_to from public.get_coverage_gaps($1, $2, $3)")
        .bind(definition.ticker.as_str())
        .bind(definition.timeframe.as_str())
        .bind(window_days.map_or(held, |days| days.max(held)))
        .fetch_all(&mut **tx)
        .await?;
    rows.iter().map(|row| range(row, 0)).collect()
}

/// Notes that a range can't be had, so that it is no gap any more.
///
/// # Errors
/// Where the database refuses or is gone.
pub async fn mark_unavailable(
    tx: &mut ServiceTx,
    definition: &Definition,
    range: Range,
    reason: &str,
) -> Result<(), StoreError> {
    query(
        "insert into public.coverage_status as held (symbol, timeframe, unavailable, unavailable_reason)
        values ($1, $2, tstzmultirange(tstzrange($3, $4)), $5)
        on conflict (symbol, timeframe) do update
        set unavailable = held.unavailable + excluded.unavailable,
            unavailable_reason = excluded.unavailable_reason,
            updated_at = clock_timestamp()",
    )
    .bind(definition.ticker.as_str())
    .bind(definition.timeframe.as_str())
    .bind(Instant(range.from()))
    .bind(Instant(range.to()))
    .bind(reason)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The coverage of a symbol, three timeframes or more, as the service sees it or as `user` does.
///
/// # Errors
/// Where the database is gone or not migrated.
pub async fn of_symbol(
    database: &Database,
    user: Option<Uuid>,
    ticker: &Ticker,
) -> Result<Vec<SeriesCoverage>, StoreError> {
    let mut tx = match user {
        Some(user) => database.begin_as(user).await?.0,
        None => database.begin().await?,
    };
    let rows = query(
        "select timeframe, bars_count, earliest_bar, latest_bar, last_fetch, expected_bars, stored_bars, missing_bars,
            state, reason, job_priority
        from public.get_symbol_timeframe_coverage($1)",
    )
    .bind(ticker.as_str())
    .fetch_all(&mut *tx)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(SeriesCoverage {
                timeframe: parsed(row, 0)?,
                bars: row.try_get(1)?,
                earliest: instant_or_none(row, 2)?,
                latest: instant_or_none(row, 3)?,
                last_fetch: instant_or_none(row, 4)?,
                expected: row.try_get(5)?,
                stored: row.try_get(6)?,
                missing: row.try_get(7)?,
                state: row.try_get(8)?,
                reason: row.try_get(9)?,
                priority: row.try_get(10)?,
            })
        })
        .collect()
}

/// The symbols that are kept for anybody, by name.
///
/// # Errors
/// Where the database is gone or not migrated.
pub async fn wanted_symbols(database: &Database) -> Result<Vec<Ticker>, StoreError> {
    let mut tx = database.begin().await?;
    let rows = query("select distinct symbol from public.job_definitions where enabled order by symbol")
        .fetch_all(&mut *tx)
        .await?;
    rows.iter().map(|row| parsed(row, 0)).collect()
}

/// Expected bars of the series in `range`, which begins at most `window_days` ago, that nobody has answered for.
///
/// # Errors
/// Where the database is gone or not migrated.
pub async fn missing_in(
    database: &Database,
    ticker: &Ticker,
    timeframe: Timeframe,
    range: Range,
    window_days: i32,
) -> Result<i64, StoreError> {
    let mut tx = database.begin().await?;
    Ok(query_scalar(
        "select coalesce(sum(barkeep.expected_bars(
            s.calendar, d.timeframe, greatest(g.gap_from, $3), least(g.gap_to, $4)
        )), 0)::bigint
        from public.job_definitions d
        join public.symbols s on s.ticker = d.symbol
        cross join lateral public.get_coverage_gaps(d.symbol, d.timeframe, $5) g
        where d.symbol = $1 and d.timeframe = $2 and g.gap_to > $3 and g.gap_from < $4",
    )
    .bind(ticker.as_str())
    .bind(timeframe.as_str())
    .bind(Instant(range.from()))
    .bind(Instant(range.to()))
    .bind(window_days)
    .fetch_one(&mut *tx)
    .await?)
}
