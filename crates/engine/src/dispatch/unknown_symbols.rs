//! Symbols of which nothing came: the provider's asset list says whether there is such a thing.

use std::time::Duration;

use market::Ticker;
use store::{StoreError, directory, symbols};
use uuid::Uuid;

use crate::{asset_lists::directory_entry, engine::Engine};

/// Second looks are due once a day, and looks that failed after some minutes.
const LOOK_AGAIN_EVERY: Duration = Duration::from_secs(300);

/// Asks about those of the symbols that have no bars at all and that nobody has asked about lately.
pub(super) async fn check_symbols(engine: &Engine, symbols: &[Uuid]) -> Result<(), StoreError> {
    for ticker in symbols::take_unchecked(&engine.database, symbols).await? {
        check_symbol(engine, &ticker).await?;
    }
    Ok(())
}

/// Asks the asset lists of the class's providers about a symbol without bars, one after the other, and keeps what they say:
/// unknown is what none of them knows.
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
        tracing::warn!(symbol = %ticker, %error, "An asset list could not be asked about {ticker}");
        return symbols::postpone_check(&engine.database, ticker).await;
    }
    let hint = directory::suggest::sentence(&engine.database, ticker).await;
    let reason = match asked.as_slice() {
        [] => format!("no provider of such symbols is set up for {ticker}"),
        [one] => format!("{one} knows no symbol {ticker}{hint}"),
        some => format!("none of {} knows a symbol {ticker}{hint}", some.join(", ")),
    };
    tracing::warn!(symbol = %ticker, "{reason}: nothing more is asked for it, but for a look once a day");
    symbols::suspend(&engine.database, ticker, &reason).await
}

/// Looks symbols that no provider knew up once more, a day after the last time. Apart from planning, which must not wait
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
                        tracing::warn!(symbol = %ticker, %error, "What was learnt of {ticker} could not be kept");
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "Could not see which symbols to look up again"),
        }
        tokio::select! {
            () = engine.stop.cancelled() => return,
            () = tokio::time::sleep(LOOK_AGAIN_EVERY) => {}
        }
    }
}
