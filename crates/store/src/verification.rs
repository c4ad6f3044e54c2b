//! Results of the last verification of each series.

use jiff::Timestamp;
use market::{Ticker, Timeframe};
use serde::Serialize;
use serde_json::Value;
use sqlx::Row;

use crate::{
    Database, StoreError,
    row::{instant, parsed},
    statement::{query, query_scalar},
};

/// Result for one series.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verified {
    pub symbol: Ticker,
    pub timeframe: Timeframe,
    pub checked_at: Timestamp,
    pub findings: i64,
}

/// Stores the result for a series. `findings`: an array.
///
/// # Errors
/// If the database rejects the statement or is unreachable.
pub async fn store(
    database: &Database,
    ticker: &Ticker,
    timeframe: Timeframe,
    checked: usize,
    sampled: usize,
    findings: &Value,
) -> Result<(), StoreError> {
    let mut tx = database.begin().await?;
    query(
        "insert into barkeep.verifications (symbol, timeframe, checked, sampled, findings)
        values ($1, $2, $3, $4, $5)
        on conflict (symbol, timeframe) do update
        set checked_at = now(), checked = excluded.checked, sampled = excluded.sampled, findings = excluded.findings",
    )
    .bind(ticker.as_str())
    .bind(timeframe.as_str())
    .bind(i64::try_from(checked).unwrap_or(i64::MAX))
    .bind(i64::try_from(sampled).unwrap_or(i64::MAX))
    .bind(findings)
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(())
}

/// Series with findings, the latest first.
///
/// # Errors
/// If the database is unreachable or not migrated.
pub async fn with_findings(database: &Database) -> Result<Vec<Verified>, StoreError> {
    let mut tx = database.begin().await?;
    let rows = query(
        "select v.symbol, v.timeframe, v.checked_at, jsonb_array_length(v.findings)::bigint
        from barkeep.verifications v
        where jsonb_array_length(v.findings) > 0
        order by v.checked_at desc, v.symbol, v.timeframe",
    )
    .fetch_all(&mut *tx)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Verified {
                symbol: parsed(row, 0)?,
                timeframe: parsed(row, 1)?,
                checked_at: instant(row, 2)?,
                findings: row.try_get(3)?,
            })
        })
        .collect()
}

/// Enabled symbols that were not verified for a day, the least recently verified first.
///
/// # Errors
/// If the database is unreachable or not migrated.
pub async fn due(database: &Database, limit: i64) -> Result<Vec<Ticker>, StoreError> {
    let mut tx = database.begin().await?;
    let tickers: Vec<String> = query_scalar(
        "select d.symbol
        from public.job_definitions d
        left join barkeep.verifications v on v.symbol = d.symbol and v.timeframe = d.timeframe
        where d.enabled and d.suspended_at is null
            and exists (
                select from public.coverage_status c
                where c.symbol = d.symbol and c.timeframe = d.timeframe and c.last_success_at < now() - interval '1 hour'
            )
        group by d.symbol
        having coalesce(min(coalesce(v.checked_at, '-infinity')), '-infinity') < now() - interval '23 hours'
        order by min(coalesce(v.checked_at, '-infinity')), d.symbol
        limit $1",
    )
    .bind(limit)
    .fetch_all(&mut *tx)
    .await?;
    tickers.iter().map(|text| text.parse().map_err(|_| StoreError::Corrupt(format!("a symbol {text}")))).collect()
}
