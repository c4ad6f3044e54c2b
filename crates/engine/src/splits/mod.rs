//! Splits and dividends: fetched from the providers, and undone where a provider sends adjusted bars.

pub mod corporate_actions;
pub mod unadjust;
