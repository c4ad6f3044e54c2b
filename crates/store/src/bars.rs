//! Bars in and out.

use jiff::Timestamp;
use market::{Bar, Range, Ticker, Timeframe};
use serde::Serialize;
use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

use crate::{
    Database, ServiceTx, StoreError,
    instant::Instant,
    row::instant,
    statement::{query, query_scalar},
};

/// Rows of one statement: beyond some thousands a larger batch is no faster.
const BATCH: usize = 10_000;

/// A bar and whether it may still change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ShapedBar {
    pub bar: Bar,
    /// False while its end plus the provider's grace has not passed.
    pub is_final: bool,
}

/// A bar as stored.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StoredBar {
    #[serde(flatten)]
    pub bar: Bar,
    /// Provider and feed: `alpaca/sip`.
    pub provider: String,
    pub is_final: bool,
}

/// Stores bars of one series; those that are there already with the same content aren't touched, and a final one never
/// becomes provisional again. Returns how many rows were written.
///
/// # Errors
/// Where the database refuses or is gone.
pub async fn store(
    tx: &mut ServiceTx,
    symbol_id: Uuid,
    timeframe: Timeframe,
    provenance: &str,
    bars: &[ShapedBar],
) -> Result<u64, StoreError> {
    let mut written = 0;
    for batch in bars.chunks(BATCH) {
        let column = |value: fn(&Bar) -> f64| batch.iter().map(|b| value(&b.bar)).collect::<Vec<f64>>();
        written += query(
            "insert into public.ohlc_bars_v2 as held (
                symbol_id, timeframe, ts, open, high, low, close, volume, vwap, trade_count, provider, data_status
            )
            select $1, $2, b.ts, b.open, b.high, b.low, b.close, b.volume, b.vwap, b.trade_count, $3,
                case when b.final then 'final' else 'provisional' end
            from unnest(
                $4::timestamptz[], $5::float8[], $6::float8[], $7::float8[], $8::float8[], $9::float8[],
                $10::float8[], $11::int8[], $12::bool[]
            ) as b (ts, open, high, low, close, volume, vwap, trade_count, final)
            on conflict (symbol_id, timeframe, ts) do update
            set open = excluded.open, high = excluded.high, low = excluded.low, close = excluded.close,
                volume = excluded.volume, vwap = excluded.vwap, trade_count = excluded.trade_count,
                provider = excluded.provider, data_status = excluded.data_status, fetched_at = now()
            where (held.open, held.high, held.low, held.close, held.volume, held.vwap, held.trade_count,
                    held.provider, held.data_status)
                is distinct from (excluded.open, excluded.high, excluded.low, excluded.close, excluded.volume,
                    excluded.vwap, excluded.trade_count, excluded.provider, excluded.data_status)
                and not (held.data_status = 'final' and excluded.data_status = 'provisional')",
        )
        .bind(symbol_id)
        .bind(timeframe.as_str())
        .bind(provenance)
        .bind(batch.iter().map(|b| Instant(b.bar.start)).collect::<Vec<_>>())
        .bind(column(|b| b.open))
        .bind(column(|b| b.high))
        .bind(column(|b| b.low))
        .bind(column(|b| b.close))
        .bind(column(|b| b.volume))
        .bind(batch.iter().map(|b| b.bar.vwap).collect::<Vec<_>>())
        .bind(batch.iter().map(|b| b.bar.trade_count).collect::<Vec<_>>())
        .bind(batch.iter().map(|b| b.is_final).collect::<Vec<_>>())
        .execute(&mut **tx)
        .await?
        .rows_affected();
    }
    Ok(written)
}

/// A bar that can't be true, as sent.
#[derive(Clone, Debug, PartialEq)]
pub struct InsaneBar {
    pub bar: Bar,
    pub reason: String,
}

/// Keeps what can't be true apart, with its reason. `asked` is the timeframe that was asked for to make `series` of.
///
/// # Errors
/// Where the database refuses or is gone.
pub async fn quarantine(
    tx: &mut ServiceTx,
    ticker: &Ticker,
    asked: Timeframe,
    series: Timeframe,
    provenance: &str,
    insane: &[InsaneBar],
) -> Result<(), StoreError> {
    for InsaneBar { bar, reason } in insane {
        query(
            "insert into barkeep.quarantined_bars (symbol, timeframe, series, ts, provider, reason, sent)
            values ($1, $2, $3, $4, $5, $6, $7)
            on conflict (symbol, series, timeframe, ts, provider) do update
            set reason = excluded.reason, sent = excluded.sent, seen_at = now()",
        )
        .bind(ticker.as_str())
        .bind(asked.as_str())
        .bind(series.as_str())
        .bind(Instant(bar.start))
        .bind(provenance)
        .bind(reason)
        .bind(vec![bar.open, bar.high, bar.low, bar.close, bar.volume])
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

/// The bars of a series that start in `range`, oldest first; of more than `limit` the newest.
///
/// `None`: there is no such symbol.
///
/// # Errors
/// Where the database is gone or not migrated.
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
        "select ts, open, high, low, close, volume, vwap, trade_count, provider, data_status = 'final'
        from (
            select * from public.ohlc_bars_v2
            where symbol_id = $1 and timeframe = $2
                and ($3::timestamptz is null or ts >= $3) and ($4::timestamptz is null or ts < $4)
            order by ts desc
            limit $5
        ) newest
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
