//! Barkeep from outside: the binary, HTTP, SQL. One file a promise.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod bad_input;
mod command_line;
mod crash;
mod events;
mod first_run;
mod people;
mod provider_trouble;
mod real_bars;
mod running;
