//! Takes the provider's list of assets over into the directory, once a day, whichever process does it.
//!
//! In: the providers' lists. Out: the directory, and what symbols learn from it. Holds: a provider without a list leaves what
//! there is, the built-in list at first; a list that can't be had now is asked for again in an hour.

use std::time::Duration;

use market::AssetClass;
use providers::Asset;
use store::{
    StoreError,
    directory::{self, Entry},
};

use crate::engine::Engine;

/// Lists take requests of the same account: what people ask for at the start comes first.
const FIRST_AFTER: Duration = Duration::from_secs(20);

/// How often it is looked whether a list's day is over.
const LOOK_EVERY: Duration = Duration::from_secs(300);

/// What a provider says of an asset, as the directory keeps it.
pub fn directory_entry(asset: Asset) -> Entry {
    Entry { ticker: asset.ticker, name: asset.name, exchange: asset.exchange, active: asset.active, renamed_to: None }
}

/// Until the process is told to stop.
pub async fn run(engine: Engine) {
    let mut pause = FIRST_AFTER;
    loop {
        tokio::select! {
            () = engine.stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        pause = LOOK_EVERY;
        for class in [AssetClass::Stock, AssetClass::Crypto] {
            let refreshed = tokio::select! {
                () = engine.stop.cancelled() => return,
                refreshed = refresh(&engine, class) => refreshed,
            };
            if let Err(error) = refreshed {
                tracing::warn!(?class, %error, "The directory could not be kept up");
            }
        }
    }
}

/// Asks for the list of `class`, where its day is over and nobody else does.
async fn refresh(engine: &Engine, class: AssetClass) -> Result<(), StoreError> {
    let first = engine.routes.name(class);
    if !directory::claim_refresh(&engine.database, &first, class).await? {
        return Ok(());
    }
    // The first provider that has a list.
    let mut found = None;
    for source in engine.routes.serving(class) {
        match source.assets(class).await {
            Ok(Some(assets)) => {
                found = Some((source.endpoint().provider.clone(), assets));
                break;
            }
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(?class, %error, "The list of assets could not be had; trying again in an hour");
                return directory::postpone_refresh(&engine.database, class, false).await;
            }
        }
    }
    let Some((provider, assets)) = found else {
        return directory::postpone_refresh(&engine.database, class, true).await;
    };
    let list: Vec<Entry> = assets.into_iter().map(directory_entry).collect();
    let replaced = directory::replace(&engine.database, &provider, class, &list).await?;
    tracing::info!(
        ?class,
        listed = list.len(),
        written = replaced.written,
        delisted = replaced.delisted.len(),
        "Took the list of assets over"
    );
    if !replaced.complete && !list.is_empty() {
        tracing::info!(?class, "The list lacks most of what is known: what it lacks is not taken for delisted");
    }
    for (old, new) in &replaced.renamed {
        tracing::info!(symbol = %old, %new, "{old} is called {new} now");
    }
    if !replaced.relisted.is_empty() {
        engine.signals.wake_here();
    }
    Ok(())
}
