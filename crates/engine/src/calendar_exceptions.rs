//! Calendar exceptions: from the file that the setting `sessions` names into the database, and from there to every
//! process.
//!
//! In: the file, checked every few seconds, and the edition in the database. Out: the exceptions that this process
//! uses. Holds: what was requested or computed under one edition is never stored or planned under another.

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use anyhow::Context as _;
use market::calendar::{Exceptions, StockHours};
use store::{
    Database, ServiceTx, StoreError,
    events::Signals,
    market_sessions::{self, Edition, SharedCalendars},
};
use tokio_util::sync::CancellationToken;

/// How often the file's time and length are checked; its content is read only when they have changed.
const CHECK_EVERY: Duration = Duration::from_secs(2);
/// How often the database is asked whether another process has applied other exceptions: without a signal, and where
/// signals can't be received.
const TICK: Duration = Duration::from_secs(60);
const TICK_ALONE: Duration = Duration::from_secs(5);

/// How often applying a list is tried when it conflicts with other transactions.
const MAX_TRIES: u32 = 3;

/// Switches to the edition in the database, and returns it.
///
/// # Errors
/// If the database is unreachable or not migrated.
pub async fn follow(database: &Database, shared: &SharedCalendars) -> Result<Edition, StoreError> {
    let here = shared.edition();
    if market_sessions::edition(database).await? == here.number {
        return Ok(here);
    }
    let mut tx = database.begin().await?;
    Ok(adopt(shared, market_sessions::read(&mut tx).await?))
}

/// The same in a transaction; the edition stays locked until the transaction ends.
pub(crate) async fn lock_edition(tx: &mut ServiceTx, shared: &SharedCalendars) -> Result<Edition, StoreError> {
    let here = shared.edition();
    if market_sessions::lock_shared(tx).await? == here.number {
        return Ok(here);
    }
    Ok(adopt(shared, market_sessions::read(tx).await?))
}

/// Fails if something computed under `made_by` would be stored under another edition.
pub(crate) async fn ensure_edition(tx: &mut ServiceTx, made_by: i64) -> Result<(), StoreError> {
    if market_sessions::lock_shared(tx).await? == made_by { Ok(()) } else { Err(StoreError::SessionsChanged) }
}

fn adopt(shared: &SharedCalendars, edition: Edition) -> Edition {
    let exceptions = edition.calendars.exceptions();
    let (days, hours) = (exceptions.len(), exceptions.hours().as_str());
    shared.set(edition.clone());
    tracing::info!(days, hours, "Calendars loaded: {days} exceptions, {hours} hours for stocks");
    edition
}

/// Reads and parses the file.
pub fn read(path: &Path) -> anyhow::Result<Exceptions> {
    let context = || format!("the sessions file {} can't be read", path.display());
    let text = std::fs::read_to_string(path).with_context(context)?;
    Exceptions::parse(&text).map_err(|error| anyhow::anyhow!("the sessions file {}: {error}", path.display()))
}

/// What the settings say about sessions. What they leave out stays as it is in the database.
#[derive(Clone, Debug, Default)]
pub struct CalendarSettings {
    /// A file of days on which markets close, or close early, beyond the built-in rules.
    pub file: Option<PathBuf>,
    pub hours: Option<StockHours>,
}

/// At startup: applies the settings, then loads the edition in force. An invalid file aborts the start.
pub async fn start(database: &Database, wanted: &CalendarSettings) -> anyhow::Result<SharedCalendars> {
    match &wanted.file {
        Some(path) => apply(database, wanted, read(path)?).await?,
        None if wanted.hours.is_some() => {
            let in_force = market_sessions::read(&mut database.begin().await?).await?.calendars.exceptions().clone();
            apply(database, wanted, in_force).await?;
        }
        None => {}
    }
    let shared = SharedCalendars::by_rules();
    follow(database, &shared).await?;
    Ok(shared)
}

async fn apply(database: &Database, wanted: &CalendarSettings, days: Exceptions) -> Result<(), StoreError> {
    let hours = match wanted.hours {
        Some(hours) => hours,
        None => market_sessions::read(&mut database.begin().await?).await?.calendars.stock_hours(),
    };
    let exceptions = &days.with_hours(hours);
    let mut tries = MAX_TRIES;
    let replaced = loop {
        match market_sessions::apply(database, exceptions).await {
            Err(error) if error.is_conflict() && tries > 1 => tries -= 1,
            done => break done?,
        }
    };
    if let Some(replaced) = replaced {
        let (days, outside) = (replaced.days, replaced.bars_outside);
        tracing::info!(
            days,
            outside,
            "{days} sessions changed by the settings, and what they touch is planned again; {outside} stored bars lie in \
             no session now"
        );
    }
    Ok(())
}

/// Applies changes of the file and follows other processes' changes, until stopped. A file that can't be read or
/// parsed changes nothing, and is reported once.
pub async fn run(
    database: Database,
    shared: SharedCalendars,
    wanted: CalendarSettings,
    signals: Signals,
    stop: CancellationToken,
) {
    let mut woken = signals.wake.clone();
    // The stamp that was applied, and the one of the previous check: a file that is still being written is left
    // alone.
    let (mut dealt_with, mut before) = (None, None);
    let mut asked = std::time::Instant::now();
    loop {
        let mut signalled = false;
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(CHECK_EVERY) => {}
            changed = woken.changed() => {
                if changed.is_err() {
                    return;
                }
                signalled = true;
            }
        }
        if let Some(path) = &wanted.file {
            let now = stamp(path);
            if now != dealt_with && now == before && reload(&database, &shared, path, &wanted).await {
                dealt_with = now;
            }
            before = now;
        }
        if signalled || asked.elapsed() >= signals.period(TICK, TICK_ALONE) {
            asked = std::time::Instant::now();
            if let Err(error) = follow(&database, &shared).await {
                tracing::warn!(%error, "Could not check for changed sessions; the next tick tries again");
            }
        }
    }
}

/// Detects a changed file: its modification time and length.
fn stamp(path: &Path) -> Option<(SystemTime, u64)> {
    let file = std::fs::metadata(path).ok()?;
    Some((file.modified().ok()?, file.len()))
}

/// Returns whether the file in its present state has been handled.
async fn reload(database: &Database, shared: &SharedCalendars, path: &Path, wanted: &CalendarSettings) -> bool {
    let exceptions = match read(path) {
        Ok(exceptions) => exceptions,
        Err(error) => {
            tracing::error!("Sessions are unchanged: {error:#}");
            return true;
        }
    };
    let applied = async {
        apply(database, wanted, exceptions.clone()).await?;
        follow(database, shared).await
    };
    match applied.await {
        Ok(_) => true,
        Err(error) => {
            tracing::error!(%error, "Changed sessions could not be applied; trying again");
            false
        }
    }
}
