//! Sets a part of a series aside, so that it is fetched anew, and puts back what could not be fetched.
//!
//! In: a series and a range of whole bars. Out: its bars and coverage as they were. Holds: between the two calls the range is a
//! gap like any other: if the process dies in between, the planner fills it.

use std::collections::BTreeSet;

use market::{Range, RangeSet, Ticker, Timeframe};
use uuid::Uuid;

use crate::{
    Database, ServiceTx, StoreError,
    bars::{self, SeriesBars, ShapedBar, StoredBar},
    coverage,
    instant::Instant,
    statement::{query, query_scalar},
};

/// A part of a series as it was.
#[derive(Clone, Debug, Default)]
pub struct SetAside {
    /// Oldest first.
    pub bars: Vec<StoredBar>,
    /// Within the range.
    pub covered: RangeSet,
}

/// Deletes the bars of a series that start in the range, and its coverage there; returns both.
///
/// # Errors
/// If the database rejects a statement or is unreachable; then nothing is changed.
pub async fn set_aside(
    database: &Database,
    ticker: &Ticker,
    timeframe: Timeframe,
    part: Range,
) -> Result<SetAside, StoreError> {
    let mut tx = database.begin().await?;
    lock(&mut tx, ticker, timeframe).await?;
    // Nobody writes to the series meanwhile.
    let bars = bars::read(database, None, ticker, timeframe, Some(part), i64::MAX).await?.unwrap_or_default();
    let covered = coverage::covered(database, ticker, timeframe).await?.intersect(&RangeSet::from_iter([part]));
    query(
        "with deleted as (
            select barkeep.delete_bars(array[s.id], array[$2], tstzmultirange(tstzrange($3, $4)))
            from public.symbols s
            where s.ticker = $1
        )
        update public.coverage_status c
        set covered = c.covered - tstzmultirange(tstzrange($3, $4)), updated_at = clock_timestamp()
        from (select count(*) from deleted) d
        where c.symbol = $1 and c.timeframe = $2",
    )
    .bind(ticker.as_str())
    .bind(timeframe.as_str())
    .bind(Instant(part.from()))
    .bind(Instant(part.to()))
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(SetAside { bars, covered })
}

/// Puts back the bars and the coverage of these parts, which could not be fetched. Bars that are stored meanwhile stay as they
/// are. Returns the number of bars put back.
///
/// # Errors
/// If the database rejects a statement or is unreachable.
pub async fn put_back(
    database: &Database,
    ticker: &Ticker,
    timeframe: Timeframe,
    aside: &SetAside,
    parts: &RangeSet,
) -> Result<u64, StoreError> {
    let mut tx = database.begin().await?;
    lock(&mut tx, ticker, timeframe).await?;
    let symbol_id: Uuid = query_scalar("select id from public.symbols where ticker = $1")
        .bind(ticker.as_str())
        .fetch_one(&mut *tx)
        .await?;
    let mut written = 0;
    for part in parts.iter() {
        let held: BTreeSet<Instant> = query_scalar("select ts from barkeep.bars($1, $2, $3, $4)")
            .bind(symbol_id)
            .bind(timeframe.as_str())
            .bind(Instant(part.from()))
            .bind(Instant(part.to()))
            .fetch_all(&mut *tx)
            .await?
            .into_iter()
            .collect();
        let lost = |bar: &&StoredBar| part.contains(bar.bar.start) && !held.contains(&Instant(bar.bar.start));
        let lost: Vec<&StoredBar> = aside.bars.iter().filter(lost).collect();
        for same_source in lost.chunk_by(|one, other| one.provider == other.provider) {
            let Some(first) = same_source.first() else { continue };
            let shaped: Vec<ShapedBar> =
                same_source.iter().map(|bar| ShapedBar { bar: bar.bar, is_final: bar.is_final }).collect();
            let series = SeriesBars { symbol_id, timeframe, bars: &shaped };
            written += bars::store(&mut tx, &first.provider, &[series]).await?.iter().sum::<u64>();
        }
        query(
            "update public.coverage_status
            set covered = covered + tstzmultirange(tstzrange($3, $4)), updated_at = clock_timestamp()
            where symbol = $1 and timeframe = $2",
        )
        .bind(ticker.as_str())
        .bind(timeframe.as_str())
        .bind(Instant(part.from()))
        .bind(Instant(part.to()))
        .execute(&mut *tx)
        .await?;
    }
    tx.commit().await?;
    Ok(written)
}

async fn lock(tx: &mut ServiceTx, ticker: &Ticker, timeframe: Timeframe) -> Result<(), StoreError> {
    query("select barkeep.lock_series($1, $2)")
        .bind(ticker.as_str())
        .bind(timeframe.as_str())
        .execute(&mut **tx)
        .await?;
    Ok(())
}
