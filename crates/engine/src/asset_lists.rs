//! Refreshes the symbol directory from the providers' asset lists once a day, in whichever process claims the
//! refresh.
//!
//! In: the providers' lists. Out: the directory, and the symbol details taken from it. Holds: a provider without a
//! list leaves the directory unchanged, which at first is the built-in list; a list that can't be fetched is
//! requested again in an hour.

use std::time::Duration;

use market::AssetClass;
use providers::Asset;
use store::{
    StoreError,
    directory::{self, Entry},
};

use crate::engine::Engine;

/// Asset lists use requests of the same account: foreground requests at the start come first.
const FIRST_AFTER: Duration = Duration::from_secs(20);

/// How often the process checks whether a list is older than a day.
const LOOK_EVERY: Duration = Duration::from_secs(300);

/// A provider's asset as a directory entry.
pub fn directory_entry(asset: Asset) -> Entry {
    Entry { ticker: asset.ticker, name: asset.name, exchange: asset.exchange, active: asset.active, renamed_to: None }
}

/// Runs until the process stops.
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
                tracing::warn!(?class, %error, "The symbol directory could not be refreshed");
            }
        }
    }
}

/// Fetches the list of `class` if it is older than a day and no other process is fetching it.
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
                tracing::warn!(?class, %error, "The asset list could not be fetched; trying again in an hour");
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
        "Refreshed the symbol directory from the asset list"
    );
    if !replaced.complete && !list.is_empty() {
        tracing::info!(?class, "The asset list lacks most known symbols; missing symbols are not treated as delisted");
    }
    for (old, new) in &replaced.renamed {
        tracing::info!(symbol = %old, %new, "{old} was renamed to {new}");
    }
    if !replaced.relisted.is_empty() {
        engine.signals.wake_here();
    }
    Ok(())
}
