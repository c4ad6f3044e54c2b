//! Support for tests: a real Postgres, and a database of its own for each test.
//!
//! In: a machine with Postgres or npm, or `BARKEEP_TEST_DATABASE_URL`. Out: [`TestDatabase`]s, created from [`template`]s in about
//! ten milliseconds and dropped with the test. Errors are `anyhow`'s, since a test just fails with them.

mod admin;
pub mod cluster;
mod database;
mod memory;
mod names;
mod owner;
mod pooler;
mod template;
mod watchdog;

pub use self::cluster::{Server, shared};
pub use database::TestDatabase;
pub use owner::{ALICE, BOB, OwnedDatabase, Owner, migrated, unmigrated};
pub use pooler::{Pooler, pooler_is_installed};
pub use template::template;
