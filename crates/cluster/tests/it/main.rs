//! The private cluster, for real: servers are made, killed, adopted and stopped, from every source of binaries, as root and as an
//! ordinary user.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod binaries;
mod helper;
mod life;
mod site;
mod trouble;
mod users;
