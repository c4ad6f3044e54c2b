//! Each provider's client against small servers that give the answers under `tests/data`, and recorded ones besides, where they are.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests may panic")]

mod actions;
mod bars;
mod binance;
mod coinbase;
mod empty_answers;
mod endpoints;
mod finnhub;
mod limits;
mod massive;
mod one_bad_bar;
mod refusals;
mod registry;
mod server;
mod tradier;
mod yahoo;
