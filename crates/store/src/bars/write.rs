//! Writes bars.

use std::collections::HashMap;

use jiff::Timestamp;
use market::{Bar, Range, Ticker, Timeframe};
use sqlx::Row;
use uuid::Uuid;

use super::{InvalidBar, SeriesBars, ShapedBar};
use crate::{ServiceTx, StoreError, instant::Instant, row::parsed, statement::query, statement::query_scalar};

/// Rows per statement: larger batches are no faster.
const BATCH: usize = 10_000;

/// Stores bars of any number of series. Bars that are stored with the same content are not written again, a final bar
/// never becomes provisional again, and no bar is replaced by one of a worse feed. Returns the number of rows written
/// for each of `series`.
///
/// # Errors
/// If the database rejects the statement or is unreachable.
pub async fn store(tx: &mut ServiceTx, provenance: &str, series: &[SeriesBars<'_>]) -> Result<Vec<u64>, StoreError> {
    let mut written = vec![0; series.len()];
    let mut batch = Batch::default();
    for (index, one) in series.iter().enumerate() {
        for bars in one.bars.chunks(BATCH) {
            if !batch.has_room(one, bars) {
                batch.write(tx, provenance, &mut written).await?;
            }
            batch.add(index, one, bars);
        }
    }
    batch.write(tx, provenance, &mut written).await?;
    Ok(written)
}

/// Rows of one statement, each bar at most once as `on conflict` requires, with the series that each belongs to.
#[derive(Default)]
struct Batch<'a> {
    rows: Vec<(Uuid, Timeframe, &'a ShapedBar)>,
    index_of: HashMap<(Uuid, Timeframe, Timestamp), usize>,
}

impl<'a> Batch<'a> {
    fn has_room(&self, series: &SeriesBars<'_>, bars: &[ShapedBar]) -> bool {
        let is_present =
            |bar: &ShapedBar| self.index_of.contains_key(&(series.symbol_id, series.timeframe, bar.bar.start));
        self.rows.len() + bars.len() <= BATCH && !bars.iter().any(is_present)
    }

    fn add(&mut self, index: usize, series: &SeriesBars<'_>, bars: &'a [ShapedBar]) {
        self.rows.extend(bars.iter().map(|bar| (series.symbol_id, series.timeframe, bar)));
        self.index_of.extend(bars.iter().map(|bar| ((series.symbol_id, series.timeframe, bar.bar.start), index)));
    }

    /// Writes the batch and clears it; adds the rows written to the counts of their series.
    async fn write(&mut self, tx: &mut ServiceTx, provenance: &str, written: &mut [u64]) -> Result<(), StoreError> {
        let batch = std::mem::take(self);
        if batch.rows.is_empty() {
            return Ok(());
        }
        let column = |value: fn(&Bar) -> f64| batch.rows.iter().map(|row| value(&row.2.bar)).collect::<Vec<f64>>();
        let rows = query(
            "with written as (
                insert into public.ohlc_bars_v2 as held (
                    symbol_id, timeframe, ts, open, high, low, close, volume, vwap, trade_count, provider, data_status
                )
                select b.symbol_id, b.timeframe, b.ts, b.open, b.high, b.low, b.close, b.volume, b.vwap, b.trade_count,
                    $1, case when b.final then 'final' else 'provisional' end
                from unnest(
                    $2::uuid[], $3::text[], $4::timestamptz[], $5::float8[], $6::float8[], $7::float8[], $8::float8[],
                    $9::float8[], $10::float8[], $11::int8[], $12::bool[]
                ) as b (symbol_id, timeframe, ts, open, high, low, close, volume, vwap, trade_count, final)
                on conflict (symbol_id, timeframe, ts) do update
                set open = excluded.open, high = excluded.high, low = excluded.low, close = excluded.close,
                    volume = excluded.volume, vwap = excluded.vwap, trade_count = excluded.trade_count,
                    provider = excluded.provider, data_status = excluded.data_status, fetched_at = now()
                where (held.open, held.high, held.low, held.close, held.volume, held.vwap, held.trade_count,
                        held.provider, held.data_status)
                    is distinct from (excluded.open, excluded.high, excluded.low, excluded.close, excluded.volume,
                        excluded.vwap, excluded.trade_count, excluded.provider, excluded.data_status)
                    and not (held.data_status = 'final' and excluded.data_status = 'provisional')
                    and (held.provider = excluded.provider or held.data_status = 'provisional'
                        or barkeep.feed_rank(excluded.provider) <= barkeep.feed_rank(held.provider))
                returning symbol_id, timeframe, ts
            )
            select symbol_id, timeframe, array_agg(ts) from written group by symbol_id, timeframe",
        )
        .bind(provenance)
        .bind(batch.rows.iter().map(|row| row.0).collect::<Vec<_>>())
        .bind(batch.rows.iter().map(|row| row.1.as_str()).collect::<Vec<_>>())
        .bind(batch.rows.iter().map(|row| Instant(row.2.bar.start)).collect::<Vec<_>>())
        .bind(column(|b| b.open))
        .bind(column(|b| b.high))
        .bind(column(|b| b.low))
        .bind(column(|b| b.close))
        .bind(column(|b| b.volume))
        .bind(batch.rows.iter().map(|row| row.2.bar.vwap).collect::<Vec<_>>())
        .bind(batch.rows.iter().map(|row| row.2.bar.trade_count).collect::<Vec<_>>())
        .bind(batch.rows.iter().map(|row| row.2.is_final).collect::<Vec<_>>())
        .fetch_all(&mut **tx)
        .await?;
        for row in &rows {
            let (symbol_id, timeframe) = (row.try_get(0)?, parsed(row, 1)?);
            for Instant(ts) in row.try_get::<Vec<Instant>, _>(2)? {
                let index = batch.index_of.get(&(symbol_id, timeframe, ts));
                if let Some(count) = index.and_then(|index| written.get_mut(*index)) {
                    *count += 1;
                }
            }
        }
        Ok(())
    }
}

/// Quarantines invalid bars with their reasons. `asked` is the base timeframe that was requested for `series`.
///
/// # Errors
/// If the database rejects the statement or is unreachable.
pub async fn quarantine(
    tx: &mut ServiceTx,
    ticker: &Ticker,
    asked: Timeframe,
    series: Timeframe,
    provenance: &str,
    invalid: &[InvalidBar],
) -> Result<(), StoreError> {
    for InvalidBar { bar, reason } in invalid {
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

/// Deletes the bars of these series that start in `range`, and returns their number. Coverage is not changed: that is
/// up to the caller.
///
/// # Errors
/// If the database rejects the statement or is unreachable.
pub async fn delete(
    tx: &mut ServiceTx,
    symbols: &[Uuid],
    timeframes: &[Timeframe],
    range: Range,
) -> Result<u64, StoreError> {
    let deleted: i64 = query_scalar("select barkeep.delete_bars($1, $2, tstzmultirange(tstzrange($3, $4)))")
        .bind(symbols)
        .bind(timeframes.iter().map(|timeframe| timeframe.as_str()).collect::<Vec<_>>())
        .bind(Instant(range.from()))
        .bind(Instant(range.to()))
        .fetch_one(&mut **tx)
        .await?;
    Ok(u64::try_from(deleted).unwrap_or(0))
}
