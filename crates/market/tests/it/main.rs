//! Market time against what independent implementations say: the files under `tests/data`, which the project's scripts made
//! with them, and those under `shared/golden` beside the workspace, where they are.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails may panic")]

mod calendar;
mod exact;
mod golden;
mod grid;
mod resample;
