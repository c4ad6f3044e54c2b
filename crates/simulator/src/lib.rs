//! A market data server that speaks Alpaca's protocol: for trying Barkeep without a key, for tests and for measuring.
//!
//! In: [`Settings`] and a listener. Out: bars and assets over HTTP, as Alpaca sends them, from a folder of minutes or
//! synthetic, and faults where they are configured. Holds: a bar is the same in any page, symbol list, range or
//! timeframe, coarse bars are exactly the sum of their minutes, nothing later than the market's clock is ever sent,
//! and the same seed gives the same market on every machine.

mod actions;
mod clock;
mod data;
mod error;
mod faults;
mod folder;
mod listing;
mod minute;
mod protocol;
mod settings;
mod shared;
mod simulator;
mod span;
mod stats;
mod synthetic;
mod window;

pub use actions::read_actions;
pub use clock::Clock;
pub use error::SimError;
pub use faults::{Fault, FaultKind, InvalidFault};
pub use settings::{CalendarSource, Settings, Source};
pub use simulator::{Simulator, serve};
pub use stats::{Seen, Stats};
