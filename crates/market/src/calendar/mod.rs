//! Sessions: when a market trades.
//!
//! In: a date, an instant or a range, and the [`Calendars`] to go by. Out: [`Session`]s in UTC. What holds: sessions come in
//! order, never overlap, each lies within one day of its market's time zone, and the same question has the same answer on
//! every machine that goes by the same [`Exceptions`]: the time zone is compiled in, and nothing here is global.

mod adhoc;
mod change;
mod exceptions;
mod sessions;
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
    sessions::{Calendars, Session, Sessions},
};
use crate::{AssetClass, Range};

static NEW_YORK: TimeZone = jiff::tz::get!("America/New_York");
static UTC: TimeZone = TimeZone::UTC;

/// The calendar of a market.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Calendar {
    /// New York Stock Exchange, regular hours; Nasdaq keeps the same days. Exact from 1990 on, as far as announced;
    /// for earlier years, which had other holidays, the rules of 1990 are applied.
    Xnys,
    /// Markets that never close: one session for each UTC day.
    AlwaysOpen,
}

/// The string isn't a valid calendar.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' isn't a valid calendar: use XNYS (New York Stock Exchange) or 24x7 (always open)")]
pub struct InvalidCalendar(pub String);

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

    /// Its sessions as the rules and this version's list know them: regular hours, and no [`Exceptions`].
    pub fn by_rules(self) -> Sessions {
        Calendars::default().sessions_of(self)
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

    /// The instant at which the market's clocks first show that time (no such time is in a change of clocks).
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
