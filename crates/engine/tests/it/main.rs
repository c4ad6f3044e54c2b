//! The stages, driven step by step on a real database and a simulated provider: a test stops between any two steps,
//! does what may happen there, and continues. What needs a process (a kill, a freeze, a signal, a browser) is tested
//! with the binary.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod a_failing_provider;
mod a_run;
mod changed_sessions;
mod forming_bars;
mod interest;
mod late_bars;
mod lost_leases;
mod outages;
mod packing;
mod planning;
mod soak;
mod stages;
mod stops;
mod turns;
mod undisturbed;
mod untrue_bars;
