//! Alpaca as a candidate: with keys for both classes, named without any for crypto alone.

use std::sync::Arc;

use market::AssetClass;

use super::{ALPACA, AlpacaSettings, AlpacaSource, KEY_ID_VARIABLE, SECRET_KEY_VARIABLE};
use crate::{BarSource, FetchError, MarketClock, budget::Accounts, candidate::Candidate};

#[async_trait::async_trait]
impl Candidate for AlpacaSettings {
    fn name(&self) -> &'static str {
        ALPACA.name
    }

    fn variables(&self) -> &'static [&'static str] {
        &[KEY_ID_VARIABLE, SECRET_KEY_VARIABLE]
    }

    fn serves(&self) -> &'static [AssetClass] {
        match (self.is_configured(), self.named_for_crypto) {
            (true, _) => &[AssetClass::Stock, AssetClass::Crypto],
            (false, true) => &[AssetClass::Crypto],
            (false, false) => &[],
        }
    }

    fn empty_answer(&self) -> &'static str {
        ALPACA.empty
    }

    fn is_own_host(&self) -> bool {
        self.data_url.is_alpaca()
    }

    async fn connect(
        &self,
        market_now: MarketClock,
        accounts: &dyn Accounts,
    ) -> Result<Arc<dyn BarSource>, FetchError> {
        Ok(Arc::new(AlpacaSource::connect_on(self.clone(), market_now, accounts).await?))
    }
}
