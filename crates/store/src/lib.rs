//! All SQL: the schema and the statements.
//!
//! In: typed values from the stages. Out: rows as typed values. Nothing here knows HTTP or providers.
//!
//! What must hold for every caller is in the database itself (`supabase/migrations`): constraints, policies, the
//! definition of a gap, the order of the queue, the fence around an outcome. The modules here are what the stages
//! need of it.

pub mod accounts;
pub mod adjusted;
pub mod backfill_progress;
pub mod bars;
pub mod browser_sessions;
pub mod budget;
pub mod clock;
pub mod corporate_actions;
pub mod coverage;
mod database;
pub mod definitions;
pub mod diagnostics;
pub mod directory;
mod error;
pub mod events;
pub mod installation;
mod instant;
pub mod market_sessions;
pub mod migrations;
pub mod overview;
pub mod processes;
pub mod provider_health;
pub mod refetch;
pub mod rereads;
mod row;
pub mod runs;
pub mod scheduler;
pub mod series_backfill;
mod statement;
pub mod symbols;
pub mod takeover;
pub mod tracking;
pub mod users;
pub mod verification;
pub mod watchlists;

pub use bars::quotes;
pub use database::{Database, ServiceTx, UserTx};
pub use error::StoreError;
