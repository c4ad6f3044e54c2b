//! The schema and the store's statements, black box, on a real PostgreSQL and under every kind of owner that must work.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

/// Each test three times: `superuser::test`, `plain::test`, `supabase::test`. For whatever may depend on an owner's
/// privileges: grants, row level security, security definers, triggers, DDL, what clients see; and at least one test
/// of every module whose statements need privileges.
macro_rules! for_every_owner {
    ($($promise:ident),+ $(,)?) => {
        mod superuser {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                super::$promise(testkit::Owner::Superuser).await;
            })+
        }
        mod plain {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                super::$promise(testkit::Owner::Plain).await;
            })+
        }
        mod supabase {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                super::$promise(testkit::Owner::Supabase).await;
            })+
        }
    };
}

/// Each test once, `one_owner::test`, under an ordinary role that is subject to row level security. For computations,
/// orders and waits, which don't depend on the database's owner.
macro_rules! for_one_owner {
    ($($promise:ident),+ $(,)?) => {
        mod one_owner {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                super::$promise(testkit::Owner::Plain).await;
            })+
        }
    };
}

mod acceptance;
mod access;
mod actions;
mod bars;
mod budget;
mod claims;
mod delistings;
mod directory;
mod emptiness;
mod failures;
mod gaps;
mod inspection;
mod isolation;
mod leases;
mod market_time;
mod migrate;
mod monitor_script;
mod monitoring;
mod names;
mod packs;
mod plans;
mod pooler;
mod priorities;
mod psql;
mod rereads;
mod retries;
mod schedule;
mod schema;
mod sessions;
mod signals;
mod site;
mod slices;
mod sync;
mod tickers;
mod together;
mod watchlists;
