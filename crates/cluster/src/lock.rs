//! Locks between processes: files in the cluster's directory, locked with flock, which the kernel releases however a process ends.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, Mode, OFlags};

use crate::ClusterError;
use crate::paths::ClusterPaths;

/// As long as a first start may take if npm downloads the binaries over a slow line.
const LOCK_TIMEOUT: Duration = Duration::from_secs(600);

#[derive(Debug)]
pub(crate) struct Lock {
    file: OwnedFd,
    path: PathBuf,
}

impl Lock {
    /// Waits until no other process holds the lock.
    ///
    /// Cancel-safe: dropping the future leaves the lock alone.
    pub(crate) async fn exclusive(path: &Path, paths: &ClusterPaths) -> Result<Self, ClusterError> {
        let lock = Self::open(path, paths)?;
        let begun = Instant::now();
        while !lock.try_lock(FlockOperation::NonBlockingLockExclusive)? {
            if begun.elapsed() > LOCK_TIMEOUT {
                return Err(ClusterError::Busy { path: path.to_owned(), waited: LOCK_TIMEOUT });
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(lock)
    }

    /// A lock that several processes can hold. Taken only under the exclusive start lock, as is every [`Lock::try_upgrade`],
    /// so that it never has to wait.
    pub(crate) fn shared(path: &Path, paths: &ClusterPaths) -> Result<Self, ClusterError> {
        let lock = Self::open(path, paths)?;
        if lock.try_lock(FlockOperation::NonBlockingLockShared)? {
            Ok(lock)
        } else {
            Err(ClusterError::Busy { path: path.to_owned(), waited: Duration::ZERO })
        }
    }

    /// Turns a shared lock into an exclusive one if no other process holds it; otherwise the lock is lost.
    pub(crate) fn try_upgrade(&mut self) -> Result<bool, ClusterError> {
        self.try_lock(FlockOperation::NonBlockingLockExclusive)
    }

    /// Doesn't follow symbolic links, since the directory may belong to a less privileged user.
    fn open(path: &Path, paths: &ClusterPaths) -> Result<Self, ClusterError> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR)
            .map_err(|errno| ClusterError::at("open the lock", path)(errno.into()))?;
        paths.chown_to_server_user(&file, path)?;
        Ok(Self { file, path: path.to_owned() })
    }

    fn try_lock(&self, operation: FlockOperation) -> Result<bool, ClusterError> {
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
