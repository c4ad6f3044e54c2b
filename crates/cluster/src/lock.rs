//! Locks between processes: files under the cluster's folder, locked with flock, released by the kernel when a process ends
//! in whatever way.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, Mode, OFlags};

use crate::ClusterError;
use crate::place::Place;

/// As long as a first start may take with npm fetching binaries over a slow line.
const PATIENCE: Duration = Duration::from_secs(600);

#[derive(Debug)]
pub(crate) struct Lock {
    file: OwnedFd,
    path: PathBuf,
}

impl Lock {
    /// Waits until nobody else holds the lock.
    ///
    /// Cancel-safe: dropping the future leaves the lock alone.
    pub(crate) async fn exclusive(path: &Path, place: &Place) -> Result<Self, ClusterError> {
        let lock = Self::open(path, place)?;
        let begun = Instant::now();
        while !lock.try_take(FlockOperation::NonBlockingLockExclusive)? {
            if begun.elapsed() > PATIENCE {
                return Err(ClusterError::Busy { path: path.to_owned(), waited: PATIENCE });
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(lock)
    }

    /// One of many holders. Asked for only under the exclusive start lock, as is every [`Lock::is_ours_alone`], so that it
    /// never has to wait.
    pub(crate) fn shared(path: &Path, place: &Place) -> Result<Self, ClusterError> {
        let lock = Self::open(path, place)?;
        if lock.try_take(FlockOperation::NonBlockingLockShared)? {
            Ok(lock)
        } else {
            Err(ClusterError::Busy { path: path.to_owned(), waited: Duration::ZERO })
        }
    }

    /// Turns a shared lock into an exclusive one if nobody else holds it; otherwise it is lost.
    pub(crate) fn is_ours_alone(&mut self) -> Result<bool, ClusterError> {
        self.try_take(FlockOperation::NonBlockingLockExclusive)
    }

    /// Symbolic links are not followed: the folder may belong to somebody less trusted than we are.
    fn open(path: &Path, place: &Place) -> Result<Self, ClusterError> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR)
            .map_err(|errno| ClusterError::at("open the lock", path)(errno.into()))?;
        place.give_to_owner_of_home(&file, path)?;
        Ok(Self { file, path: path.to_owned() })
    }

    fn try_take(&self, operation: FlockOperation) -> Result<bool, ClusterError> {
        loop {
            match rustix::fs::flock(&self.file, operation) {
                Ok(()) => return Ok(true),
                Err(rustix::io::Errno::WOULDBLOCK) => return Ok(false),
                Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(ClusterError::at("lock", &self.path)(errno.into())),
            }
        }
    }
}

impl Drop for Lock {
    /// Unlocks explicitly: a child between fork and exec still has the file open, and would keep the lock for that moment.
    fn drop(&mut self) {
        let _ = rustix::fs::flock(&self.file, FlockOperation::Unlock);
    }
}
