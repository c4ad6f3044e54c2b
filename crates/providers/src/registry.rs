//! All providers, and which of them are configured.
//!
//! In: variables. Out: [`Candidate`]s in the default order of preference: for stocks Alpaca, Massive, Tradier,
//! Finnhub, Yahoo; for crypto Alpaca, Binance, Coinbase. Holds: nothing is sent before a candidate is connected;
//! those without keys have to be switched on (`BARKEEP_YAHOO=on`, `BARKEEP_CRYPTO=binance`).

pub use crate::candidate::Candidate;
use crate::{
    SettingsError, alpaca::AlpacaSettings, binance::BinanceSettings, coinbase::CoinbaseSettings,
    finnhub::FinnhubSettings, massive::MassiveSettings, tradier::TradierSettings, yahoo::YahooSettings,
};

/// Every provider, configured or not, in the default order.
///
/// # Errors
/// [`SettingsError`] for the first variable that can't be used.
pub fn all(lookup: impl Fn(&str) -> Option<String>) -> Result<Vec<Box<dyn Candidate>>, SettingsError> {
    Ok(vec![
        Box::new(AlpacaSettings::from_lookup(&lookup)?),
        Box::new(MassiveSettings::from_lookup(&lookup)?),
        Box::new(TradierSettings::from_lookup(&lookup)?),
        Box::new(FinnhubSettings::from_lookup(&lookup)?),
        Box::new(YahooSettings::from_lookup(&lookup)?),
        Box::new(BinanceSettings::from_lookup(&lookup)?),
        Box::new(CoinbaseSettings::from_lookup(&lookup)?),
    ])
}

/// Those that are configured, in the default order. Empty variables count as not set.
///
/// # Errors
/// As [`all`].
pub fn configured(lookup: impl Fn(&str) -> Option<String>) -> Result<Vec<Box<dyn Candidate>>, SettingsError> {
    let mut candidates = all(lookup)?;
    candidates.retain(|candidate| !candidate.serves().is_empty());
    Ok(candidates)
}
