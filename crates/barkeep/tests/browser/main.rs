//! The web client in a real browser: what people are promised who use it. One file a promise.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod accessible;
mod actions;
mod bad_input;
mod browser;
mod charts;
mod lists;
#[path = "../it/npm.rs"]
mod npm;
mod people;
mod recovery;
#[allow(dead_code, reason = "shared with the other suites, which use the rest")]
#[path = "../it/running.rs"]
mod running;
mod screenshots;

/// Whether commands reach their database through the pooler.
const POOLED: bool = false;
