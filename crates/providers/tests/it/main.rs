//! The Alpaca client against small servers that replay recorded answers, and synthetic ones where none was recorded.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests may panic")]

mod bars;
mod endpoints;
mod limits;
mod refusals;
mod server;
