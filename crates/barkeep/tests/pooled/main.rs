//! What a pooler can matter to, once more with PgBouncer in transaction mode between Barkeep and its database: signals that
//! nobody hears, transactions and locks of several processes, and migrations. What else the suite `it` promises depends on
//! no session; `BARKEEP_TEST_POOLED=1 cargo test -p barkeep --test it` runs all of it through the pooler.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../it/events.rs"]
mod events;
#[path = "../it/live.rs"]
mod live;
#[path = "../it/parts.rs"]
mod parts;
#[path = "../it/people.rs"]
mod people;
mod pooler;
#[allow(dead_code, unused_imports, reason = "shared with the other suites, which use the rest")]
#[path = "../it/running/mod.rs"]
mod running;
#[path = "../it/wake.rs"]
mod wake;

/// Whether commands reach their database through the pooler.
fn is_pooled() -> bool {
    true
}
