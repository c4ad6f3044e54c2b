//! The lock that lets one `up` at a time run on a data directory.

use std::{
    fs::{self, File},
    io::Write as _,
    path::Path,
    sync::Arc,
};

use anyhow::{Context as _, bail};
use uuid::Uuid;

/// The right to run `up` on a data directory, for one process at a time. The kernel releases it when the process ends.
#[derive(Debug)]
pub(crate) struct Instance {
    /// The data directory's id, the same at every start. Names of workers begin with it.
    pub(crate) name: String,
    _lock: File,
}

impl Instance {
    /// `None` if another process holds it.
    pub(crate) fn acquire(data_dir: &Path) -> anyhow::Result<Option<Self>> {
        fs::create_dir_all(data_dir).with_context(|| {
            format!("the data directory {} can't be created: choose another with --data-dir", data_dir.display())
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
        let stored = fs::read_to_string(&path).unwrap_or_default();
        let name = match stored.trim().parse::<Uuid>() {
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

    /// The same, as an error if another process holds it.
    pub(crate) fn acquire_or_fail(data_dir: &Path) -> anyhow::Result<Self> {
        match Self::acquire(data_dir)? {
            Some(instance) => Ok(instance),
            None => bail!(
                "`barkeep up` is already running on {}: stop it, or choose another directory with --data-dir",
                data_dir.display()
            ),
        }
    }

    /// A new name for this process's workers.
    pub(crate) fn worker_name(&self) -> Arc<str> {
        format!("{}/{}", self.name, Uuid::new_v4().simple()).into()
    }
}
