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
#[allow(dead_code, unused_imports, reason = "shared with the other suites, which use the rest")]
#[path = "../it/running/mod.rs"]
mod running;
mod screenshots;
mod shared;

/// Whether commands reach their database through the pooler.
fn is_pooled() -> bool {
    false
}
