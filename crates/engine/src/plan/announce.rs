//! Tells the database what the connected providers have.
//!
//! In: the providers. Out: which assets have one, how long their bars may change, and the series that are planned again, since
//! ranges that were unavailable can be had now (a better plan, another provider, a changed order). Holds: what none of them has
//! stays marked; without a change nothing is lifted, however often a process starts.

use market::{AssetClass, Calendar, Timeframe};
use providers::Limits;
use store::{StoreError, clock, coverage};

use super::reach::first_available;
use crate::{bases::base_of, engine::Engine};

/// Call it when the providers are connected. With `only_more` what another process has announced is kept where it is more.
///
/// # Errors
/// If the database is unreachable.
pub async fn announce(engine: &Engine, only_more: bool) -> Result<(), StoreError> {
    super::publish_grace(engine, only_more).await?;
    for class in [AssetClass::Stock, AssetClass::Crypto] {
        let provided = engine.routes.serving(class).next().is_some();
        clock::set_provided(&engine.database, Calendar::for_class(class), provided, only_more).await?;
    }
    lift_unavailable(engine).await
}

async fn lift_unavailable(engine: &Engine) -> Result<(), StoreError> {
    let market = engine.market();
    for class in [AssetClass::Stock, AssetClass::Crypto] {
        let (limits, calendar) = (engine.routes.limits(class), Calendar::for_class(class));
        let sessions = market.sessions_of(calendar);
        for timeframe in Timeframe::ALL {
            let earliest =
                |limits: &Limits| Some(limits.earliest_of(base_of(timeframe, &sessions, limits)?, market.now));
            let begins = limits.iter().filter_map(earliest).min();
            let Some(first) = begins.and_then(|begins| first_available(timeframe, &sessions, begins)) else { continue };
            let lifted = coverage::lift_unavailable(&engine.database, calendar, timeframe, first).await?;
            if lifted > 0 {
                let provider = engine.routes.name(class);
                tracing::info!(%timeframe, lifted, "{provider} has {timeframe} bars of {lifted} series that were unavailable");
            }
        }
    }
    Ok(())
}
