//! Symbol checks: for symbols without bars, the providers' asset lists say whether the symbol exists.

use std::time::Duration;

use market::Ticker;
use store::{StoreError, directory, symbols};
use uuid::Uuid;

use crate::{asset_lists::directory_entry, engine::Engine};

/// How often due checks are run. A suspended symbol is checked again after a day, a failed check after some minutes.
const RECHECK_EVERY: Duration = Duration::from_secs(300);

/// Checks those of the symbols that have no bars at all and were not checked recently.
pub(super) async fn check_symbols(engine: &Engine, symbols: &[Uuid]) -> Result<(), StoreError> {
    for ticker in symbols::take_unchecked(&engine.database, symbols).await? {
        check_symbol(engine, &ticker).await?;
    }
    Ok(())
}

/// Looks a symbol without bars up in the asset lists of its class's providers, one after the other, and stores the
/// result: a symbol is unknown if none of them lists it.
pub(super) async fn check_symbol(engine: &Engine, ticker: &Ticker) -> Result<(), StoreError> {
    let (mut asked, mut failed) = (Vec::new(), None);
    for source in engine.routes.serving(ticker.asset_class()) {
        match source.asset(ticker).await {
            Ok(Some(asset)) => {
                symbols::confirm_listed(&engine.database, ticker, &asset.name, &asset.exchange).await?;
                return match asset.active {
                    true => Ok(()),
                    false => {
                        let provider = &source.endpoint().provider;
                        directory::mark_delisted(&engine.database, provider, &directory_entry(asset)).await
                    }
                };
            }
            Ok(None) => asked.push(source.endpoint().provider.clone()),
            Err(error) => failed = Some(error),
        }
    }
    if let Some(error) = failed {
        tracing::warn!(symbol = %ticker, %error, "The symbol check of {ticker} failed");
        return symbols::postpone_check(&engine.database, ticker).await;
    }
    let hint = directory::suggest::sentence(&engine.database, ticker).await;
    let reason = match asked.as_slice() {
        [] => format!("no provider is configured for {ticker}"),
        [one] => format!("{one} knows no symbol {ticker}{hint}"),
        some => format!("none of {} knows a symbol {ticker}{hint}", some.join(", ")),
    };
    tracing::warn!(symbol = %ticker, "{reason}: the symbol is suspended, and checked again once a day");
    symbols::suspend(&engine.database, ticker, &reason).await
}

/// Checks suspended unknown symbols again, a day after the last check. Separate from planning, which must not wait
/// for a provider.
pub async fn recheck_unknown(engine: Engine) {
    loop {
        match symbols::take_due_for_recheck(&engine.database).await {
            Ok(tickers) => {
                for ticker in tickers {
                    if engine.stop.is_cancelled() {
                        return;
                    }
                    if let Err(error) = check_symbol(&engine, &ticker).await {
                        tracing::warn!(symbol = %ticker, %error, "The result of the symbol check of {ticker} could not be stored");
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "Could not read which symbols are due for a check"),
        }
        tokio::select! {
            () = engine.stop.cancelled() => return,
            () = tokio::time::sleep(RECHECK_EVERY) => {}
        }
    }
}
