//! Handles a failed fetch according to the kind of its error.
//!
//! In: the runs of a request and its [`FetchError`]. Out: the runs requeued, or failed with the reason. Throttled:
//! all workers wait as long as the provider asked; the runs count no failure. Credentials: nothing is sent on that
//! account until they are fixed; runs stay queued. Refused: a pack of several symbols is split, a single symbol's run
//! fails. No answer (server errors, timeouts, refused connections): an outage costs the runs nothing, but a run that is not
//! answered while others are is to blame. Everything else: retry with backoff, five times.

use std::time::Duration;

use market::Ticker;
use metrics::counter;
use providers::{BarSource, FetchError};
use store::{
    StoreError, budget,
    provider_health::{FAILING, Failed},
    runs::{self, Blame, ClaimedRun, Failure},
    symbols,
};

use super::unknown_symbols::check_symbol;
use crate::engine::Engine;

/// Rejected credentials are retried at this interval: they may have been fixed at the provider.
const RETRY_CREDENTIALS: Duration = Duration::from_secs(60);

/// Runs that wait for a provider are requeued for this long, so that other runs are claimed first.
const REQUEUE_MIN: Duration = Duration::from_secs(5);
const REQUEUE_MAX: Duration = Duration::from_secs(60);

/// Runs whose bars can't be used yet are requeued for this long.
const POSTPONED: Duration = Duration::from_secs(300);

/// The delay for runs that another provider may serve now. Not shorter, or slots would spin when the account can't be
/// read.
const RETRY_SOON: Duration = Duration::from_secs(1);

/// What a request brought before it failed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spent {
    /// HTTP requests that no outcome has counted.
    pub requests: u32,
    /// A part of the answer arrived.
    pub answered_in_part: bool,
}

/// Requeues the runs or fails them, according to the error.
///
/// # Errors
/// If the database rejects the outcome or is unreachable.
pub async fn handle(
    engine: &Engine,
    source: &dyn BarSource,
    runs: &[ClaimedRun],
    error: &FetchError,
    spent: Spent,
) -> Result<(), StoreError> {
    let Some(first) = runs.first() else { return Ok(()) };
    // These block one provider only; another one may serve the runs.
    let waits =
        matches!(error, FetchError::Throttled { .. } | FetchError::Refusing { .. } | FetchError::Credentials { .. });
    let elsewhere = waits && another_has_it(engine, source, runs);
    let (retry_after, blame, terminal) = match error {
        // The wait belongs to the account and may be lifted early; the run itself need not wait.
        FetchError::Throttled { .. } => {
            tracing::info!(%error, "The provider asked to wait");
            (RETRY_SOON, Blame::Nobody, false)
        }
        FetchError::Refusing { .. } => (RETRY_SOON, Blame::Nobody, false),
        FetchError::Credentials { .. } => {
            tracing::error!(%error, "The provider rejected the credentials; runs stay queued until this is fixed");
            budget::block(&engine.database, source.account(), RETRY_CREDENTIALS, &error.to_string()).await?;
            match elsewhere {
                true => (RETRY_SOON, Blame::Nobody, false),
                false => (RETRY_CREDENTIALS, Blame::Nobody, false),
            }
        }
        FetchError::Unavailable { .. } if another_has_it(engine, source, runs) => {
            tracing::info!(%error, "Switching to another provider");
            for run in runs {
                engine.routes.avoid(source.account(), &run.ticker, run.timeframe);
            }
            (RETRY_SOON, Blame::Nobody, false)
        }
        FetchError::Refused { .. } | FetchError::Unavailable { .. } => (Duration::ZERO, Blame::Request, true),
        FetchError::BadData { .. } | FetchError::Server { .. } | FetchError::Transport { .. } => {
            let (account, provider) = (source.account(), &source.endpoint().provider);
            let failed = match error {
                FetchError::BadData { .. } => Failed::BadAnswer,
                FetchError::Transport { unreachable, .. } => Failed::NoAnswer { unreachable: *unreachable },
                _ => Failed::NoAnswer { unreachable: false },
            };
            let message = error.to_string();
            let in_a_row =
                store::provider_health::record_failure(&engine.database, account, provider, &message, failed).await?;
            let is_failing = in_a_row >= FAILING;
            match failed {
                // If the provider fails every request, the run is not to blame, and another provider takes over.
                _ if is_failing && another_has_it(engine, source, runs) => (RETRY_SOON, Blame::Nobody, false),
                Failed::BadAnswer => (backoff(first.failures), Blame::Request, false),
                // The provider's circuit decides when it is requested again, and lets all runs wait as long.
                Failed::NoAnswer { .. } => {
                    let retry_after = if is_failing { RETRY_SOON } else { backoff(first.failures) };
                    (
                        retry_after,
                        Blame::Unanswered { account: account.to_owned(), in_part: spent.answered_in_part },
                        false,
                    )
                }
            }
        }
    };
    let code = if elsewhere { "throttled" } else { error.code() };
    let message = error.to_string();
    record(engine, runs, error, Failure { code, message, retry_after, blame, terminal, requests: spent.requests })
        .await?;
    // The request was for this symbol alone. If the message doesn't name it, the asset list may settle whether it
    // exists.
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

/// The same for runs with invalid bars, each with its reason. They come from one page, however many timeframes were
/// to be resampled from it, and so count as one failure of the provider.
pub(crate) async fn handle_invalid(
    engine: &Engine,
    source: &dyn BarSource,
    invalid: &[(&ClaimedRun, FetchError)],
    requests: u32,
) -> Result<(), StoreError> {
    let Some((_, first)) = invalid.first() else { return Ok(()) };
    let (account, provider) = (source.account(), &source.endpoint().provider);
    let in_a_row = store::provider_health::record_failure(
        &engine.database,
        account,
        provider,
        &first.to_string(),
        Failed::BadAnswer,
    )
    .await?;
    let mut requests = requests;
    for (run, error) in invalid {
        let runs = std::slice::from_ref(*run);
        let taken_over = in_a_row >= FAILING && another_has_it(engine, source, runs);
        let failure = Failure {
            code: error.code(),
            message: error.to_string(),
            retry_after: if taken_over { RETRY_SOON } else { backoff(run.failures) },
            blame: if taken_over { Blame::Nobody } else { Blame::Request },
            terminal: false,
            requests: std::mem::take(&mut requests),
        };
        record(engine, runs, error, failure).await?;
    }
    Ok(())
}

/// Records the failure of the runs, with a log message if it counts.
async fn record(engine: &Engine, runs: &[ClaimedRun], error: &FetchError, failure: Failure) -> Result<(), StoreError> {
    if let Some(first) = runs.first().filter(|_| failure.blame != Blame::Nobody) {
        tracing::warn!(
            run = %first.id, symbol = %first.ticker, runs = runs.len(), failures = first.failures + 1, %error,
            "Fetching {} runs failed, among them {} {}", runs.len(), first.ticker, first.timeframe
        );
    }
    runs::record_failure(&engine.database, runs, &failure).await?;
    counter!("barkeep_dispatch_runs_total", "outcome" => error.code()).increment(runs.len() as u64);
    Ok(())
}

/// On shutdown: requeues the runs unchanged, so that the next process need not wait for the leases to run out.
///
/// # Errors
/// If the database rejects the outcome or is unreachable.
pub async fn requeue_stopped(engine: &Engine, runs: &[ClaimedRun]) -> Result<(), StoreError> {
    let failure = Failure {
        code: "stopped",
        message: "Barkeep was stopped".to_owned(),
        retry_after: Duration::ZERO,
        blame: Blame::Nobody,
        terminal: false,
        requests: 0,
    };
    runs::record_failure(&engine.database, runs, &failure).await?;
    Ok(())
}

/// Requeues runs whose bars can't be used yet: they come right with time, and nobody is to blame.
pub(crate) async fn postpone(
    engine: &Engine,
    runs: &[ClaimedRun],
    message: String,
    requests: u32,
) -> Result<(), StoreError> {
    tracing::info!(runs = runs.len(), "{message}: requested again later");
    let failure =
        Failure { code: "postponed", message, retry_after: POSTPONED, blame: Blame::Nobody, terminal: false, requests };
    runs::record_failure(&engine.database, runs, &failure).await?;
    Ok(())
}

/// No provider has all that these runs need, or not any more, since the start of available history moves on: their
/// series are planned again.
pub(crate) async fn plan_again(engine: &Engine, runs: &[ClaimedRun]) -> Result<(), StoreError> {
    let Some(first) = runs.first() else { return Ok(()) };
    tracing::info!(
        run = %first.id, symbol = %first.ticker, timeframe = %first.timeframe,
        "No provider has all that run {} needs; its series is planned again", first.id
    );
    runs::plan_again(&engine.database, runs).await?;
    engine.signals.wake_here();
    Ok(())
}

/// The capable providers accept no requests now: the runs are requeued with a delay, and others are claimed first.
pub(crate) async fn requeue_until_allowed(
    engine: &Engine,
    runs: &[ClaimedRun],
    wait: Duration,
) -> Result<(), StoreError> {
    let failure = Failure {
        code: "throttled",
        message: "the provider that has these bars accepts no requests now".to_owned(),
        retry_after: wait.clamp(REQUEUE_MIN, REQUEUE_MAX),
        blame: Blame::Nobody,
        terminal: false,
        requests: 0,
    };
    runs::record_failure(&engine.database, runs, &failure).await?;
    Ok(())
}

/// Whether another provider could serve all of the runs.
fn another_has_it(engine: &Engine, source: &dyn BarSource, runs: &[ClaimedRun]) -> bool {
    let market = engine.market();
    runs.iter().all(|run| engine.routes.has_another(source.account(), &run.as_queued(), &market))
}

/// Requeues runs whose outcome the database rejected, with the reason; if the database is unreachable, their leases
/// run out. Sessions that changed meanwhile count as no failure.
pub async fn requeue_not_stored(engine: &Engine, runs: &[ClaimedRun], error: &StoreError) {
    let Some(first) = runs.first() else { return };
    if error.is_unreachable() {
        return;
    }
    let sessions_changed = matches!(error, StoreError::SessionsChanged);
    let failure = Failure {
        code: "store",
        message: format!("the fetched bars could not be stored: {error}"),
        retry_after: if sessions_changed { RETRY_SOON } else { backoff(first.failures) },
        blame: if sessions_changed { Blame::Nobody } else { Blame::Request },
        terminal: false,
        requests: 0,
    };
    if let Err(error) = runs::record_failure(&engine.database, runs, &failure).await {
        tracing::warn!(%error, "Runs could not be requeued; they return when their leases run out");
    }
}

/// Splits the symbols of a refused request: into those that its message names and the others, else into halves.
pub(crate) fn split(tickers: Vec<Ticker>, message: &str) -> (Vec<Ticker>, Vec<Ticker>) {
    let (named, others): (Vec<_>, Vec<_>) = tickers.iter().cloned().partition(|ticker| names(message, ticker));
    if !named.is_empty() && !others.is_empty() {
        return (named, others);
    }
    let mut first = tickers;
    let second = first.split_off(first.len() / 2);
    (first, second)
}

/// Whether the message names the symbol.
fn names(message: &str, ticker: &Ticker) -> bool {
    let pair = ticker.as_str().replace('-', "/");
    message
        .split(|c: char| !(c.is_ascii_alphanumeric() || "./-".contains(c)))
        .map(|word| word.trim_matches(|c: char| !c.is_ascii_alphanumeric()))
        .any(|word| word == ticker.as_str() || word == pair)
}

/// 2 s, 4 s, 8 s, ... up to a minute, plus up to half as much of jitter, so that runs that failed together are not
/// retried together.
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
    fn a_refusal_that_names_a_symbol_separates_it() {
        let (suspects, others) = split(tickers(&["AAPL", "AB-CD", "A"]), "invalid symbol: AB-CD");
        assert_eq!((suspects, others), (tickers(&["AB-CD"]), tickers(&["AAPL", "A"])));
        let (suspects, _) = split(tickers(&["BTC-USD", "ETH-USD"]), "invalid symbol: ETH/USD does not match ^[A-Z]+$");
        assert_eq!(suspects, tickers(&["ETH-USD"]));
    }

    #[test]
    fn a_refusal_that_names_no_symbol_or_all_of_them_is_halved() {
        for words in ["bad request", "A, B and C are bad"] {
            let (first, second) = split(tickers(&["A", "B", "C"]), words);
            assert_eq!((first.len(), second.len()), (1, 2), "{words}");
        }
    }
}
