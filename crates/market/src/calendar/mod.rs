//! Sessions: when a market trades.
//!
//! In: a date, an instant or a range. Out: [`Session`]s in UTC. What holds: sessions come in order, never overlap, each
//! lies within one day of its market's time zone, and the same question has the same answer on every machine that goes by
//! the same [`Exceptions`]: the time zone is compiled in.

mod adhoc;
mod change;
mod exceptions;
mod xnys;

use std::{fmt, iter, str::FromStr};

use jiff::{
    Timestamp, ToSpan as _,
    civil::{Date, Time},
    tz::TimeZone,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

pub use self::{
    change::{Change, InvalidStockHours, StockHours},
    exceptions::{Exceptions, InvalidExceptions},
};
use crate::{AssetClass, Range};

static NEW_YORK: TimeZone = jiff::tz::get!("America/New_York");
static UTC: TimeZone = TimeZone::UTC;

/// By the rules no market here stays closed for longer than this many days (the record since 1990: six, in September 2001).
const LONGEST_CLOSE_DAYS: usize = 14;

/// Whose sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Calendar {
    /// New York Stock Exchange, regular hours; Nasdaq keeps the same days. Exact from 1990 on, as far as announced;
    /// for earlier years, which had other holidays, the rules of 1990 are applied.
    Xnys,
    /// Markets that never close: one session for each UTC day.
    AlwaysOpen,
}

/// The text names no calendar.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no calendar: XNYS (New York Stock Exchange) and 24x7 (always open) are")]
pub struct InvalidCalendar(pub String);

/// One trading day's `[open, close)`. `open` is before `close`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[non_exhaustive]
pub struct Session {
    /// The day in the market's own time zone.
    pub date: Date,
    /// UTC.
    pub open: Timestamp,
    /// UTC; the first instant that is no longer part of the session.
    pub close: Timestamp,
    /// A half day: closes before the usual hour.
    pub early: bool,
}

impl Session {
    /// `[open, close)`.
    pub fn range(&self) -> Range {
        Range::ordered(self.open, self.close)
    }
}

impl Calendar {
    pub const ALL: [Self; 2] = [Self::Xnys, Self::AlwaysOpen];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Xnys => "XNYS",
            Self::AlwaysOpen => "24x7",
        }
    }

    pub const fn for_class(class: AssetClass) -> Self {
        match class {
            AssetClass::Stock => Self::Xnys,
            AssetClass::Crypto => Self::AlwaysOpen,
        }
    }

    /// The zone in which this market's days begin at midnight.
    pub fn time_zone(self) -> TimeZone {
        self.zone().clone()
    }

    /// The session of that day in the market's time zone; `None` where it is closed all day. By the [`Exceptions`] in
    /// force.
    pub fn session_on(self, date: Date) -> Option<Session> {
        let (change, hours) = exceptions::in_force(self, date);
        self.session_by(date, change, hours)
    }

    /// The same with regular hours, whichever are in force.
    pub fn regular_session_on(self, date: Date) -> Option<Session> {
        self.session_by(date, exceptions::in_force(self, date).0, StockHours::Regular)
    }

    fn session_by(self, date: Date, change: Option<Change>, hours: StockHours) -> Option<Session> {
        let (open, close, early) = match self {
            Self::Xnys => {
                let hours = xnys::hours(date, change, hours)?;
                (self.instant(date, hours.open)?, self.instant(date, hours.close)?, hours.early)
            }
            Self::AlwaysOpen => (self.midnight(date)?, self.midnight(date.tomorrow().ok()?)?, false),
        };
        Some(Session { date, open, close, early })
    }

    /// The session that is open at that instant.
    pub fn session_at(self, at: Timestamp) -> Option<Session> {
        self.session_on(self.date_of(at)).filter(|session| session.range().contains(at))
    }

    /// The first session that opens at `at` or later.
    pub fn next_session(self, at: Timestamp) -> Option<Session> {
        days_from(self.date_of(at))
            .take(LONGEST_CLOSE_DAYS + exceptions::how_many())
            .filter_map(|date| self.session_on(date))
            .find(|session| session.open >= at)
    }

    /// The last session that has closed by `at`.
    pub fn previous_session(self, at: Timestamp) -> Option<Session> {
        iter::successors(Some(self.date_of(at)), |date| date.yesterday().ok())
            .take(LONGEST_CLOSE_DAYS + exceptions::how_many())
            .filter_map(|date| self.session_on(date))
            .find(|session| session.close <= at)
    }

    /// The sessions of the days from `from` up to, not including, `to_exclusive`, oldest first.
    pub fn sessions(self, from: Date, to_exclusive: Date) -> Vec<Session> {
        days_from(from).take_while(|date| *date < to_exclusive).filter_map(|date| self.session_on(date)).collect()
    }

    /// The sessions that overlap `range`, whole ones, oldest first.
    pub fn sessions_in(self, range: Range) -> Vec<Session> {
        self.days_in(range)
            .filter_map(|date| self.session_on(date))
            .filter(|session| session.range().intersection(&range).is_some())
            .collect()
    }

    /// The day that this instant falls on in the market's time zone.
    pub fn date_of(self, at: Timestamp) -> Date {
        self.zone().to_datetime(at).date()
    }

    /// The instant at which that day begins in the market's time zone; `None` beyond the years that jiff knows.
    pub fn midnight(self, date: Date) -> Option<Timestamp> {
        self.instant(date, Time::midnight())
    }

    /// The days that `range` touches, and perhaps the one at whose midnight it ends.
    pub(crate) fn days_in(self, range: Range) -> impl Iterator<Item = Date> {
        let last = self.date_of(range.to());
        days_from(self.date_of(range.from())).take_while(move |date| *date <= last)
    }

    /// The instant at which the market's clocks first show that time (neither zone changes over at an hour asked for).
    pub(crate) fn instant(self, date: Date, time: Time) -> Option<Timestamp> {
        self.zone().to_timestamp(date.to_datetime(time)).ok()
    }

    pub(crate) fn zone(self) -> &'static TimeZone {
        match self {
            Self::Xnys => &NEW_YORK,
            Self::AlwaysOpen => &UTC,
        }
    }
}

fn days_from(date: Date) -> impl Iterator<Item = Date> {
    iter::successors(Some(date), |date| date.tomorrow().ok())
}

/// The Monday of the week that `date` lies in.
pub(crate) fn monday_of(date: Date) -> Option<Date> {
    date.checked_sub(i64::from(date.weekday().to_monday_zero_offset()).days()).ok()
}

impl FromStr for Calendar {
    type Err = InvalidCalendar;

    /// Canonical names, in either case.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|calendar| calendar.as_str().eq_ignore_ascii_case(text.trim()))
            .ok_or_else(|| InvalidCalendar(text.chars().take(40).collect()))
    }
}

impl fmt::Display for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for Calendar {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Calendar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests;
