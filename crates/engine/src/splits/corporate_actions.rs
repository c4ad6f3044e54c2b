//! Fetches the splits and dividends of enabled stocks, once a day and when a stock is new.
//!
//! In: enabled stocks that were not checked recently. Out: `corporate_actions`. Holds: stored bars are not changed; a
//! new split applies from the next read on.

use std::{collections::BTreeMap, time::Duration};

use jiff::{Timestamp, ToSpan as _};
use market::{AssetClass, Calendar, Range, Ticker};
use providers::FetchError;
use store::{StoreError, corporate_actions};

use crate::engine::Engine;

const CHECK_EVERY: Duration = Duration::from_secs(10);

/// Stocks in one request.
const BATCH: i64 = 50;
const SMALL_BATCH: i64 = 3;

/// Runs until stopped.
pub async fn run(engine: Engine) {
    loop {
        run_once(&engine).await;
        tokio::select! {
            () = engine.stop.cancelled() => return,
            () = tokio::time::sleep(CHECK_EVERY) => {}
        }
    }
}

/// Checks the stocks that are due, once.
pub async fn run_once(engine: &Engine) {
    // A provider that takes one symbol per request gets small batches: bars need requests too.
    let together = engine.routes.limits(AssetClass::Stock).first().is_some_and(|limits| limits.symbols_per_request > 1);
    let updated = match corporate_actions::take_due(&engine.database, if together { BATCH } else { SMALL_BATCH }).await
    {
        Ok(tickers) if tickers.is_empty() => Ok(()),
        Ok(tickers) => fetch_actions(engine, &tickers).await.map(|_| ()),
        Err(error) => Err(error),
    };
    if let Err(error) = updated {
        tracing::warn!(%error, "Splits and dividends could not be updated; the next check tries again");
    }
}

/// Result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// All splits and dividends are known.
    Known,
    /// No provider lists splits and dividends.
    NoSource,
    /// They could not be fetched now; these stocks are checked again in five minutes.
    TryLater,
}

/// Fetches and stores the splits and dividends of these stocks.
pub async fn fetch_actions(engine: &Engine, tickers: &[Ticker]) -> Result<Lookup, StoreError> {
    let now = engine.clock.now();
    let Ok(range) = Range::new(Timestamp::UNIX_EPOCH, now.checked_add(48.hours()).unwrap_or(now)) else {
        return Ok(Lookup::TryLater);
    };
    let days = (Calendar::Xnys.date_of(range.from()), Calendar::Xnys.date_of(range.to()));
    let mut lookup = Lookup::NoSource;
    // The first provider that lists them.
    for source in engine.routes.serving(AssetClass::Stock) {
        let result = match source.actions(tickers, range).await {
            Err(FetchError::Refused { .. }) if tickers.len() > 1 => {
                // One of them may be to blame: retry each by itself.
                for ticker in tickers {
                    Box::pin(self::fetch_actions(engine, std::slice::from_ref(ticker))).await?;
                }
                return Ok(Lookup::Known);
            }
            // The provider has nothing about this one.
            Err(FetchError::Refused { .. }) => Ok(Some(BTreeMap::new())),
            result => result,
        };
        match result {
            Ok(Some(found)) => {
                let provider = &source.endpoint().provider;
                for ticker in tickers {
                    let actions = found.get(ticker).map(Vec::as_slice).unwrap_or_default();
                    let changed = corporate_actions::store(&engine.database, ticker, provider, days, actions).await?;
                    if changed > 0 {
                        tracing::info!(symbol = %ticker, changed, "{changed} new splits and dividends of {ticker}");
                        engine.notify_changed();
                    }
                }
                corporate_actions::mark_checked(&engine.database, tickers).await?;
                return Ok(Lookup::Known);
            }
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(%error, "Splits and dividends could not be fetched");
                lookup = Lookup::TryLater;
            }
        }
    }
    if lookup == Lookup::NoSource {
        corporate_actions::mark_unavailable(&engine.database, tickers).await?;
    }
    Ok(lookup)
}
