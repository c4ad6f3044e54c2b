//! The integration suite once more, with PgBouncer in transaction mode between Barkeep and its database.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../it/a_failing_provider.rs"]
mod a_failing_provider;
#[path = "../it/a_frozen_worker.rs"]
mod a_frozen_worker;
#[path = "../it/bad_input/mod.rs"]
mod bad_input;
#[path = "../it/command_line/mod.rs"]
mod command_line;
#[path = "../it/crash.rs"]
mod crash;
#[path = "../it/data.rs"]
mod data;
#[path = "../it/events.rs"]
mod events;
#[path = "../it/forming.rs"]
mod forming;
#[path = "../it/functions.rs"]
mod functions;
#[path = "../it/http.rs"]
mod http;
#[path = "../it/live.rs"]
mod live;
#[path = "../it/npm.rs"]
mod npm;
#[path = "../it/order.rs"]
mod order;
#[path = "../it/packing.rs"]
mod packing;
#[path = "../it/parts.rs"]
mod parts;
#[path = "../it/passwords.rs"]
mod passwords;
#[path = "../it/people.rs"]
mod people;
mod pooler;
#[path = "../it/running.rs"]
mod running;
#[path = "../it/udf.rs"]
mod udf;
#[path = "../it/wake.rs"]
mod wake;

/// Whether commands reach their database through the pooler.
const POOLED: bool = true;
