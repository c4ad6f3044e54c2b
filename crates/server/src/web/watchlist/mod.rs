//! `/`: the user's lists of symbols: last price, change of the day, and coverage per timeframe.

pub(super) mod edit;
pub(super) mod page;
