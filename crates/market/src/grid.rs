//! The bars to expect: which buckets of time a timeframe divides the market's day into.
//!
//! In: a timeframe and a range or an instant. Out: half-open buckets in UTC, oldest first. What holds: the buckets of
//! one grid and timeframe never overlap, and each is named by its start: `bucket_of(timeframe, b.from()) == Some(b)`.
//!
//! The database says the same of [`Grid::Session`] in SQL (migration `market_time`: `final_until`, `next_bar_due`,
//! `expected_bars`); the store's test `grid_and_database_agree_on_every_timeframe_over_forty_years` holds the two equal.

use std::iter;

use jiff::{
    SignedDuration, Timestamp, ToSpan as _,
    civil::{Date, time},
};

use crate::{
    Calendar, Range, Session, Timeframe,
    calendar::{Sessions, monday_of},
};

const NANOSECONDS_PER_MINUTE: i128 = 60_000_000_000;
const NANOSECONDS_PER_DAY: i128 = 24 * 60 * NANOSECONDS_PER_MINUTE;

/// How buckets are anchored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grid {
    /// On each session's open; the last bucket of a session is cut at its close. In New York `h1` starts at
    /// 09:30, 10:30, ... and 15:30 (30 minutes), `h4` at 09:30 and 13:30 (2.5 hours).
    ///
    /// `d1` starts at midnight of the session's day in the market's time zone and ends at the session's close; `w1`
    /// starts at the midnight that begins Monday, in each week with at least one session, and ends at the close of
    /// its last. So starts are those that providers give to daily and weekly bars, and ends are when the last trade
    /// is in. Only what happens within sessions belongs to such a bucket: see [`Grid::bucket_of`].
    Session(Sessions),
    /// On the clock in New York, all hours of all days: `h4` at 00:00, 04:00, ... and 20:00, `d1` at midnight,
    /// `w1` at midnight to Monday. This is how Alpaca aligns stock bars. When clocks change, the `h4` from 00:00 lasts
    /// three or five hours and the `d1` 23 or 25.
    ClockNewYork,
    /// On multiples of the timeframe since 1970-01-01T00:00Z, all hours of all days; weeks begin on Monday, UTC.
    Epoch,
}

/// A bucket, and a stretch of time all of which belongs to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) bucket: Range,
    /// `None`: only that one instant, which names a day.
    pub(crate) stretch: Option<Range>,
}

impl Place {
    fn whole(bucket: Range) -> Self {
        Self { bucket, stretch: Some(bucket) }
    }
}

impl Grid {
    /// The sessions' grid of a calendar as the rules know it, without exceptions and in regular hours.
    pub fn by_rules(calendar: Calendar) -> Self {
        Self::Session(calendar.by_rules())
    }

    /// All buckets whose start lies in `range`, oldest first.
    pub fn buckets(&self, timeframe: Timeframe, range: Range) -> Vec<Range> {
        match self {
            Self::Session(sessions) => {
                let mut buckets = session_buckets(sessions, timeframe, range);
                buckets.retain(|bucket| range.contains(bucket.from()));
                buckets
            }
            Self::ClockNewYork | Self::Epoch => {
                let next = |after: &Range| self.bucket_of(timeframe, after.to());
                iter::successors(self.bucket_of(timeframe, range.from()), next)
                    .skip_while(|bucket| bucket.from() < range.from())
                    .take_while(|bucket| bucket.from() < range.to())
                    .collect()
            }
        }
    }

    /// The bucket that what begins at `at` belongs to; `None` outside sessions, and beyond the years that jiff knows.
    ///
    /// Days and weeks of [`Grid::Session`] begin before the market opens: there a pre-market instant belongs to none,
    /// but the midnight at which a session's day begins belongs to that day and week, since daily bars are named by
    /// it. So does the start of a week whose Monday is a holiday, since weekly bars are.
    pub fn bucket_of(&self, timeframe: Timeframe, at: Timestamp) -> Option<Range> {
        self.place(timeframe, at).map(|place| place.bucket)
    }

    /// [`Grid::bucket_of`], with how far around `at` the answer stays the same.
    pub(crate) fn place(&self, timeframe: Timeframe, at: Timestamp) -> Option<Place> {
        match self {
            Self::Session(sessions) => session_place(sessions, timeframe, at),
            Self::ClockNewYork => clock_bucket(timeframe, at).map(Place::whole),
            Self::Epoch => epoch_bucket(timeframe, at).map(Place::whole),
        }
    }

    /// Whether a day of this grid begins at that instant: what a daily bar's start must be.
    pub(crate) fn day_begins(&self, at: Timestamp) -> bool {
        let calendar = match self {
            Self::Session(sessions) => sessions.calendar(),
            Self::ClockNewYork => Calendar::Xnys,
            Self::Epoch => Calendar::AlwaysOpen,
        };
        calendar.midnight(calendar.date_of(at)) == Some(at)
    }
}

/// The buckets of all sessions that `range` touches.
fn session_buckets(sessions: &Sessions, timeframe: Timeframe, range: Range) -> Vec<Range> {
    if let Some(step) = timeframe.step() {
        return sessions.sessions_in(range).into_iter().flat_map(|session| cut(session, step)).collect();
    }
    if timeframe == Timeframe::D1 {
        let days = sessions.calendar().days_in(range).filter_map(|date| sessions.session_on(date));
        return days.filter_map(|session| day_bucket(sessions.calendar(), &session)).collect();
    }
    let last = sessions.calendar().date_of(range.to());
    iter::successors(monday_of(sessions.calendar().date_of(range.from())), |monday| monday.checked_add(1.week()).ok())
        .take_while(|monday| *monday <= last)
        .filter_map(|monday| week_bucket(sessions, monday))
        .collect()
}

fn session_place(sessions: &Sessions, timeframe: Timeframe, at: Timestamp) -> Option<Place> {
    let calendar = sessions.calendar();
    let date = calendar.date_of(at);
    if let Some(step) = timeframe.step() {
        let session = sessions.session_on(date).filter(|session| session.range().contains(at))?;
        let steps = at.duration_since(session.open).as_nanos() / step.as_nanos();
        let from = session.open.checked_add(step.checked_mul(i32::try_from(steps).ok()?)?).ok()?;
        return step_bucket(&session, from, step).map(Place::whole);
    }
    let session = sessions.session_on(date);
    let bucket = match timeframe {
        Timeframe::W1 => week_bucket(sessions, monday_of(date)?)?,
        _ => day_bucket(calendar, &session?)?,
    };
    match session {
        Some(session) if session.range().contains(at) => Some(Place { bucket, stretch: Some(session.range()) }),
        _ => {
            let names_a_day = session.is_some() && calendar.midnight(date) == Some(at);
            (names_a_day || at == bucket.from()).then_some(Place { bucket, stretch: None })
        }
    }
}

/// The buckets that a session is cut into.
fn cut(session: Session, step: SignedDuration) -> impl Iterator<Item = Range> {
    let next = move |bucket: &Range| step_bucket(&session, bucket.to(), step);
    iter::successors(step_bucket(&session, session.open, step), next)
}

/// The bucket of a session that starts at `from`; `None` at its close.
fn step_bucket(session: &Session, from: Timestamp, step: SignedDuration) -> Option<Range> {
    let to = from.checked_add(step).map_or(session.close, |to| to.min(session.close));
    Range::new(from, to).ok()
}

fn day_bucket(calendar: Calendar, session: &Session) -> Option<Range> {
    Range::new(calendar.midnight(session.date)?, session.close).ok()
}

/// The bucket of the week that begins on that Monday; `None` where no day of it has a session.
fn week_bucket(sessions: &Sessions, monday: Date) -> Option<Range> {
    let last = sessions.sessions(monday, monday.checked_add(1.week()).ok()?).pop()?;
    Range::new(sessions.calendar().midnight(monday)?, last.close).ok()
}

fn clock_bucket(timeframe: Timeframe, at: Timestamp) -> Option<Range> {
    let new_york = Calendar::Xnys;
    let now = new_york.zone().to_datetime(at);
    let midnight_after = |date: Date, days: i64| new_york.midnight(date.checked_add(days.days()).ok()?);
    let (from, to) = match timeframe {
        // New York is off UTC by whole hours, so up to an hour its clock and the epoch agree, also when clocks change.
        Timeframe::M1 | Timeframe::M5 | Timeframe::M15 | Timeframe::M30 | Timeframe::H1 => {
            return epoch_bucket(timeframe, at);
        }
        Timeframe::H4 => {
            let from = now.hour() / 4 * 4;
            let to = match from {
                20 => midnight_after(now.date(), 1),
                hour => new_york.instant(now.date(), time(hour + 4, 0, 0, 0)),
            };
            (new_york.instant(now.date(), time(from, 0, 0, 0)), to)
        }
        Timeframe::D1 => (new_york.midnight(now.date()), midnight_after(now.date(), 1)),
        Timeframe::W1 => {
            let monday = monday_of(now.date())?;
            (new_york.midnight(monday), midnight_after(monday, 7))
        }
    };
    Range::new(from?, to?).ok()
}

fn epoch_bucket(timeframe: Timeframe, at: Timestamp) -> Option<Range> {
    let (step, anchor) = match (timeframe, timeframe.minutes()) {
        (_, Some(minutes)) => (i128::from(minutes) * NANOSECONDS_PER_MINUTE, 0),
        // 1970-01-01 was a Thursday; the Monday of its week was three days before.
        (Timeframe::W1, None) => (7 * NANOSECONDS_PER_DAY, -3 * NANOSECONDS_PER_DAY),
        (_, None) => (NANOSECONDS_PER_DAY, 0),
    };
    let from = (at.as_nanosecond() - anchor).div_euclid(step) * step + anchor;
    Range::new(Timestamp::from_nanosecond(from).ok()?, Timestamp::from_nanosecond(from + step).ok()?).ok()
}

#[cfg(test)]
mod tests;
