//! The simulator over real HTTP.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests may panic")]

mod faults;
mod limits;
mod made_up;
mod paging;
mod protocol;
mod python;
mod real;
mod server;
