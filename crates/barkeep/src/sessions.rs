//! Sessions that differ from the rules: from the file that the setting `sessions` names into the database, and from
//! there to every process.
//!
//! In: the file, looked at every few seconds, and the edition in the database. Out: the exceptions that this process
//! goes by. Holds: what was asked for or made by one edition is never stored or planned under another.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicI64, Ordering},
    time::{Duration, SystemTime},
};

use anyhow::Context as _;
use market::calendar::{Exceptions, StockHours};
use store::{
    Database, ServiceTx, StoreError,
    events::Signals,
    sessions::{self, Edition},
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

/// Of what this process goes by. Written after that, so that it is never ahead of it.
static EDITION: AtomicI64 = AtomicI64::new(0);

/// The edition that this process goes by: to be asked before anything is computed that is to be stored.
pub(crate) fn edition() -> i64 {
    EDITION.load(Ordering::SeqCst)
}

/// Goes by what is in force in the database. Returns the edition.
pub(crate) async fn follow(database: &Database) -> Result<i64, StoreError> {
    let here = edition();
    if sessions::edition(database).await? == here {
        return Ok(here);
    }
    let mut tx = database.begin().await?;
    Ok(adopt(sessions::read(&mut tx).await?))
}

/// The same in a transaction until whose end it stays so.
pub(crate) async fn hold(tx: &mut ServiceTx) -> Result<(), StoreError> {
    if sessions::lock_shared(tx).await? != edition() {
        adopt(sessions::read(tx).await?);
    }
    Ok(())
}

/// Fails where something that was made by `made_by` would be stored under another edition.
pub(crate) async fn still(tx: &mut ServiceTx, made_by: i64) -> Result<(), StoreError> {
    if sessions::lock_shared(tx).await? == made_by { Ok(()) } else { Err(StoreError::SessionsChanged) }
}

fn adopt(Edition { number, exceptions }: Edition) -> i64 {
    let (days, hours) = (exceptions.len(), exceptions.hours().as_str());
    exceptions.put_in_force();
    EDITION.store(number, Ordering::SeqCst);
    tracing::info!(days, hours, "The calendars have {days} exceptions; stocks are kept in {hours} hours");
    number
}

/// Reads the file, whole.
pub(crate) fn read(path: &Path) -> anyhow::Result<Exceptions> {
    let told = || format!("the file of sessions {} can't be read", path.display());
    let text = std::fs::read_to_string(path).with_context(told)?;
    Exceptions::parse(&text).map_err(|error| anyhow::anyhow!("the file of sessions {}: {error}", path.display()))
}

/// What the settings say of sessions. What they don't say stays as the database has it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    /// A file of days on which markets close, or close early, beyond what the calendars know.
    pub(crate) file: Option<PathBuf>,
    pub(crate) hours: Option<StockHours>,
}

/// For a start: puts what the settings say in force, and goes by what is. What goes wrong with the file ends the start.
pub(crate) async fn begin(database: &Database, wanted: &Wanted) -> anyhow::Result<()> {
    match &wanted.file {
        Some(path) => apply(database, wanted, read(path)?).await?,
        None if wanted.hours.is_some() => {
            let in_force = sessions::read(&mut database.begin().await?).await?.exceptions;
            apply(database, wanted, in_force).await?;
        }
        None => {}
    }
    follow(database).await?;
    Ok(())
}

async fn apply(database: &Database, wanted: &Wanted, days: Exceptions) -> Result<(), StoreError> {
    let hours = match wanted.hours {
        Some(hours) => hours,
        None => sessions::read(&mut database.begin().await?).await?.exceptions.hours(),
    };
    let exceptions = &days.with_hours(hours);
    let mut tries = GIVE_WAY;
    let replaced = loop {
        match sessions::apply(database, exceptions).await {
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
pub(crate) async fn keep_up(database: Database, wanted: Wanted, signals: Signals, stop: CancellationToken) {
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
            if now != dealt_with && now == before && look(&database, path, &wanted).await {
                dealt_with = now;
            }
            before = now;
        }
        if signalled || asked.elapsed() >= signals.period(TICK, TICK_ALONE) {
            asked = std::time::Instant::now();
            if let Err(error) = follow(&database).await {
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
async fn look(database: &Database, path: &Path, wanted: &Wanted) -> bool {
    let exceptions = match read(path) {
        Ok(exceptions) => exceptions,
        Err(error) => {
            tracing::error!("Sessions stay as they are: {error:#}");
            return true;
        }
    };
    let applied = async {
        apply(database, wanted, exceptions.clone()).await?;
        follow(database).await
    };
    match applied.await {
        Ok(_) => true,
        Err(error) => {
            tracing::error!(%error, "Changed sessions could not be put in force; trying again");
            false
        }
    }
}
