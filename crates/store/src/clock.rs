//! The market's clock and the providers' grace: one setting in the database, so that planner, functions and every
//! process agree on what time it is.

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

/// A market clock as of the moment it was read: wall time plus a fixed offset, or an instant at which it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarketClock {
    offset: SignedDuration,
    /// The instant it was started from; `None` on wall time.
    pub as_of: Option<Timestamp>,
    /// It shows `as_of` until another is put in its place.
    stands: bool,
}

impl MarketClock {
    pub fn wall() -> Self {
        Self { offset: SignedDuration::ZERO, as_of: None, stands: false }
    }

    /// A clock that stands at `instant`: what goes by it does not depend on how long anything takes. The database's own
    /// clock ([`start`]) runs on.
    pub fn standing_at(instant: Timestamp) -> Self {
        Self { offset: SignedDuration::ZERO, as_of: Some(instant), stands: true }
    }

    /// What time it is on the market.
    pub fn now(&self) -> Timestamp {
        if let Some(instant) = self.as_of.filter(|_| self.stands) {
            return instant;
        }
        let wall = Timestamp::now();
        wall.checked_add(self.offset).unwrap_or(wall)
    }
}

/// The market's clock as this process knows it, for everybody in it: another process may set it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SharedClock(Arc<RwLock<MarketClock>>);

impl SharedClock {
    pub fn new(clock: MarketClock) -> Self {
        Self(Arc::new(RwLock::new(clock)))
    }

    /// What time it is on the market.
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

/// Starts the market's clock at `as_of`, or sets it back to wall time. Everything is due for planning again then.
///
/// # Errors
/// Where the database refuses or is gone.
pub async fn start(database: &Database, as_of: Option<Timestamp>) -> Result<MarketClock, StoreError> {
    let mut tx = database.begin().await?;
    query("update barkeep.market_clock set as_of = $1, set_at = now()")
        .bind(as_of.map(Instant))
        .execute(&mut *tx)
        .await?;
    // Due times and second looks are kept on the market's clock and mean nothing on another.
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

/// Reads the clock that the database runs on.
///
/// # Errors
/// Where the database is gone or not migrated.
pub async fn read(database: &Database) -> Result<MarketClock, StoreError> {
    let mut tx = database.begin().await?;
    let row = query("select as_of, barkeep.market_now(), now() from barkeep.market_clock").fetch_one(&mut *tx).await?;
    let as_of = row.try_get::<Option<Instant>, _>(0)?.map(|i| i.0);
    let market: Instant = row.try_get(1)?;
    let wall: Instant = row.try_get(2)?;
    let offset = if as_of.is_some() { market.0.duration_since(wall.0) } else { SignedDuration::ZERO };
    Ok(MarketClock { offset, as_of, stands: false })
}

/// Says how long after its end a bar of that calendar may still change or be held back. A change makes every series
/// of the calendar due again. With `only_more` a shorter grace than is known changes nothing: of several processes
/// the one that was held back knows best.
///
/// # Errors
/// Where the database refuses or is gone.
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
