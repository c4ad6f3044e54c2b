//! The newest bars of many symbols at once, for lists: for each symbol in the finest timeframe with bars.

use std::collections::HashMap;

use jiff::Timestamp;
use market::Timeframe;
use sqlx::Row;
use uuid::Uuid;

use crate::{Database, StoreError, row::instant, statement::query};

/// Finest first.
const TIMEFRAMES: [Timeframe; 4] = [Timeframe::M15, Timeframe::H1, Timeframe::H4, Timeframe::D1];

/// A bar's start, and its close as traded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Close {
    pub start: Timestamp,
    pub close: f64,
}

/// The newest closes of a symbol, oldest first.
#[derive(Clone, Debug, PartialEq)]
pub struct Newest {
    pub timeframe: Timeframe,
    pub closes: Vec<Close>,
    /// Of the newest bar: provider and feed, and whether it is final.
    pub provider: String,
    pub is_final: bool,
}

/// The newest `count` closes of each of `symbols`; symbols without bars are omitted.
///
/// # Errors
/// If the database is unreachable or not migrated.
pub async fn newest(
    database: &Database,
    user: Uuid,
    symbols: &[Uuid],
    count: i64,
) -> Result<HashMap<Uuid, Newest>, StoreError> {
    let mut tx = database.begin_as(user).await?.0;
    let mut found: HashMap<Uuid, Newest> = HashMap::new();
    for timeframe in TIMEFRAMES {
        let open: Vec<Uuid> = symbols.iter().copied().filter(|id| !found.contains_key(id)).collect();
        if open.is_empty() {
            break;
        }
        let rows = query(
            "select s.id, b.ts, b.close, b.provider, b.is_final
            from unnest($1::uuid[]) as s (id)
            cross join lateral barkeep.latest_bars(s.id, $2, $3) b
            order by s.id, b.ts",
        )
        .bind(&open)
        .bind(timeframe.as_str())
        .bind(count)
        .fetch_all(&mut *tx)
        .await?;
        for row in &rows {
            let newest = found.entry(row.try_get(0)?).or_insert_with(|| Newest {
                timeframe,
                closes: Vec::new(),
                provider: String::new(),
                is_final: true,
            });
            newest.closes.push(Close { start: instant(row, 1)?, close: row.try_get(2)? });
            newest.provider = row.try_get(3)?;
            newest.is_final = row.try_get(4)?;
        }
    }
    Ok(found)
}
