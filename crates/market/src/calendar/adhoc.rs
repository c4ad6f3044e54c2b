//! Unscheduled closures: days on which the New York Stock Exchange closed, or closed early, against its rules.
//!
//! A new one is added here when the exchange announces it, and until a version with it is out a file names it ([`super::Exceptions`]);
//! `scripts/check_calendar.py` finds those that are missing.

use jiff::civil::{Date, date};

/// Closed all day.
pub(super) const CLOSED: [Date; 11] = [
    // Funeral of President Nixon.
    date(1994, 4, 27),
    // After the attacks on the World Trade Center.
    date(2001, 9, 11),
    date(2001, 9, 12),
    date(2001, 9, 13),
    date(2001, 9, 14),
    // Funeral of President Reagan.
    date(2004, 6, 11),
    // Funeral of President Ford.
    date(2007, 1, 2),
    // Hurricane Sandy.
    date(2012, 10, 29),
    date(2012, 10, 30),
    // Funeral of President George H. W. Bush.
    date(2018, 12, 5),
    // Funeral of President Carter.
    date(2025, 1, 9),
];

/// Closed early, at the hour of that year's other half days.
pub(super) const EARLY: [Date; 3] = [
    // The Friday after Christmas.
    date(1997, 12, 26),
    // New Year's Eve of 1999.
    date(1999, 12, 31),
    // The Friday after Christmas.
    date(2003, 12, 26),
];
