//! Market data providers behind one trait: what they can give, what they gave, and why they didn't.
//!
//! In: a [`BarsRequest`]. Out: [`FetchedBars`] or a [`FetchError`] that tells the caller what to do. No SQL, no
//! queue: a provider knows its own protocol, limits and errors and nothing of who asks.

pub mod alpaca;
mod budget;
mod error;
mod source;

pub use error::FetchError;
pub use source::{Asset, BarSource, BarsRequest, Endpoint, FetchedBars, Limits};
