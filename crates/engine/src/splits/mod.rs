//! Splits and dividends: asked for at the providers, and undone where a provider sends adjusted bars.

pub mod corporate_actions;
pub mod unadjust;
