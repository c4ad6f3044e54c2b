//! The market at one moment, as the stages use it.

use jiff::Timestamp;
use market::{Calendar, Calendars, Sessions};

/// The market at one moment: its time and the calendars in force.
#[derive(Clone, Debug)]
pub struct Market {
    pub now: Timestamp,
    pub calendars: Calendars,
}

impl Market {
    pub fn sessions_of(&self, calendar: Calendar) -> Sessions {
        self.calendars.sessions_of(calendar)
    }
}
