//! Barkeep from outside: the binary, HTTP, SQL. One file a promise.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod a_failing_provider;
mod a_frozen_worker;
mod as_traded;
mod bad_input;
mod budget;
mod command_line;
mod crash;
mod data;
mod docs;
mod events;
mod first_run;

mod functions;
mod http;
mod late_trades;
mod live;
mod npm;
mod order;
mod packing;
mod parts;
mod passwords;
mod people;
mod proof;
mod real_bars;
mod routing;
mod running;
mod sessions;
mod signing_keys;
mod splits;
mod udf;
mod wake;

/// Whether commands reach their database through the pooler: all of this suite with `BARKEEP_TEST_POOLED=1`, and what a
/// pooler can matter to in `tests/pooled`.
fn is_pooled() -> bool {
    std::env::var_os("BARKEEP_TEST_POOLED").is_some()
}
