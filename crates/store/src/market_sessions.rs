//! The sessions of every calendar as rows, from which the database computes gaps and expected bars; and the
//! exceptions to the rules, which all processes on a database share.
//!
//! In: the calendars, and the list of exceptions that was applied last. Out: `barkeep.market_sessions`, with
//! everything that a change affects updated in the same transaction, and an edition by which a process knows whether
//! its calendars are current.

use std::sync::{Arc, PoisonError, RwLock};

use jiff::{
    Timestamp,
    civil::{Date, Time},
    tz::TimeZone,
};
use market::{
    Calendar, Calendars, Session,
    calendar::{Change, Exceptions, StockHours},
};
use sqlx::Row;

use crate::{
    Database, ServiceTx, StoreError,
    instant::Instant,
    row::parsed,
    statement::{query, query_scalar},
};

/// The first year for which the calendars are exact.
const FIRST_YEAR: i16 = 1990;

/// How many years after the current one are kept; `migrate` extends them.
const YEARS_AHEAD: i16 = 4;

/// The calendars of a database, and the edition of their exceptions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edition {
    pub number: i64,
    pub calendars: Calendars,
}

/// The edition that this process uses. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct SharedCalendars(Arc<RwLock<Edition>>);

impl SharedCalendars {
    /// The rules alone, until the edition of a database is set.
    pub fn by_rules() -> Self {
        Self(Arc::new(RwLock::new(Edition { number: 0, calendars: Calendars::default() })))
    }

    /// The current edition with its calendars.
    pub fn edition(&self) -> Edition {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn current(&self) -> Calendars {
        self.edition().calendars
    }

    /// Switches to `edition`, unless a later one is in place: it may have been read before that one.
    pub fn set(&self, edition: Edition) {
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if edition.number >= current.number {
            *current = edition;
        }
    }
}

/// Result of a change of the exceptions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replaced {
    /// Days with a new, removed or changed session.
    pub days: i64,
    /// Stored bars that lie outside of every session now.
    pub bars_outside: i64,
}

/// Locks the edition until the transaction ends, and returns it. To be called before anything else in the
/// transaction.
///
/// # Errors
/// If the database is unreachable or not migrated.
pub async fn lock_shared(tx: &mut ServiceTx) -> Result<i64, StoreError> {
    Ok(query_scalar("select barkeep.lock_sessions_shared()").fetch_one(&mut **tx).await?)
}

/// The number of the edition in force.
///
/// # Errors
/// As [`lock_shared`].
pub async fn edition(database: &Database) -> Result<i64, StoreError> {
    let mut tx = database.begin().await?;
    Ok(query_scalar("select edition from barkeep.session_edition").fetch_one(&mut *tx).await?)
}

/// The edition in force with its exceptions.
///
/// # Errors
/// As [`lock_shared`]; if the table contains what no file could express.
pub async fn read(tx: &mut ServiceTx) -> Result<Edition, StoreError> {
    // One statement, so that it reads one edition.
    let rows = query(
        "select e.edition, x.calendar, x.session_date::text,
            extract(hour from x.early_close)::int, extract(minute from x.early_close)::int, e.stock_hours
        from barkeep.session_edition e
        left join barkeep.session_exceptions x on true",
    )
    .fetch_all(&mut **tx)
    .await?;
    let (mut number, mut exceptions) = (0, Exceptions::default());
    for row in &rows {
        number = row.try_get(0)?;
        let hours: StockHours = parsed(row, 5)?;
        exceptions = exceptions.with_hours(hours);
        if row.try_get::<Option<&str>, _>(1)?.is_none() {
            continue;
        }
        let (calendar, date): (Calendar, Date) = (parsed(row, 1)?, parsed(row, 2)?);
        let (hour, minute): (Option<i32>, Option<i32>) = (row.try_get(3)?, row.try_get(4)?);
        let change = match hour.zip(minute) {
            None => Change::Closed,
            Some((hour, minute)) => {
                let part = |number: i32| i8::try_from(number).unwrap_or(-1);
                Change::Early(Time::new(part(hour), part(minute), 0, 0).map_err(|error| corrupt(&error))?)
            }
        };
        exceptions.insert(calendar, date, change).map_err(|why| corrupt(&why))?;
    }
    Ok(Edition { number, calendars: Calendars::new(exceptions) })
}

fn corrupt(why: &dyn std::fmt::Display) -> StoreError {
    StoreError::Corrupt(format!("barkeep.session_exceptions: {why}"))
}

/// Applies `exceptions` for all processes, replacing the previous ones, and plans again what they affect. `None`:
/// they were in force already.
///
/// # Errors
/// If the database rejects the statement or is unreachable.
pub async fn apply(database: &Database, exceptions: &Exceptions) -> Result<Option<Replaced>, StoreError> {
    let mut tx = database.begin().await?;
    if read(&mut tx).await?.calendars.exceptions() == exceptions {
        return Ok(None);
    }
    lock(&mut tx).await?;
    // Checked again under the lock: another process may have applied the same file.
    if read(&mut tx).await?.calendars.exceptions() == exceptions {
        return Ok(None);
    }
    let (mut calendars, mut dates, mut closes) = (Vec::new(), Vec::new(), Vec::new());
    for (calendar, date, change) in exceptions.iter() {
        calendars.push(calendar.as_str());
        dates.push(date.to_string());
        closes.push(match change {
            Change::Closed => None,
            Change::Early(close) => Some(close.to_string()),
        });
    }
    query("delete from barkeep.session_exceptions").execute(&mut *tx).await?;
    query(
        "insert into barkeep.session_exceptions (calendar, session_date, early_close)
        select c, d::date, t::time from unnest($1::text[], $2::text[], $3::text[]) as x (c, d, t)",
    )
    .bind(calendars)
    .bind(dates)
    .bind(closes)
    .execute(&mut *tx)
    .await?;
    query("update barkeep.session_edition set edition = edition + 1, stock_hours = $1, changed_at = now()")
        .bind(exceptions.hours().as_str())
        .execute(&mut *tx)
        .await?;
    let replaced = replace_all(&mut tx, &Calendars::new(exceptions.clone())).await?;
    tx.commit().await?;
    Ok(Some(replaced))
}

/// Fills `barkeep.market_sessions` from the calendars, with the exceptions in force.
///
/// # Errors
/// If the database rejects the statement or is unreachable.
pub(crate) async fn fill(tx: &mut ServiceTx) -> Result<(), StoreError> {
    let calendars = read(tx).await?.calendars;
    // Without changes, as at nearly every start, no lock is taken.
    if outdated(tx, &calendars).await?.is_empty() {
        return Ok(());
    }
    lock(tx).await?;
    let calendars = read(tx).await?.calendars;
    replace_all(tx, &calendars).await?;
    Ok(())
}

/// Locks the sessions exclusively until the transaction ends: transactions that store or plan by them wait.
async fn lock(tx: &mut ServiceTx) -> Result<(), StoreError> {
    query("select pg_advisory_xact_lock(hashtextextended('barkeep sessions', 0))").execute(&mut **tx).await?;
    Ok(())
}

async fn replace_all(tx: &mut ServiceTx, calendars: &Calendars) -> Result<Replaced, StoreError> {
    let mut replaced = Replaced::default();
    for (calendar, sessions) in outdated(tx, calendars).await? {
        let of_calendar = replace(tx, calendar, &sessions).await?;
        replaced.days += of_calendar.days;
        replaced.bars_outside += of_calendar.bars_outside;
    }
    Ok(replaced)
}

/// The calendars whose rows differ from their sessions, with these sessions.
async fn outdated(tx: &mut ServiceTx, calendars: &Calendars) -> Result<Vec<(Calendar, Vec<Session>)>, StoreError> {
    let last_year = TimeZone::UTC.to_datetime(Timestamp::now()).year().max(2026) + YEARS_AHEAD;
    let (Ok(from), Ok(to)) = (Date::new(FIRST_YEAR, 1, 1), Date::new(last_year + 1, 1, 1)) else {
        return Err(StoreError::Corrupt(format!("the clock's year is {last_year} less {YEARS_AHEAD}")));
    };
    let mut outdated = Vec::new();
    for calendar in Calendar::ALL {
        let sessions = calendars.sessions_of(calendar).sessions(from, to);
        if !is_filled(tx, calendar, &sessions).await? {
            outdated.push((calendar, sessions));
        }
    }
    Ok(outdated)
}

/// Compares counts and sums of opens and closes, weighted by day, so that swapped days are detected.
async fn is_filled(tx: &mut ServiceTx, calendar: Calendar, sessions: &[Session]) -> Result<bool, StoreError> {
    let sum = |instants: &dyn Fn(&Session) -> Timestamp| -> i64 {
        sessions.iter().map(|s| (instants(s).as_second() / 60) * i64::from(s.date.day_of_year())).sum()
    };
    let row = query(
        "select count(*),
            coalesce(sum(extract(epoch from open_at)::bigint / 60 * extract(doy from session_date)::bigint), 0)::bigint,
            coalesce(sum(extract(epoch from close_at)::bigint / 60 * extract(doy from session_date)::bigint), 0)::bigint
        from barkeep.market_sessions where calendar = $1",
    )
    .bind(calendar.as_str())
    .fetch_one(&mut **tx)
    .await?;
    Ok(row.try_get::<i64, _>(0)? == sessions.len() as i64
        && row.try_get::<i64, _>(1)? == sum(&|s| s.open)
        && row.try_get::<i64, _>(2)? == sum(&|s| s.close))
}

async fn replace(tx: &mut ServiceTx, calendar: Calendar, sessions: &[Session]) -> Result<Replaced, StoreError> {
    let row = query("select days_changed::bigint, bars_outside from barkeep.replace_sessions($1, $2, $3, $4, $5)")
        .bind(calendar.as_str())
        .bind(sessions.iter().map(|s| s.date.to_string()).collect::<Vec<_>>())
        .bind(sessions.iter().map(|s| Instant(s.open)).collect::<Vec<_>>())
        .bind(sessions.iter().map(|s| Instant(s.close)).collect::<Vec<_>>())
        .bind(sessions.iter().map(|s| s.early).collect::<Vec<_>>())
        .fetch_one(&mut **tx)
        .await?;
    Ok(Replaced { days: row.try_get(0)?, bars_outside: row.try_get(1)? })
}
