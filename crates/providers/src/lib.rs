//! Market data providers behind one trait: their limits, their bars and their errors.
//!
//! In: a [`BarsRequest`]. Out: [`FetchedBars`] or a [`FetchError`] whose variant says what to do next. No SQL, no
//! queue: a provider knows its own protocol, limits and errors and nothing about its callers.

pub mod alpaca;
pub mod binance;
pub mod budget;
mod candidate;
pub mod coinbase;
mod connection;
mod days;
mod error;
mod failures;
pub mod finnhub;
mod http;
pub mod massive;
mod number;
mod one_ticker;
mod probe;
mod rates;
mod record;
pub mod registry;
mod settings;
mod short_bar;
mod source;
mod spelling;
pub mod tradier;
mod vendor;
mod words;
pub mod yahoo;

pub use error::FetchError;
pub use settings::{BaseUrl, CRYPTO_VARIABLE, InvalidUrl, Secret, SettingsError, Timeouts};
pub use source::{Asset, BarPages, BarSource, BarsRequest, Endpoint, FetchedBars, Limits, MarketClock, Page};
