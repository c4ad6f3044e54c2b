//! Market time and market data as pure values: no I/O, no clock, no SQL, no global state.
//!
//! In: tickers, timeframes and ranges as users and providers write them. Out: types that hold only valid values, the
//! sessions of an exchange, the grid of bars to expect, and bars resampled on that grid.
//!
//! Instants are [`jiff::Timestamp`], always UTC. Exchange time appears only inside [`calendar`] and [`grid`].

pub mod action;
mod bar;
pub mod calendar;
pub mod coverage;
pub mod evidence;
pub mod grid;
mod instant;
mod range;
pub mod resample;
mod ticker;
mod timeframe;

pub use action::{Action, ActionKind, Adjustment, InvalidAdjustment};
pub use bar::{Bar, BarDefect};
pub use calendar::{Calendar, Calendars, InvalidCalendar, Session, Sessions};
pub use coverage::RangeSet;
pub use grid::Grid;
pub use instant::instant;
pub use range::{EmptyRange, Range};
pub use resample::{Resampled, resample};
pub use ticker::{AssetClass, InvalidTicker, Ticker};
pub use timeframe::{InvalidTimeframe, Timeframe};
