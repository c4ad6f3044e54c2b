//! Reads bars.

use std::collections::HashMap;

use jiff::{Timestamp, civil::Date};
use market::{Bar, Range, Ticker, Timeframe};
use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

use super::StoredBar;
use crate::{
    Database, StoreError,
    instant::Instant,
    row::{instant, parsed},
    statement::{query, query_scalar},
};

/// The bars of a series that start in `range`, oldest first; if more than `limit`, the newest ones.
///
/// `None`: there is no such symbol.
///
/// # Errors
/// If the database is unreachable or not migrated.
pub async fn read(
    database: &Database,
    user: Option<Uuid>,
    ticker: &Ticker,
    timeframe: Timeframe,
    range: Option<Range>,
    limit: i64,
) -> Result<Option<Vec<StoredBar>>, StoreError> {
    let mut tx = match user {
        Some(user) => database.begin_as(user).await?.0,
        None => database.begin().await?,
    };
    let symbol: Option<Uuid> = query_scalar("select id from public.symbols where ticker = $1")
        .bind(ticker.as_str())
        .fetch_optional(&mut *tx)
        .await?;
    let Some(symbol) = symbol else { return Ok(None) };
    let rows = query(
        "select ts, open, high, low, close, volume, vwap, trade_count, provider, is_final
        from (select * from barkeep.bars($1, $2, $3, $4) order by ts desc limit $5) newest
        order by ts",
    )
    .bind(symbol)
    .bind(timeframe.as_str())
    .bind(range.map(|r| Instant(r.from())))
    .bind(range.map(|r| Instant(r.to())))
    .bind(limit)
    .fetch_all(&mut *tx)
    .await?;
    rows.iter().map(stored).collect::<Result<_, _>>().map(Some)
}

fn stored(row: &PgRow) -> Result<StoredBar, StoreError> {
    let start: Timestamp = instant(row, 0)?;
    Ok(StoredBar {
        bar: Bar {
            start,
            open: row.try_get(1)?,
            high: row.try_get(2)?,
            low: row.try_get(3)?,
            close: row.try_get(4)?,
            volume: row.try_get(5)?,
            vwap: row.try_get(6)?,
            trade_count: row.try_get(7)?,
        },
        provider: row.try_get(8)?,
        is_final: row.try_get(9)?,
    })
}

/// The last stored close before each day's midnight in New York, as traded: of a daily bar if there is one, since it
/// includes the auction, else of the shortest timeframe with bars. Days without a bar in the two weeks before them
/// are omitted.
///
/// # Errors
/// If the database is unreachable or not migrated.
pub async fn closes_before(
    database: &Database,
    user: Option<Uuid>,
    ticker: &Ticker,
    days: &[Date],
) -> Result<HashMap<Date, f64>, StoreError> {
    let mut tx = match user {
        Some(user) => database.begin_as(user).await?.0,
        None => database.begin().await?,
    };
    let rows = query(
        "select d.day::text, b.close
        from unnest($2::text[]::date[]) as d (day)
        cross join lateral (
            select o.close
            from public.symbols s
            cross join unnest('{m1,m5,m15,m30,h1,h4,d1}'::text[]) as t (timeframe)
            cross join lateral barkeep.bars(
                s.id, t.timeframe, (d.day - 14)::timestamp at time zone 'America/New_York',
                d.day::timestamp at time zone 'America/New_York'
            ) o
            where s.ticker = $1 and o.is_final
            order by (o.ts at time zone 'America/New_York')::date desc, t.timeframe = 'd1' desc, o.ts desc
            limit 1
        ) b",
    )
    .bind(ticker.as_str())
    .bind(days.iter().map(Date::to_string).collect::<Vec<_>>())
    .fetch_all(&mut *tx)
    .await?;
    rows.iter().map(|row| Ok((parsed(row, 0)?, row.try_get(1)?))).collect()
}
