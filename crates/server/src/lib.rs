//! The HTTP server: the old system's functions under `/functions/v1`, TradingView's datafeed under `/udf`, Barkeep's own API
//! under `/api/v1`, and the web client's pages elsewhere.
//!
//! In: requests. Out: interest, written to the store; what the store holds, as JSON, HTML and events. Nothing here calls a provider.

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
