//! Asks providers for the splits and dividends of stocks that are kept, once a day and when they are new.
//!
//! In: kept stocks that nobody was asked about lately. Out: `corporate_actions`. Holds: bars are not touched; a new split
//! counts from the next reading on.

use std::{collections::BTreeMap, time::Duration};

use jiff::{Timestamp, ToSpan as _};
use market::{AssetClass, Calendar, Range, Ticker};
use providers::FetchError;
use store::{StoreError, corporate_actions};

use crate::engine::Engine;

const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Stocks asked about together.
const BATCH: i64 = 50;
const SMALL_BATCH: i64 = 3;

/// Until stopped.
pub async fn run(engine: Engine) {
    loop {
        run_once(&engine).await;
        tokio::select! {
            () = engine.stop.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// Asks about those whose turn it is, once.
pub async fn run_once(engine: &Engine) {
    // Who takes one symbol at a time is asked about few at a time: bars need requests too.
    let together = engine.routes.limits(AssetClass::Stock).first().is_some_and(|limits| limits.symbols_per_request > 1);
    let kept = match corporate_actions::take_due(&engine.database, if together { BATCH } else { SMALL_BATCH }).await {
        Ok(tickers) if tickers.is_empty() => Ok(()),
        Ok(tickers) => fetch_actions(engine, &tickers).await.map(|_| ()),
        Err(error) => Err(error),
    };
    if let Err(error) = kept {
        tracing::warn!(%error, "Splits and dividends could not be kept; the next look tries again");
    }
}

/// What became of a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// What there is is known.
    Known,
    /// No provider tells of any.
    NoSource,
    /// It could not be had now; they come again in five minutes.
    TryLater,
}

/// Asks about these stocks, and keeps the answer.
pub async fn fetch_actions(engine: &Engine, tickers: &[Ticker]) -> Result<Lookup, StoreError> {
    let now = engine.clock.now();
    let Ok(range) = Range::new(Timestamp::UNIX_EPOCH, now.checked_add(48.hours()).unwrap_or(now)) else {
        return Ok(Lookup::TryLater);
    };
    let days = (Calendar::Xnys.date_of(range.from()), Calendar::Xnys.date_of(range.to()));
    let mut look = Lookup::NoSource;
    // The first that tells.
    for source in engine.routes.serving(AssetClass::Stock) {
        let told = match source.actions(tickers, range).await {
            Err(FetchError::Refused { .. }) if tickers.len() > 1 => {
                // One of them may be to blame: each by itself.
                for ticker in tickers {
                    Box::pin(self::fetch_actions(engine, std::slice::from_ref(ticker))).await?;
                }
                return Ok(Lookup::Known);
            }
            // It knows nothing of that one.
            Err(FetchError::Refused { .. }) => Ok(Some(BTreeMap::new())),
            told => told,
        };
        match told {
            Ok(Some(found)) => {
                let provider = &source.endpoint().provider;
                for ticker in tickers {
                    let of = found.get(ticker).map(Vec::as_slice).unwrap_or_default();
                    let changed = corporate_actions::store(&engine.database, ticker, provider, days, of).await?;
                    if changed > 0 {
                        tracing::info!(symbol = %ticker, changed, "{changed} splits and dividends of {ticker} are new");
                        engine.notify_changed();
                    }
                }
                corporate_actions::mark_checked(&engine.database, tickers).await?;
                return Ok(Lookup::Known);
            }
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(%error, "Splits and dividends could not be asked for");
                look = Lookup::TryLater;
            }
        }
    }
    if look == Lookup::NoSource {
        corporate_actions::mark_unavailable(&engine.database, tickers).await?;
    }
    Ok(look)
}
