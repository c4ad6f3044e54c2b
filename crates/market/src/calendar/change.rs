//! What can be otherwise than the rules say: a day's close, and which hours of a day count.

use std::fmt;

use jiff::civil::Time;
use serde::{Deserialize, Serialize};

/// What happens on a day instead of what the rules say.
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

/// The text names no hours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' are no hours of stocks: regular and extended are")]
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
