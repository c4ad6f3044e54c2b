//! The sessions of a calendar, under the exceptions that are handed in.

use std::{iter, sync::Arc};

use jiff::{Timestamp, civil::Date};
use serde::Serialize;

use super::{
    Calendar,
    change::{Change, StockHours},
    days_from,
    exceptions::Exceptions,
    xnys,
};
use crate::Range;

/// By the rules no market here stays closed for longer than this many days (the record since 1990: six, in September 2001).
const LONGEST_CLOSE_DAYS: usize = 14;

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

/// The calendars to go by: the rules, with one set of exceptions. Cheap to clone. The default has no exceptions and
/// regular hours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calendars(Arc<Exceptions>);

impl Calendars {
    pub fn new(exceptions: Exceptions) -> Self {
        Self(Arc::new(exceptions))
    }

    pub fn exceptions(&self) -> &Exceptions {
        &self.0
    }

    /// Which hours of stocks count.
    pub fn stock_hours(&self) -> StockHours {
        self.0.hours()
    }

    /// The same with regular hours.
    #[must_use]
    pub fn with_regular_hours(&self) -> Self {
        match self.stock_hours() {
            StockHours::Regular => self.clone(),
            StockHours::Extended => Self::new(self.exceptions().clone().with_hours(StockHours::Regular)),
        }
    }

    pub fn sessions_of(&self, calendar: Calendar) -> Sessions {
        Sessions { calendar, exceptions: Arc::clone(&self.0) }
    }
}

/// The sessions of one calendar under one set of exceptions. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sessions {
    calendar: Calendar,
    exceptions: Arc<Exceptions>,
}

impl Sessions {
    pub fn calendar(&self) -> Calendar {
        self.calendar
    }

    /// Which hours of stocks count.
    pub fn stock_hours(&self) -> StockHours {
        self.exceptions.hours()
    }

    /// The session of that day in the market's time zone; `None` where it is closed all day.
    pub fn session_on(&self, date: Date) -> Option<Session> {
        let calendar = self.calendar;
        let change: Option<Change> = self.exceptions.on(calendar, date);
        let (open, close, early) = match calendar {
            Calendar::Xnys => {
                let hours = xnys::hours(date, change, self.exceptions.hours())?;
                (calendar.instant(date, hours.open)?, calendar.instant(date, hours.close)?, hours.early)
            }
            Calendar::AlwaysOpen => (calendar.midnight(date)?, calendar.midnight(date.tomorrow().ok()?)?, false),
        };
        Some(Session { date, open, close, early })
    }

    /// The session that is open at that instant.
    pub fn session_at(&self, at: Timestamp) -> Option<Session> {
        self.session_on(self.calendar.date_of(at)).filter(|session| session.range().contains(at))
    }

    /// The first session that opens at `at` or later.
    pub fn next_session(&self, at: Timestamp) -> Option<Session> {
        days_from(self.calendar.date_of(at))
            .take(self.longest_close())
            .filter_map(|date| self.session_on(date))
            .find(|session| session.open >= at)
    }

    /// The last session that has closed by `at`.
    pub fn previous_session(&self, at: Timestamp) -> Option<Session> {
        iter::successors(Some(self.calendar.date_of(at)), |date| date.yesterday().ok())
            .take(self.longest_close())
            .filter_map(|date| self.session_on(date))
            .find(|session| session.close <= at)
    }

    /// Days. So many may be closed beyond those that the rules close.
    fn longest_close(&self) -> usize {
        LONGEST_CLOSE_DAYS + self.exceptions.len()
    }

    /// The sessions of the days from `from` up to, not including, `to_exclusive`, oldest first.
    pub fn sessions(&self, from: Date, to_exclusive: Date) -> Vec<Session> {
        days_from(from).take_while(|date| *date < to_exclusive).filter_map(|date| self.session_on(date)).collect()
    }

    /// The sessions that overlap `range`, whole ones, oldest first.
    pub fn sessions_in(&self, range: Range) -> Vec<Session> {
        self.calendar
            .days_in(range)
            .filter_map(|date| self.session_on(date))
            .filter(|session| session.range().intersection(&range).is_some())
            .collect()
    }
}
