//! Providers before a connection is made.
//!
//! In: a provider's settings. Out: a [`Candidate`], which can be connected. Holds: nothing here knows which providers
//! there are; `registry` does.

use std::{fmt, sync::Arc};

use market::AssetClass;

use crate::{BarSource, FetchError, MarketClock, budget::Accounts};

/// A provider and its settings, without a connection.
#[async_trait::async_trait]
pub trait Candidate: fmt::Debug + Send + Sync {
    /// `alpaca`, `massive`, ...: as in the provenance of its bars, unless a simulator replaces it.
    fn name(&self) -> &'static str;

    /// The variables that configure it. For messages; not all of them may be needed.
    fn variables(&self) -> &'static [&'static str];

    /// The asset classes it is configured for; empty if it isn't.
    fn serves(&self) -> &'static [AssetClass];

    /// What an answer without bars looks like: anything else without bars is no answer, and nothing is learnt from it.
    fn empty_answer(&self) -> &'static str;

    /// Whether it uses the provider's own host, and not another server in its place.
    fn is_own_host(&self) -> bool;

    /// Connects, with requests counted in `accounts`; `market_now` is the market's clock.
    ///
    /// # Errors
    /// [`FetchError::Transport`] and [`FetchError::BadData`] if another address than the provider's own is set and no
    /// server, or an unknown one, responds there. Nothing is sent to the provider itself yet.
    async fn connect(&self, market_now: MarketClock, accounts: &dyn Accounts)
    -> Result<Arc<dyn BarSource>, FetchError>;
}

/// Turns a provider's settings into a [`Candidate`]: its source, its vendor, its variables, the classes it serves.
macro_rules! candidate {
    ($settings:ty, $source:ty, $vendor:path, $variables:expr, $serves:expr) => {
        #[async_trait::async_trait]
        impl $crate::candidate::Candidate for $settings {
            fn name(&self) -> &'static str {
                $vendor.name
            }

            fn variables(&self) -> &'static [&'static str] {
                &$variables
            }

            fn serves(&self) -> &'static [market::AssetClass] {
                if self.is_configured() { &$serves } else { &[] }
            }

            fn empty_answer(&self) -> &'static str {
                $vendor.empty
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
