//! Changes to the rules: one day's session, and which hours count as a session.

use std::fmt;

use jiff::civil::Time;
use serde::{Deserialize, Serialize};

/// A day's session instead of that of the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Change {
    /// No session.
    Closed,
    /// The session ends then, in the market's own time.
    Early(Time),
}

/// Which hours of a stock exchange's day are its session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum StockHours {
    /// 09:30 to 16:00 New York time, to 13:00 on half days.
    #[default]
    Regular,
    /// From the first trade before the open, 04:00, to four hours after the close: 20:00, and 17:00 on half days.
    Extended,
}

/// The string isn't a valid choice of hours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' isn't a valid choice of stock hours: use regular or extended")]
pub struct InvalidStockHours(pub String);

impl StockHours {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Regular => "regular",
            Self::Extended => "extended",
        }
    }
}

impl std::str::FromStr for StockHours {
    type Err = InvalidStockHours;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "regular" => Ok(Self::Regular),
            "extended" => Ok(Self::Extended),
            other => Err(InvalidStockHours(other.to_owned())),
        }
    }
}

impl fmt::Display for Change {
    /// As in the file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("closed"),
            Self::Early(close) => write!(f, "early at {:02}:{:02}", close.hour(), close.minute()),
        }
    }
}
