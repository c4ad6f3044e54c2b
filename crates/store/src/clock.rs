//! The market's clock and the providers' grace: one setting in the database, so that the planner, SQL functions and
//! all processes agree on the market's time.

use std::sync::{Arc, PoisonError, RwLock};

use jiff::{SignedDuration, Timestamp};
use market::Calendar;
use sqlx::Row;

use crate::{
    Database, StoreError,
    definitions::{Which, due_now},
    instant::Instant,
    statement::query,
};

/// The market's clock as it was read: wall time plus a fixed offset, or frozen at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarketClock {
    offset: SignedDuration,
    /// The instant it was started from; `None` on wall time.
    pub as_of: Option<Timestamp>,
    /// It shows `as_of` until another clock is set.
    frozen: bool,
}

impl MarketClock {
    pub fn wall() -> Self {
        Self { offset: SignedDuration::ZERO, as_of: None, frozen: false }
    }

    /// A clock frozen at `instant`: what depends on it does not depend on how long anything takes. The database's own
    /// clock ([`start`]) runs on.
    pub fn frozen_at(instant: Timestamp) -> Self {
        Self { offset: SignedDuration::ZERO, as_of: Some(instant), frozen: true }
    }

    /// The market's time.
    pub fn now(&self) -> Timestamp {
        if let Some(instant) = self.as_of.filter(|_| self.frozen) {
            return instant;
        }
        let wall = Timestamp::now();
        wall.checked_add(self.offset).unwrap_or(wall)
    }
}

/// The market's clock as known to this process; another process may change it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SharedClock(Arc<RwLock<MarketClock>>);

impl SharedClock {
    pub fn new(clock: MarketClock) -> Self {
        Self(Arc::new(RwLock::new(clock)))
    }

    /// The market's time.
    pub fn now(&self) -> Timestamp {
        self.get().now()
    }

    pub fn get(&self) -> MarketClock {
        *self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn set(&self, clock: MarketClock) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = clock;
    }
}

/// Starts the market's clock at `as_of`, or resets it to wall time. All series become due for planning.
///
/// # Errors
/// If the database rejects the statement or is unreachable.
pub async fn start(database: &Database, as_of: Option<Timestamp>) -> Result<MarketClock, StoreError> {
    let mut tx = database.begin().await?;
    query("update barkeep.market_clock set as_of = $1, set_at = now()")
        .bind(as_of.map(Instant))
        .execute(&mut *tx)
        .await?;
    // Due times and rereads are in market time and invalid under another clock.
    due_now(&mut tx, Which::All, "the market's clock was set").await?;
    query(
        "with moved as (
            delete from barkeep.empty_sessions
            where recheck_at > barkeep.market_now() + interval '1 day'
            returning symbol, timeframe, ranges
        )
        insert into barkeep.empty_sessions (symbol, timeframe, recheck_at, ranges)
        select symbol, timeframe, barkeep.market_now() + interval '1 day', range_agg(ranges)
        from moved
        group by symbol, timeframe
        on conflict (symbol, timeframe, recheck_at) do update set ranges = empty_sessions.ranges + excluded.ranges",
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    read(database).await
}

/// Reads the clock from the database.
///
/// # Errors
/// If the database is unreachable or not migrated.
pub async fn read(database: &Database) -> Result<MarketClock, StoreError> {
    let mut tx = database.begin().await?;
    let row = query("select as_of, barkeep.market_now(), now() from barkeep.market_clock").fetch_one(&mut *tx).await?;
    let as_of = row.try_get::<Option<Instant>, _>(0)?.map(|i| i.0);
    let market: Instant = row.try_get(1)?;
    let wall: Instant = row.try_get(2)?;
    let offset = if as_of.is_some() { market.0.duration_since(wall.0) } else { SignedDuration::ZERO };
    Ok(MarketClock { offset, as_of, frozen: false })
}

/// Stores whether a provider of the calendar's assets is set up. `only_more`: other processes may have one.
///
/// # Errors
/// If the database rejects the statement or is unreachable.
pub async fn set_provided(
    database: &Database,
    calendar: Calendar,
    provided: bool,
    only_more: bool,
) -> Result<(), StoreError> {
    let mut tx = database.begin().await?;
    query(
        "update barkeep.market_calendars set provided = $2
        where calendar = $1 and provided <> $2 and ($2 or not $3)",
    )
    .bind(calendar.as_str())
    .bind(provided)
    .bind(only_more)
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(())
}

/// Sets how long after its end a bar of that calendar may still change or be delayed. A change makes every series of
/// the calendar due. With `only_more` a shorter grace than the stored one is ignored: of several processes, the one
/// whose bars are delayed most determines it.
///
/// # Errors
/// If the database rejects the statement or is unreachable.
pub async fn set_grace(
    database: &Database,
    calendar: Calendar,
    grace: SignedDuration,
    only_more: bool,
) -> Result<bool, StoreError> {
    let mut tx = database.begin().await?;
    let changed = query(
        "update barkeep.market_calendars set grace = make_interval(secs => $2)
        where calendar = $1
            and case when $3 then grace < make_interval(secs => $2)
                else grace <> make_interval(secs => $2) end",
    )
    .bind(calendar.as_str())
    .bind(grace.as_secs_f64())
    .bind(only_more)
    .execute(&mut *tx)
    .await?
    .rows_affected()
        > 0;
    if changed {
        due_now(&mut tx, Which::OfCalendar(calendar), "the providers' grace has changed").await?;
    }
    tx.commit().await?;
    Ok(changed)
}
