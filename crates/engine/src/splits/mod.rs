//! Splits and dividends: fetched from the providers, and undone where a provider sends adjusted bars.

pub mod corporate_actions;
mod noticed;
mod proof;
pub mod seen_adjusted;
pub mod unadjust;
