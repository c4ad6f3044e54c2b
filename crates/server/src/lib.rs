//! What listens: the old system's functions under `/functions/v1`, TradingView's datafeed under `/udf`, Barkeep's own API under
//! `/api/v1`, and the web client's pages elsewhere.
//!
//! In: requests. Out: interest, in the store; what the store holds, as JSON, CSV, HTML and events. Nothing here asks a provider.

mod api;
mod app;
pub mod auth;
mod body;
mod cors;
mod error;
mod functions;
pub mod interest;
mod readiness;
mod router;
mod udf;
mod web;

pub use self::{
    app::{App, ForegroundGuard, ForegroundHandle, Metrics, ProviderState},
    router::router,
};
