//! Does with a failed fetch what its kind asks for.
//!
//! Throttled: all workers wait as told, the runs are not to blame. Credentials: nothing is sent on that account until
//! they are mended, runs stay queued. Refused: of several symbols, split; of one, its end. All else: backoff, five times.

use std::time::Duration;

use market::Ticker;
use metrics::counter;
use providers::{BarSource, FetchError};
use store::{
    StoreError, budget,
    provider_health::FAILING,
    runs::{self, ClaimedRun, Failure},
    symbols,
};

use super::unknown_symbols::check_symbol;
use crate::engine::Engine;

/// Refused keys are tried again this often: somebody may have mended them at the provider's.
const CREDENTIALS_AGAIN: Duration = Duration::from_secs(60);

/// What has to wait for one provider lets others pass for so long.
const PASSED_FOR: Duration = Duration::from_secs(5);
const PASSED_AT_MOST: Duration = Duration::from_secs(60);

/// Back in the queue for whoever may ask next. Not less, or slots would spin where the account can't be read.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Puts the runs back or ends them, as the error asks for. `requests`: what the failure cost.
///
/// # Errors
/// Where the database refuses or is gone.
pub async fn handle(
    engine: &Engine,
    source: &dyn BarSource,
    runs: &[ClaimedRun],
    error: &FetchError,
    requests: u32,
) -> Result<(), StoreError> {
    let Some(first) = runs.first() else { return Ok(()) };
    // Whom these don't keep from asking: another provider.
    let waits =
        matches!(error, FetchError::Throttled { .. } | FetchError::Refusing { .. } | FetchError::Credentials { .. });
    let elsewhere = waits && another_has_it(engine, source, runs);
    let (retry_after, counts, terminal) = match error {
        // The account's wait is everybody's, and may be lifted; the run itself need not wait.
        FetchError::Throttled { .. } => {
            tracing::info!(%error, "Waiting as told");
            (AT_ONCE, false, false)
        }
        FetchError::Refusing { .. } => (AT_ONCE, false, false),
        FetchError::Credentials { .. } => {
            tracing::error!(%error, "Nothing can be fetched until this is mended; what is queued stays queued");
            budget::block(&engine.database, source.account(), CREDENTIALS_AGAIN, &error.to_string()).await?;
            match elsewhere {
                true => (AT_ONCE, false, false),
                false => (CREDENTIALS_AGAIN, false, false),
            }
        }
        FetchError::Unavailable { .. } if another_has_it(engine, source, runs) => {
            tracing::info!(%error, "Another provider is asked");
            for run in runs {
                engine.routes.avoid(source.account(), &run.ticker, run.timeframe);
            }
            (AT_ONCE, false, false)
        }
        FetchError::Refused { .. } | FetchError::Unavailable { .. } => (Duration::ZERO, true, true),
        FetchError::BadData { .. } | FetchError::Server { .. } | FetchError::Transport { .. } => {
            let (account, provider) = (source.account(), &source.endpoint().provider);
            let unreachable = matches!(error, FetchError::Transport { unreachable: true, .. });
            let in_a_row = store::provider_health::record_failure(
                &engine.database,
                account,
                provider,
                &error.to_string(),
                unreachable,
            )
            .await?;
            // Where it fails whatever it is asked, the run is not to blame, and somebody else takes over.
            match in_a_row >= FAILING && another_has_it(engine, source, runs) {
                true => (AT_ONCE, false, false),
                false => (backoff(first.failures), true, false),
            }
        }
    };
    let code = if elsewhere { "throttled" } else { error.code() };
    let message = error.to_string();
    put_back(engine, runs, error, Failure { code, message, retry_after, counts, terminal, requests }).await?;
    // The request named this symbol alone. Where the words don't blame it, whoever keeps the asset list may know it.
    if let FetchError::Refused { tickers, message, .. } = error
        && let [ticker] = tickers.as_slice()
    {
        match names(message, ticker) {
            true => symbols::suspend(&engine.database, ticker, &error.to_string()).await?,
            false => check_symbol(engine, ticker).await?,
        }
    }
    Ok(())
}

/// The same for runs that bars which can't be true have spoilt, each with its reason. It is one answer, whatever was to be made
/// of it, and so one failure of the provider.
pub(crate) async fn handle_spoilt(
    engine: &Engine,
    source: &dyn BarSource,
    spoilt: &[(&ClaimedRun, FetchError)],
    requests: u32,
) -> Result<(), StoreError> {
    let Some((_, first)) = spoilt.first() else { return Ok(()) };
    let (account, provider) = (source.account(), &source.endpoint().provider);
    let in_a_row =
        store::provider_health::record_failure(&engine.database, account, provider, &first.to_string(), false).await?;
    let mut requests = requests;
    for (run, error) in spoilt {
        let runs = std::slice::from_ref(*run);
        let taken_over = in_a_row >= FAILING && another_has_it(engine, source, runs);
        let failure = Failure {
            code: error.code(),
            message: error.to_string(),
            retry_after: if taken_over { AT_ONCE } else { backoff(run.failures) },
            counts: !taken_over,
            terminal: false,
            requests: std::mem::take(&mut requests),
        };
        put_back(engine, runs, error, failure).await?;
    }
    Ok(())
}

/// Writes the outcome, and tells of it.
async fn put_back(
    engine: &Engine,
    runs: &[ClaimedRun],
    error: &FetchError,
    failure: Failure,
) -> Result<(), StoreError> {
    if let Some(first) = runs.first().filter(|_| failure.counts) {
        tracing::warn!(
            run = %first.id, symbol = %first.ticker, runs = runs.len(), failures = first.failures + 1, %error,
            "Fetching {} runs failed, {} {} for one", runs.len(), first.ticker, first.timeframe
        );
    }
    runs::record_failure(&engine.database, runs, &failure).await?;
    counter!("barkeep_dispatch_runs_total", "outcome" => error.code()).increment(runs.len() as u64);
    Ok(())
}

/// The process ends: put back as they were, so that the next one need not wait for the leases to end.
///
/// # Errors
/// Where the database refuses or is gone.
pub async fn requeue_stopped(engine: &Engine, runs: &[ClaimedRun]) -> Result<(), StoreError> {
    let failure = Failure {
        code: "stopped",
        message: "Barkeep was stopped".to_owned(),
        retry_after: Duration::ZERO,
        counts: false,
        terminal: false,
        requests: 0,
    };
    runs::record_failure(&engine.database, runs, &failure).await?;
    Ok(())
}

/// No provider has what these are to be made of, or not any more, since where history ends moves on: planning looks again at
/// what of them can be had.
pub(crate) async fn plan_again(engine: &Engine, runs: &[ClaimedRun]) -> Result<(), StoreError> {
    let Some(first) = runs.first() else { return Ok(()) };
    tracing::info!(
        run = %first.id, symbol = %first.ticker, timeframe = %first.timeframe,
        "Nobody has all that run {} asks for; its series is planned again", first.id
    );
    runs::plan_again(&engine.database, runs).await?;
    engine.signals.wake_here();
    Ok(())
}

/// Who has them may not be asked now: they come again in a while, and others pass meanwhile.
pub(crate) async fn requeue_until_allowed(
    engine: &Engine,
    runs: &[ClaimedRun],
    wait: Duration,
) -> Result<(), StoreError> {
    let failure = Failure {
        code: "throttled",
        message: "the provider that has it may not be asked now".to_owned(),
        retry_after: wait.clamp(PASSED_FOR, PASSED_AT_MOST),
        counts: false,
        terminal: false,
        requests: 0,
    };
    runs::record_failure(&engine.database, runs, &failure).await?;
    Ok(())
}

/// Whether all of the runs could be asked for elsewhere.
fn another_has_it(engine: &Engine, source: &dyn BarSource, runs: &[ClaimedRun]) -> bool {
    let market = engine.market();
    runs.iter().all(|run| engine.routes.has_another(source.account(), &run.as_queued(), &market))
}

/// Runs whose outcome the database refused go back with the reason; where the database is gone their leases run out. That
/// sessions have changed meanwhile is nobody's fault.
pub async fn requeue_not_stored(engine: &Engine, runs: &[ClaimedRun], error: &StoreError) {
    let Some(first) = runs.first() else { return };
    if error.is_unreachable() {
        return;
    }
    let made_anew = matches!(error, StoreError::SessionsChanged);
    let failure = Failure {
        code: "store",
        message: format!("what was fetched could not be stored: {error}"),
        retry_after: if made_anew { AT_ONCE } else { backoff(first.failures) },
        counts: !made_anew,
        terminal: false,
        requests: 0,
    };
    if let Err(error) = runs::record_failure(&engine.database, runs, &failure).await {
        tracing::warn!(%error, "Runs could not be put back; their leases run out");
    }
}

/// Splits the symbols of a refused request: into those that its words name and the others, else into halves.
pub(crate) fn split(tickers: Vec<Ticker>, words: &str) -> (Vec<Ticker>, Vec<Ticker>) {
    let (named, others): (Vec<_>, Vec<_>) = tickers.iter().cloned().partition(|ticker| names(words, ticker));
    if !named.is_empty() && !others.is_empty() {
        return (named, others);
    }
    let mut first = tickers;
    let second = first.split_off(first.len() / 2);
    (first, second)
}

/// Whether the symbol is among the words.
fn names(words: &str, ticker: &Ticker) -> bool {
    let pair = ticker.as_str().replace('-', "/");
    words
        .split(|c: char| !(c.is_ascii_alphanumeric() || "./-".contains(c)))
        .map(|word| word.trim_matches(|c: char| !c.is_ascii_alphanumeric()))
        .any(|word| word == ticker.as_str() || word == pair)
}

/// 2 s, 4 s, 8 s, ... up to a minute, and up to half as much again, so that runs that failed together don't come back
/// together.
fn backoff(failures: i32) -> Duration {
    let base = Duration::from_secs(2).saturating_mul(1 << failures.clamp(0, 5)).min(Duration::from_secs(60));
    base.mul_f64(rand::random_range(1.0..1.5))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn tickers(names: &[&str]) -> Vec<Ticker> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[test]
    fn a_refusal_that_names_a_symbol_points_at_it() {
        let (suspects, others) = split(tickers(&["AAPL", "AB-CD", "A"]), "invalid symbol: AB-CD");
        assert_eq!((suspects, others), (tickers(&["AB-CD"]), tickers(&["AAPL", "A"])));
        let (suspects, _) = split(tickers(&["BTC-USD", "ETH-USD"]), "invalid symbol: ETH/USD does not match ^[A-Z]+$");
        assert_eq!(suspects, tickers(&["ETH-USD"]));
    }

    #[test]
    fn a_refusal_that_names_nobody_or_everybody_is_halved() {
        for words in ["bad request", "A, B and C are bad"] {
            let (first, second) = split(tickers(&["A", "B", "C"]), words);
            assert_eq!((first.len(), second.len()), (1, 2), "{words}");
        }
    }
}
