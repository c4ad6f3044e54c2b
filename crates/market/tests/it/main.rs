//! Market time against what independent implementations say: the files under `shared/golden` beside the workspace.
//! Where they aren't there, these tests pass and print what they left out.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails may panic")]

mod calendar;
mod exact;
mod golden;
mod grid;
mod resample;
