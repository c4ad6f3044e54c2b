//! Fetches the splits and dividends of enabled stocks, once a day and when a stock is new.
//!
//! In: enabled stocks that were not checked recently. Out: `corporate_actions`. Holds: stored bars are not changed; a
//! new split applies from the next read on.

use std::{collections::BTreeMap, time::Duration};

use jiff::{Timestamp, ToSpan as _};
use market::{AssetClass, Calendar, Range, Ticker};
use providers::FetchError;
use store::{
    StoreError,
    corporate_actions::{self, Changes},
};

use crate::engine::Engine;

const CHECK_EVERY: Duration = Duration::from_secs(10);

/// Stocks in one request.
const BATCH: usize = 50;
const SMALL_BATCH: usize = 3;

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
    let most = i64::try_from(batch(engine)).unwrap_or(1);
    // While no provider answers, the requests for bars find out when one does.
    if matches!(engine.routes.is_answered(&engine.database, AssetClass::Stock).await, Ok(false)) {
        return;
    }
    let updated = match corporate_actions::take_due(&engine.database, most).await {
        Ok(tickers) if tickers.is_empty() => Ok(()),
        Ok(tickers) => fetch_actions(engine, &tickers).await.map(|_| ()),
        Err(error) => Err(error),
    };
    if let Err(error) = updated {
        tracing::warn!(%error, "Splits and dividends could not be updated; the next check tries again");
    }
}

/// Result of a check, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lookup {
    /// All splits and dividends are known.
    Known,
    /// No provider lists splits and dividends.
    NoSource,
    /// They could not be fetched now; these stocks are checked again in five minutes.
    TryLater,
    /// The same, since the provider or its budget asks to wait so long.
    Wait(Duration),
}

/// Stocks whose splits and dividends are not known after [`fetch_all`].
#[derive(Debug, Default)]
pub struct Outstanding {
    /// They could not be fetched: it may be tried again.
    pub failed: Vec<Ticker>,
    /// No provider lists those of any stock.
    pub unlisted: Vec<Ticker>,
}

/// Between tries to fetch what could not be fetched.
const PAUSES: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];

/// The same while no provider answers anybody.
const WHILE_DOWN: Duration = Duration::from_secs(15);

/// How often a wait that a provider or its budget asks for is waited for.
const MOST_WAITS: usize = 20;

/// Fetches the splits and dividends of all of these stocks that were not fetched within a day, waiting for the budget. Ends
/// at once if the engine is stopped.
///
/// # Errors
/// If the database is unreachable.
pub async fn fetch_all(engine: &Engine, tickers: &[Ticker]) -> Result<Outstanding, StoreError> {
    let (mut pauses, mut waits) = (PAUSES.into_iter(), 0..MOST_WAITS);
    loop {
        let unknown = corporate_actions::unknown(&engine.database, tickers, 1).await?;
        let lookup = tokio::select! {
            () = engine.stop.cancelled() => return Ok(Outstanding { failed: unknown, ..Outstanding::default() }),
            lookup = fetch_each(engine, &unknown) => lookup?,
        };
        let pause = match lookup {
            Lookup::Known => return Ok(Outstanding::default()),
            Lookup::NoSource => return Ok(Outstanding { unlisted: unknown, ..Outstanding::default() }),
            Lookup::Wait(wait) => waits.next().map(|_| wait),
            // For as long as the bars are waited for.
            Lookup::TryLater if !engine.routes.is_answered(&engine.database, AssetClass::Stock).await? => {
                Some(WHILE_DOWN)
            }
            Lookup::TryLater => pauses.next(),
        };
        let Some(pause) = pause else {
            // Some of them may be known by now.
            let failed = corporate_actions::unknown(&engine.database, tickers, 1).await?;
            return Ok(Outstanding { failed, ..Outstanding::default() });
        };
        tokio::select! {
            () = engine.stop.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// The worst of what comes of asking for as many as there are, a batch at a time. Where one has to wait the others are not
/// asked for.
async fn fetch_each(engine: &Engine, tickers: &[Ticker]) -> Result<Lookup, StoreError> {
    let mut worst = Lookup::Known;
    for part in tickers.chunks(batch(engine)) {
        worst = worst.max(fetch_actions(engine, part).await?);
        if matches!(worst, Lookup::NoSource | Lookup::Wait(_)) {
            break;
        }
    }
    Ok(worst)
}

/// How many stocks are asked about together: a provider that takes one symbol per request gets small batches, since bars need
/// requests too.
fn batch(engine: &Engine) -> usize {
    let together = engine.routes.limits(AssetClass::Stock).first().is_some_and(|limits| limits.symbols_per_request > 1);
    if together { BATCH } else { SMALL_BATCH }
}

/// Fetches and stores the splits and dividends of these stocks.
pub async fn fetch_actions(engine: &Engine, tickers: &[Ticker]) -> Result<Lookup, StoreError> {
    let now = engine.clock.now();
    let Ok(range) = Range::new(Timestamp::UNIX_EPOCH, now.checked_add(48.hours()).unwrap_or(now)) else {
        return Ok(Lookup::TryLater);
    };
    let days = (Calendar::Xnys.date_of(range.from()), Calendar::Xnys.date_of(range.to()));
    let today = Calendar::Xnys.date_of(now);
    let mut lookup = Lookup::NoSource;
    // The first provider that lists them.
    for source in engine.routes.serving(AssetClass::Stock) {
        let result = match source.actions(tickers, range).await {
            Err(FetchError::Refused { .. }) if tickers.len() > 1 => {
                // One of them may be to blame: retry each by itself.
                let mut worst = Lookup::Known;
                for ticker in tickers {
                    worst = worst.max(Box::pin(fetch_actions(engine, std::slice::from_ref(ticker))).await?);
                }
                return Ok(worst);
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
                    let changes =
                        corporate_actions::store(&engine.database, ticker, provider, days, today, actions).await?;
                    tell(ticker, provider, changes);
                    if changes != Changes::default() {
                        engine.notify_changed();
                    }
                }
                corporate_actions::mark_checked(&engine.database, tickers).await?;
                return Ok(Lookup::Known);
            }
            Ok(None) => {}
            Err(FetchError::Throttled { retry_after, .. }) => lookup = lookup.max(Lookup::Wait(retry_after)),
            Err(error) => {
                tracing::warn!(%error, "Splits and dividends could not be fetched");
                lookup = lookup.max(Lookup::TryLater);
            }
        }
    }
    if lookup == Lookup::NoSource {
        corporate_actions::mark_unavailable(&engine.database, tickers).await?;
    }
    Ok(lookup)
}

fn tell(ticker: &Ticker, provider: &str, Changes { listed, withdrawn }: Changes) {
    if listed > 0 {
        tracing::info!(symbol = %ticker, listed, "{provider} lists {listed} new or changed splits and dividends of {ticker}");
    }
    if withdrawn > 0 {
        tracing::warn!(
            symbol = %ticker, withdrawn,
            "{provider} no longer lists {withdrawn} splits and dividends of {ticker}: those that took effect stay applied"
        );
    }
}
