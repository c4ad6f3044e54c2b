//! A place for the tests' server in memory.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use ::cluster::ClusterSettings;

/// Where Linux keeps files in memory.
const MEMORY: &str = "/dev/shm";

/// Templates, some dozen databases and their log take less than one.
const ENOUGH: u64 = 4 << 30;

/// Settings for a cluster in memory; `None` where there is no such place, or too little room in it. One for each source
/// tree.
pub(crate) fn settings(from_npm: bool) -> Option<ClusterSettings> {
    let stat = rustix::fs::statvfs(MEMORY).ok()?;
    if stat.f_bavail.saturating_mul(stat.f_frsize) < ENOUGH {
        return None;
    }
    let uid = rustix::process::getuid().as_raw();
    let base = own_folder(&Path::new(MEMORY).join(format!("barkeep-tests-{uid}")), uid)?;
    let mut hasher = DefaultHasher::new();
    (env!("CARGO_MANIFEST_DIR"), from_npm).hash(&mut hasher);
    let mut settings = ClusterSettings::new(base.join(format!("{:016x}", hasher.finish())));
    settings.root_base = base.join("server");
    Some(settings)
}

/// The folder, made where it isn't there. `None` where it is somebody else's: everybody may put one there. Open to be
/// walked through, since root's server runs as another user; what lies in it is closed.
fn own_folder(folder: &Path, uid: u32) -> Option<PathBuf> {
    // An existing one is looked at below.
    let _ = std::fs::DirBuilder::new().mode(0o711).create(folder);
    let metadata = folder.symlink_metadata().ok()?;
    if !metadata.is_dir() || metadata.uid() != uid || metadata.mode() & 0o022 != 0 {
        return None;
    }
    std::fs::set_permissions(folder, PermissionsExt::from_mode(0o711)).ok()?;
    Some(folder.to_owned())
}
