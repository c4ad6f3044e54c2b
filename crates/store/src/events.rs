//! What happens in the database, as hints to those who wait: a notification says only that there is something to see.

use std::time::Duration;

use jiff::Timestamp;
use market::{Ticker, Timeframe};
use serde::Serialize;
use sqlx::{Row, postgres::PgListener};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    Database, StoreError,
    instant::Instant,
    row::{instant, instant_or_none, parsed},
    statement::query,
};

/// Counters that go up when the database says that something happened.
#[derive(Clone, Debug)]
pub struct Signals {
    /// Interest arrived or changed: time to plan.
    pub wake: watch::Receiver<u64>,
    /// Runs ended: something to show.
    pub events: watch::Receiver<u64>,
}

/// Listens until `stop`, reconnecting with backoff. Every (re)connection counts as a signal, since one may have been
/// missed. Behind a transaction-mode pooler nothing ever arrives, and the periods of those who wait do it alone.
pub fn listen(database: &Database, stop: CancellationToken) -> Signals {
    let (wake_tx, wake) = watch::channel(0_u64);
    let (events_tx, events) = watch::channel(0_u64);
    let pool = database.pool().clone();
    tokio::spawn(async move {
        let mut pause = Duration::from_millis(200);
        while !stop.is_cancelled() {
            let listening = async {
                let mut listener = PgListener::connect_with(&pool).await?;
                listener.listen_all(["barkeep_wake", "barkeep_events"]).await?;
                wake_tx.send_modify(|n| *n += 1);
                events_tx.send_modify(|n| *n += 1);
                loop {
                    // `None`: the connection was lost and a notification may be with it.
                    match listener.try_recv().await? {
                        Some(n) if n.channel() == "barkeep_wake" => wake_tx.send_modify(|n| *n += 1),
                        Some(_) => events_tx.send_modify(|n| *n += 1),
                        None => return Ok::<(), sqlx::Error>(()),
                    }
                }
            };
            let heard_until = tokio::time::Instant::now();
            tokio::select! {
                () = stop.cancelled() => return,
                ended = listening => {
                    if let Err(error) = ended {
                        tracing::warn!(%error, "Not hearing the database's notifications; the tick goes on without them");
                    }
                }
            }
            pause = if heard_until.elapsed() > Duration::from_secs(30) {
                Duration::from_millis(200)
            } else {
                (pause * 2).min(Duration::from_secs(15))
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    });
    Signals { wake, events }
}

/// A series that got something.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SeriesChanged {
    pub symbol: Ticker,
    pub timeframe: Timeframe,
    pub rows_written: i64,
    /// Covered until then.
    pub to: Option<Timestamp>,
    #[serde(skip)]
    pub changed_at: Timestamp,
}

/// The series that `user` tracks and that changed after `since` (wall time), oldest first.
///
/// # Errors
/// Where the database is gone.
pub async fn changes(database: &Database, user: Uuid, since: Timestamp) -> Result<Vec<SeriesChanged>, StoreError> {
    let mut tx = database.begin_as(user).await?.0;
    let rows = query(
        "select symbol, timeframe, last_rows_written, to_ts, updated_at
        from public.coverage_status
        where updated_at > $1
        order by updated_at
        limit 1000",
    )
    .bind(Instant(since))
    .fetch_all(&mut *tx)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(SeriesChanged {
                symbol: parsed(row, 0)?,
                timeframe: parsed(row, 1)?,
                rows_written: row.try_get(2)?,
                to: instant_or_none(row, 3)?,
                changed_at: instant(row, 4)?,
            })
        })
        .collect()
}
