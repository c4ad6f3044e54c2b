//! A directory in memory for the tests' server.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use ::cluster::ClusterSettings;

/// Linux's directory of files in memory.
const SHARED_MEMORY: &str = "/dev/shm";

/// Templates, some dozen databases and their WAL take less than one GiB.
const REQUIRED_BYTES: u64 = 4 << 30;

/// Settings for a cluster in memory, one per source tree; `None` if there is no such directory, or too little space in it.
pub(crate) fn cluster_settings(from_npm: bool) -> Option<ClusterSettings> {
    let stat = rustix::fs::statvfs(SHARED_MEMORY).ok()?;
    if stat.f_bavail.saturating_mul(stat.f_frsize) < REQUIRED_BYTES {
        return None;
    }
    let uid = rustix::process::getuid().as_raw();
    let base = own_directory(&Path::new(SHARED_MEMORY).join(format!("barkeep-tests-{uid}")), uid)?;
    let mut hasher = DefaultHasher::new();
    (env!("CARGO_MANIFEST_DIR"), from_npm).hash(&mut hasher);
    let mut settings = ClusterSettings::new(base.join(format!("{:016x}", hasher.finish())));
    settings.root_base = base.join("server");
    Some(settings)
}

/// The directory, which is created if it doesn't exist. `None` if it belongs to another user, since everybody can create one
/// there. Everybody can enter it, since root's server runs as another user; the directories in it are closed.
fn own_directory(folder: &Path, uid: u32) -> Option<PathBuf> {
    // An existing one is checked below.
    let _ = std::fs::DirBuilder::new().mode(0o711).create(folder);
    let metadata = folder.symlink_metadata().ok()?;
    if !metadata.is_dir() || metadata.uid() != uid || metadata.mode() & 0o022 != 0 {
        return None;
    }
    std::fs::set_permissions(folder, PermissionsExt::from_mode(0o711)).ok()?;
    Some(folder.to_owned())
}
