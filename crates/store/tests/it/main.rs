//! The schema and the store's statements, black box, on a real PostgreSQL and under every kind of owner that must work.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

/// Each promise three times: `superuser::promise`, `plain::promise`, `supabase::promise`. For whatever an owner's rights can
/// decide: grants, row level security, definers, triggers, DDL, what clients meet; and of every module some promise that
/// needs its statements to be allowed.
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

/// Each promise once, `one_owner::promise`, under an ordinary role, which row level security binds. For what only computes,
/// orders or waits: nothing of it asks who owns the database.
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
