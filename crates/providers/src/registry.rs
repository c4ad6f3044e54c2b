//! Every provider there is, and which of them the settings name.
//!
//! In: variables. Out: [`Candidate`]s in the order in which they are asked where nothing else is said: for stocks
//! Alpaca, Massive, Tradier, Finnhub, Yahoo; for crypto Alpaca, Binance, Coinbase. Holds: nothing is sent before a
//! candidate is connected to; those without keys have to be switched on (`BARKEEP_YAHOO=on`, `BARKEEP_CRYPTO=binance`).

use std::{fmt, sync::Arc};

use market::AssetClass;

use crate::{
    BarSource, FetchError, MarketClock, SettingsError, alpaca::AlpacaSettings, binance::BinanceSettings,
    budget::Accounts, coinbase::CoinbaseSettings, finnhub::FinnhubSettings, massive::MassiveSettings,
    tradier::TradierSettings, yahoo::YahooSettings,
};

/// A provider and its settings, to which nothing was sent yet.
#[async_trait::async_trait]
pub trait Candidate: fmt::Debug + Send + Sync {
    /// `alpaca`, `massive`, ...: as in the provenance of its bars, unless a simulator stands in for it.
    fn name(&self) -> &'static str;

    /// What has to be set for it to be asked. For messages; not all of it may be needed.
    fn variables(&self) -> &'static [&'static str];

    /// What it is set up for; nothing where it isn't.
    fn serves(&self) -> &'static [AssetClass];

    /// Whether it is the provider itself that is asked, and not a server of one's own in its place.
    fn is_own_host(&self) -> bool;

    /// Connects, with requests counted in `accounts`; `market_now` is the market's clock.
    ///
    /// # Errors
    /// [`FetchError::Transport`] and [`FetchError::BadData`] where another address than the provider's own is set and
    /// no simulator, or another server, responds there. The provider itself gets no request yet.
    async fn connect(&self, market_now: MarketClock, accounts: &dyn Accounts)
    -> Result<Arc<dyn BarSource>, FetchError>;
}

/// Every provider, set up or not, in the default order.
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

/// Those that are set up, in the default order. Empty variables count as not set.
///
/// # Errors
/// As [`all`].
pub fn configured(lookup: impl Fn(&str) -> Option<String>) -> Result<Vec<Box<dyn Candidate>>, SettingsError> {
    let mut candidates = all(lookup)?;
    candidates.retain(|candidate| !candidate.serves().is_empty());
    Ok(candidates)
}

/// Makes a provider's settings a [`Candidate`]: its source, its vendor, the variables that set it up, what it serves.
macro_rules! candidate {
    ($settings:ty, $source:ty, $vendor:path, $variables:expr, $serves:expr) => {
        #[async_trait::async_trait]
        impl $crate::registry::Candidate for $settings {
            fn name(&self) -> &'static str {
                $vendor.name
            }

            fn variables(&self) -> &'static [&'static str] {
                &$variables
            }

            fn serves(&self) -> &'static [market::AssetClass] {
                if self.is_configured() { &$serves } else { &[] }
            }

            fn is_own_host(&self) -> bool {
                $vendor.owns(&self.url)
            }

            async fn connect(
                &self,
                market_now: $crate::MarketClock,
                accounts: &dyn $crate::budget::Accounts,
            ) -> Result<std::sync::Arc<dyn $crate::BarSource>, $crate::FetchError> {
                Ok(std::sync::Arc::new(<$source>::connect_on(self.clone(), market_now, accounts).await?))
            }
        }
    };
}

pub(crate) use candidate;
