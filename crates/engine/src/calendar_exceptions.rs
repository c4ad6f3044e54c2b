//! Sessions that differ from the rules: from the file that the setting `sessions` names into the database, and from
//! there to every process.
//!
//! In: the file, looked at every few seconds, and the edition in the database. Out: the exceptions that this process
//! goes by. Holds: what was asked for or made by one edition is never stored or planned under another.

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

/// A look at the file's time, and at its content where that has changed.
const LOOK: Duration = Duration::from_secs(2);
/// Without a signal the database is asked this often whether another process has put others in force; and this often
/// where no signals come.
const TICK: Duration = Duration::from_secs(60);
const TICK_ALONE: Duration = Duration::from_secs(5);

/// How often a list is applied that has to give way to other transactions.
const GIVE_WAY: u32 = 3;

/// Goes by what is in force in the database, and returns it.
///
/// # Errors
/// Where the database is gone or not migrated.
pub async fn follow(database: &Database, shared: &SharedCalendars) -> Result<Edition, StoreError> {
    let here = shared.edition();
    if market_sessions::edition(database).await? == here.number {
        return Ok(here);
    }
    let mut tx = database.begin().await?;
    Ok(adopt(shared, market_sessions::read(&mut tx).await?))
}

/// The same in a transaction until whose end it stays so.
pub(crate) async fn lock_edition(tx: &mut ServiceTx, shared: &SharedCalendars) -> Result<(), StoreError> {
    if market_sessions::lock_shared(tx).await? != shared.edition().number {
        adopt(shared, market_sessions::read(tx).await?);
    }
    Ok(())
}

/// Fails where something that was made by `made_by` would be stored under another edition.
pub(crate) async fn ensure_edition(tx: &mut ServiceTx, made_by: i64) -> Result<(), StoreError> {
    if market_sessions::lock_shared(tx).await? == made_by { Ok(()) } else { Err(StoreError::SessionsChanged) }
}

fn adopt(shared: &SharedCalendars, edition: Edition) -> Edition {
    let exceptions = edition.calendars.exceptions();
    let (days, hours) = (exceptions.len(), exceptions.hours().as_str());
    shared.set(edition.clone());
    tracing::info!(days, hours, "The calendars have {days} exceptions; stocks are kept in {hours} hours");
    edition
}

/// Reads the file, whole.
pub fn read(path: &Path) -> anyhow::Result<Exceptions> {
    let told = || format!("the file of sessions {} can't be read", path.display());
    let text = std::fs::read_to_string(path).with_context(told)?;
    Exceptions::parse(&text).map_err(|error| anyhow::anyhow!("the file of sessions {}: {error}", path.display()))
}

/// What the settings say of sessions. What they don't say stays as the database has it.
#[derive(Clone, Debug, Default)]
pub struct CalendarSettings {
    /// A file of days on which markets close, or close early, beyond what the calendars know.
    pub file: Option<PathBuf>,
    pub hours: Option<StockHours>,
}

/// For a start: puts what the settings say in force, and goes by what is. What goes wrong with the file ends the start.
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
    let mut tries = GIVE_WAY;
    let replaced = loop {
        match market_sessions::apply(database, exceptions).await {
            Err(error) if error.gave_way() && tries > 1 => tries -= 1,
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

/// Keeps going by the file and by what other processes put in force, until stopped. A file that can't be read or meant
/// changes nothing, and is complained of once.
pub async fn run(
    database: Database,
    shared: SharedCalendars,
    wanted: CalendarSettings,
    signals: Signals,
    stop: CancellationToken,
) {
    let mut woken = signals.wake.clone();
    // Dealt with, and at the last look: a file that is just being written is left alone.
    let (mut dealt_with, mut before) = (None, None);
    let mut asked = std::time::Instant::now();
    loop {
        let mut signalled = false;
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
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
                tracing::warn!(%error, "Whether sessions have changed could not be asked; the next tick tries again");
            }
        }
    }
}

/// What tells a changed file: when it was written, and how long it is.
fn stamp(path: &Path) -> Option<(SystemTime, u64)> {
    let file = std::fs::metadata(path).ok()?;
    Some((file.modified().ok()?, file.len()))
}

/// Whether the file as it is now has been dealt with.
async fn reload(database: &Database, shared: &SharedCalendars, path: &Path, wanted: &CalendarSettings) -> bool {
    let exceptions = match read(path) {
        Ok(exceptions) => exceptions,
        Err(error) => {
            tracing::error!("Sessions stay as they are: {error:#}");
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
            tracing::error!(%error, "Changed sessions could not be put in force; trying again");
            false
        }
    }
}
