//! The stages that keep series complete: plan, dispatch, fetch, shape, commit; and verify, which checks the result.
//!
//! In: definitions, coverage and the queue, from the store; bars, from the providers. Out: bars and coverage, in the
//! store; signals. Nothing here listens or knows HTTP.

pub mod asset_lists;
pub(crate) mod bases;
pub mod calendar_exceptions;
pub mod commit;
pub mod dispatch;
pub mod dry_run;
mod engine;
pub mod fetch;
pub mod foreground;
mod market_now;
pub mod plan;
pub mod providers;
pub(crate) mod shape;
pub mod splits;
pub mod verify;

pub use self::{engine::Engine, market_now::Market};
