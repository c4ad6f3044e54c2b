//! This process among others on the same data directory.

use std::{
    fs::{self, File},
    io::Write as _,
    path::Path,
    sync::Arc,
};

use anyhow::{Context as _, bail};
use uuid::Uuid;

/// The right to run `up` on a data directory: one process at a time. Ends with the process, however that ends.
#[derive(Debug)]
pub(crate) struct Instance {
    /// The same from start to start: what workers of an earlier `up` here are called by.
    pub(crate) name: String,
    _lock: File,
}

impl Instance {
    /// `None`: another process has it.
    pub(crate) fn acquire(data_dir: &Path) -> anyhow::Result<Option<Self>> {
        fs::create_dir_all(data_dir).with_context(|| {
            format!("the data directory {} can't be made: choose another with --data-dir", data_dir.display())
        })?;
        let path = data_dir.join("up.lock");
        let mut lock = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .with_context(|| format!("{} can't be opened", path.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Ok(None),
            Err(fs::TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("{} can't be locked", path.display()));
            }
        }
        let held = fs::read_to_string(&path).unwrap_or_default();
        let name = match held.trim().parse::<Uuid>() {
            Ok(id) => id,
            Err(_) => {
                let id = Uuid::new_v4();
                lock.set_len(0)?;
                lock.write_all(id.to_string().as_bytes())?;
                id
            }
        };
        Ok(Some(Self { name: name.to_string(), _lock: lock }))
    }

    /// The same, where it must be had.
    pub(crate) fn acquire_or_say(data_dir: &Path) -> anyhow::Result<Self> {
        match Self::acquire(data_dir)? {
            Some(instance) => Ok(instance),
            None => bail!(
                "`barkeep up` is already running on {}: stop it, or choose another directory with --data-dir",
                data_dir.display()
            ),
        }
    }

    /// A name for this process's workers.
    pub(crate) fn worker(&self) -> Arc<str> {
        format!("{}/{}", self.name, Uuid::new_v4().simple()).into()
    }
}
