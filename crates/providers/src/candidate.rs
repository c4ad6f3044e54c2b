//! What can be said of a provider before anything is sent to it.
//!
//! In: a provider's settings. Out: a [`Candidate`], which connects when it is told to. Holds: nothing here knows which providers
//! there are; `registry` does.

use std::{fmt, sync::Arc};

use market::AssetClass;

use crate::{BarSource, FetchError, MarketClock, budget::Accounts};

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
    /// nobody, or somebody else, answers there. The provider itself isn't asked anything yet.
    async fn connect(&self, market_now: MarketClock, accounts: &dyn Accounts)
    -> Result<Arc<dyn BarSource>, FetchError>;
}

/// Makes a provider's settings a [`Candidate`]: its source, its vendor, the variables that set it up, what it serves.
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
