//! The lengths of bars.

use std::{fmt, str::FromStr};

use jiff::SignedDuration;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// The length of a bar, by its canonical name: `m15`, `h1`, `d1`, ...
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Timeframe {
    M1,
    M5,
    M15,
    M30,
    H1,
    H4,
    D1,
    W1,
}

/// The string isn't a valid timeframe.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' isn't a valid timeframe: use m1, m5, m15, m30, h1, h4, d1 or w1")]
pub struct InvalidTimeframe(pub String);

impl Timeframe {
    pub const ALL: [Self; 8] = [Self::M1, Self::M5, Self::M15, Self::M30, Self::H1, Self::H4, Self::D1, Self::W1];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::M1 => "m1",
            Self::M5 => "m5",
            Self::M15 => "m15",
            Self::M30 => "m30",
            Self::H1 => "h1",
            Self::H4 => "h4",
            Self::D1 => "d1",
            Self::W1 => "w1",
        }
    }

    /// Minutes from one bar's start to the next inside a session; `None` for `d1` and `w1`, whose bars span
    /// whole sessions.
    pub const fn minutes(self) -> Option<i64> {
        match self {
            Self::M1 => Some(1),
            Self::M5 => Some(5),
            Self::M15 => Some(15),
            Self::M30 => Some(30),
            Self::H1 => Some(60),
            Self::H4 => Some(240),
            Self::D1 | Self::W1 => None,
        }
    }

    /// The same as a duration.
    pub fn step(self) -> Option<SignedDuration> {
        self.minutes().map(SignedDuration::from_mins)
    }
}

impl FromStr for Timeframe {
    type Err = InvalidTimeframe;

    /// Canonical names and the aliases that clients send: `15m`, `15min`, `15` (minutes), `60`, `1h`, `1hour`,
    /// `1D`, `D`, `1day`, `1W`, `W`, `1week`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // `1M` usually means a month: lower-casing would make it a minute.
        if text.trim() == "1M" {
            return Err(InvalidTimeframe(text.to_owned()));
        }
        Ok(match text.trim().to_ascii_lowercase().as_str() {
            "m1" | "1m" | "1min" | "1" => Self::M1,
            "m5" | "5m" | "5min" | "5" => Self::M5,
            "m15" | "15m" | "15min" | "15" => Self::M15,
            "m30" | "30m" | "30min" | "30" => Self::M30,
            "h1" | "1h" | "60m" | "60min" | "60" | "1hour" => Self::H1,
            "h4" | "4h" | "240m" | "240min" | "240" | "4hour" => Self::H4,
            "d1" | "1d" | "d" | "1day" | "day" | "daily" => Self::D1,
            "w1" | "1w" | "w" | "1week" | "week" | "weekly" => Self::W1,
            _ => return Err(InvalidTimeframe(text.chars().take(40).collect())),
        })
    }
}

impl fmt::Display for Timeframe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for Timeframe {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Timeframe {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_are_accepted_and_anything_else_is_rejected() {
        for timeframe in Timeframe::ALL {
            assert_eq!(timeframe.as_str().parse(), Ok(timeframe));
        }
        for (alias, timeframe) in [
            ("15m", Timeframe::M15),
            ("1h", Timeframe::H1),
            ("1D", Timeframe::D1),
            ("15", Timeframe::M15),
            ("60", Timeframe::H1),
            ("4h", Timeframe::H4),
            ("W", Timeframe::W1),
        ] {
            assert_eq!(alias.parse(), Ok(timeframe), "{alias}");
        }
        for text in ["", "m", "h2", "7", "1M", "month", "m15; drop"] {
            assert_eq!(text.parse::<Timeframe>(), Err(InvalidTimeframe(text.to_owned())));
        }
    }
}
