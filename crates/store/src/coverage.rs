//! Gaps, unavailable ranges, and the coverage of each series.

use std::collections::HashMap;

use jiff::Timestamp;
use market::{Calendar, Range, RangeSet, Ticker, Timeframe};
use serde::Serialize;
use sqlx::{Row, postgres::PgRow};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    Database, ServiceTx, StoreError,
    definitions::{Definition, Which, due_now},
    instant::Instant,
    row::{instant_or_none, parsed, range},
    statement::{query, query_scalar},
};

/// The coverage of one series.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct SeriesCoverage {
    #[schema(value_type = String)]
    pub timeframe: Timeframe,
    /// Stored bars, in the window or not.
    pub bars: i64,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub earliest: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub latest: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_fetch: Option<Timestamp>,
    /// Bars that the calendar expects in the window, up to the last final one.
    pub expected: i64,
    /// Final bars stored in the window.
    pub stored: i64,
    /// Expected bars that are not covered yet.
    pub missing: i64,
    /// `complete`, `filling`, `failing`, `unknown`, `unchecked`, `paused` or `not tracked`.
    pub state: String,
    pub reason: Option<String>,
    pub priority: i32,
    /// Expected bars that are covered and in which nothing traded.
    pub no_trade: i64,
    /// Bars of the window that no provider can supply; not among the expected ones.
    pub unavailable: i64,
    /// Failed runs that are not retried yet.
    pub failed_runs: i64,
    /// The end of the covered range.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub fresh_to: Option<Timestamp>,
}

/// The gaps of series, oldest first, by definition: the input of planning. Each within its definition's window, or
/// within one of `window_days` if that is longer. Sessions that are due for a reread are included.
///
/// # Errors
/// If the database is unreachable, or its sessions don't reach that far.
pub async fn gaps(
    tx: &mut ServiceTx,
    definitions: &[Definition],
    window_days: Option<i32>,
) -> Result<HashMap<Uuid, Vec<Range>>, StoreError> {
    let rows = query(
        "select d.id, lower(wanted.part), upper(wanted.part)
        from unnest($1::uuid[], $2::text[], $3::text[], $4::int[]) as d (id, symbol, timeframe, days)
        cross join lateral unnest(
            coalesce((
                select range_agg(tstzrange(g.gap_from, g.gap_to))
                from public.get_coverage_gaps(d.symbol, d.timeframe, d.days) g
            ), '{}')
            + coalesce((
                select range_agg(r.ranges) from barkeep.rereads r
                where r.symbol = d.symbol and r.timeframe = d.timeframe and r.due_at <= barkeep.market_now()
            ), '{}')
        ) as wanted (part)
        order by d.id, lower(wanted.part)",
    )
    .bind(definitions.iter().map(|d| d.id).collect::<Vec<_>>())
    .bind(definitions.iter().map(|d| d.ticker.as_str()).collect::<Vec<_>>())
    .bind(definitions.iter().map(|d| d.timeframe.as_str()).collect::<Vec<_>>())
    .bind(definitions.iter().map(|d| d.window_days.max(window_days.unwrap_or(0))).collect::<Vec<_>>())
    .fetch_all(&mut **tx)
    .await?;
    let mut gaps: HashMap<Uuid, Vec<Range>> = HashMap::new();
    for row in &rows {
        gaps.entry(row.try_get(0)?).or_default().push(range(row, 1)?);
    }
    Ok(gaps)
}

/// The windows of series, by definition: whole sessions up to the last final bar. A series without a final bar has
/// none yet.
///
/// # Errors
/// As [`gaps`].
pub async fn windows(tx: &mut ServiceTx, definitions: &[Definition]) -> Result<HashMap<Uuid, Range>, StoreError> {
    let rows = query(
        "select d.id, lower(w.span), upper(w.span)
        from unnest($1::uuid[], $2::text[], $3::text[], $4::int[]) as d (id, calendar, timeframe, days)
        cross join lateral (select barkeep.window_of(d.calendar, d.timeframe, d.days) as span offset 0) w
        where not isempty(w.span)",
    )
    .bind(definitions.iter().map(|d| d.id).collect::<Vec<_>>())
    .bind(definitions.iter().map(|d| d.calendar.as_str()).collect::<Vec<_>>())
    .bind(definitions.iter().map(|d| d.timeframe.as_str()).collect::<Vec<_>>())
    .bind(definitions.iter().map(|d| d.window_days).collect::<Vec<_>>())
    .fetch_all(&mut **tx)
    .await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, range(row, 1)?))).collect()
}

/// The covered ranges of one series.
///
/// # Errors
/// If the database is unreachable or not migrated.
pub async fn covered(database: &Database, ticker: &Ticker, timeframe: Timeframe) -> Result<RangeSet, StoreError> {
    let mut tx = database.begin().await?;
    let rows = query(
        "select lower(c.part), upper(c.part)
        from public.coverage_status s
        cross join lateral unnest(s.covered) as c (part)
        where s.symbol = $1 and s.timeframe = $2
        order by 1",
    )
    .bind(ticker.as_str())
    .bind(timeframe.as_str())
    .fetch_all(&mut *tx)
    .await?;
    rows.iter().map(|row| range(row, 0)).collect()
}

/// Marks a range as unavailable, so that it is no gap any more.
///
/// # Errors
/// If the database rejects the statement or is unreachable.
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

/// Lifts the marks of a calendar's series that begin at `from` or later, since a provider has those bars now, and makes their
/// series due. Returns the number of series.
///
/// # Errors
/// If the database rejects the statement or is unreachable.
pub async fn lift_unavailable(
    database: &Database,
    calendar: Calendar,
    timeframe: Timeframe,
    from: Timestamp,
) -> Result<usize, StoreError> {
    let mut tx = database.begin().await?;
    let lifted: Vec<Uuid> = query_scalar(
        "with lifted as (
            update public.coverage_status c
            set unavailable = c.unavailable - tstzmultirange(tstzrange($3, null)),
                unavailable_reason = case
                    when c.unavailable <@ tstzmultirange(tstzrange($3, null)) then null
                    else c.unavailable_reason
                end,
                updated_at = clock_timestamp()
            from public.symbols s
            where s.ticker = c.symbol and s.calendar = $1 and c.timeframe = $2
                and c.unavailable && tstzrange($3, null)
            returning c.symbol, c.timeframe
        )
        select d.id
        from lifted l
        join public.job_definitions d on d.symbol = l.symbol and d.timeframe = l.timeframe",
    )
    .bind(calendar.as_str())
    .bind(timeframe.as_str())
    .bind(Instant(from))
    .fetch_all(&mut *tx)
    .await?;
    due_now(&mut tx, Which::These(&lifted), "a provider has what was unavailable").await?;
    tx.commit().await?;
    Ok(lifted.len())
}

/// The coverage of a symbol, in three timeframes or more, as visible to the service or to `user`.
///
/// # Errors
/// If the database is unreachable or not migrated.
pub async fn of_symbol(
    database: &Database,
    user: Option<Uuid>,
    ticker: &Ticker,
) -> Result<Vec<SeriesCoverage>, StoreError> {
    let found = of_symbols(database, user, std::slice::from_ref(ticker)).await?;
    Ok(found.into_iter().flat_map(|(_, series)| series).collect())
}

/// The same for many symbols at once, in the order given.
///
/// # Errors
/// If the database is unreachable or not migrated.
pub async fn of_symbols(
    database: &Database,
    user: Option<Uuid>,
    tickers: &[Ticker],
) -> Result<Vec<(Ticker, Vec<SeriesCoverage>)>, StoreError> {
    let mut tx = match user {
        Some(user) => database.begin_as(user).await?.0,
        None => database.begin().await?,
    };
    let rows = query(
        "select f.timeframe, f.bars_count, f.earliest_bar, f.latest_bar, f.last_fetch, f.expected_bars, f.stored_bars,
            f.missing_bars, f.state, f.reason, f.job_priority, c.to_ts,
            (
                select coalesce(sum(barkeep.expected_bars(s.calendar, f.timeframe, lower(u.part), upper(u.part))), 0)::bigint
                from unnest(c.unavailable * tstzmultirange(w.span)) as u (part)
            ),
            (
                select count(*) from public.job_runs r
                where r.symbol = s.ticker and r.timeframe = f.timeframe and r.status = 'failed'
            ),
            f.n
        from barkeep.coverage_of_symbols($1) f
        left join public.symbols s on s.ticker = ($1)[f.n]
        left join public.coverage_status c on c.symbol = s.ticker and c.timeframe = f.timeframe
        left join public.job_definitions d
            on d.symbol = s.ticker and d.timeframe = f.timeframe and d.job_type = barkeep.job_type(f.timeframe)
        left join lateral (
            select barkeep.window_of(
                s.calendar, f.timeframe, coalesce(d.window_days, barkeep.window_days(f.timeframe))
            ) as span
            where c.unavailable <> '{}'
            offset 0
        ) w on true
        order by f.n, f.place",
    )
    .bind(tickers.iter().map(Ticker::as_str).collect::<Vec<_>>())
    .fetch_all(&mut *tx)
    .await?;
    let mut found: Vec<(Ticker, Vec<SeriesCoverage>)> =
        tickers.iter().map(|ticker| (ticker.clone(), Vec::new())).collect();
    for row in &rows {
        let n: i64 = row.try_get(14)?;
        let of = usize::try_from(n - 1).ok().and_then(|n| found.get_mut(n));
        if let Some((_, series)) = of {
            series.push(series_coverage(row)?);
        }
    }
    Ok(found)
}

fn series_coverage(row: &PgRow) -> Result<SeriesCoverage, StoreError> {
    Ok(SeriesCoverage {
        timeframe: parsed(row, 0)?,
        bars: row.try_get(1)?,
        earliest: instant_or_none(row, 2)?,
        latest: instant_or_none(row, 3)?,
        last_fetch: instant_or_none(row, 4)?,
        expected: row.try_get(5)?,
        stored: row.try_get(6)?,
        // Gaps are hidden from users who don't track the symbol: computed from the bars they can see.
        missing: match row.try_get::<&str, _>(8)? {
            "not tracked" => row.try_get::<i64, _>(5)?.saturating_sub(row.try_get(6)?).max(0),
            _ => row.try_get(7)?,
        },
        state: row.try_get(8)?,
        reason: row.try_get(9)?,
        priority: row.try_get(10)?,
        fresh_to: instant_or_none(row, 11)?,
        unavailable: row.try_get::<Option<i64>, _>(12)?.unwrap_or(0),
        failed_runs: row.try_get(13)?,
        // Covered and without a bar.
        no_trade: row
            .try_get::<i64, _>(5)?
            .saturating_sub(row.try_get::<i64, _>(6)?)
            .saturating_sub(row.try_get(7)?)
            .max(0),
    })
}

/// The symbols with enabled series, by name.
///
/// # Errors
/// If the database is unreachable or not migrated.
pub async fn wanted_symbols(database: &Database) -> Result<Vec<Ticker>, StoreError> {
    let mut tx = database.begin().await?;
    let rows = query("select distinct symbol from public.job_definitions where enabled order by symbol")
        .fetch_all(&mut *tx)
        .await?;
    rows.iter().map(|row| parsed(row, 0)).collect()
}

/// Expected bars of the series in `range`, which begins at most `window_days` ago, that are not covered.
///
/// # Errors
/// If the database is unreachable or not migrated.
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
