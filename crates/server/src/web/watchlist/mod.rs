//! `/`: what somebody watches, in lists: the last price, the day, and how far each timeframe has come.

pub(super) mod edit;
pub(super) mod page;
