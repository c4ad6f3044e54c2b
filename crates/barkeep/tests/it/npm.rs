//! Packages of npm that tests run, exactly as their lock file says: fetched once, and kept in cargo's target folder.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use tempfile::TempDir;

/// A folder with the packages and the scripts that use them. `None` where there is no npm; on CI nothing may be left out.
pub(crate) fn packages() -> Option<TempDir> {
    static INSTALLED: OnceLock<Option<PathBuf>> = OnceLock::new();
    let installed = INSTALLED.get_or_init(install).as_ref()?;
    let folder = tempfile::tempdir().unwrap();
    copy_into(folder.path());
    std::os::unix::fs::symlink(installed, folder.path().join("node_modules")).unwrap();
    Some(folder)
}

/// What the packages are named by, and what uses them.
fn copy_into(folder: &Path) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/npm");
    for entry in std::fs::read_dir(&here).unwrap().map(Result::unwrap) {
        if entry.path().is_file() {
            std::fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
        }
    }
}

/// Where the packages of this lock file are, fetched if they aren't there yet.
fn install() -> Option<PathBuf> {
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/npm/package-lock.json");
    let mut hasher = DefaultHasher::new();
    std::fs::read(lock).unwrap().hash(&mut hasher);
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("npm-{:016x}", hasher.finish()));
    // By this name: from where a module really lies, node looks for the others in folders that are called so.
    let kept = home.join("node_modules");
    if kept.exists() {
        return Some(kept);
    }
    // Beside it, then moved in one step: one that was interrupted is no packages.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    copy_into(folder.path());
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(folder.path());
    match npm.output() {
        Ok(output) if output.status.success() => {
            std::fs::create_dir_all(&home).unwrap();
            // Another process may have been faster.
            let moved = std::fs::rename(folder.path().join("node_modules"), &kept);
            assert!(moved.is_ok() || kept.exists(), "{moved:?}");
            Some(kept)
        }
        other => {
            assert!(std::env::var_os("CI").is_none(), "CI needs npm for this test: {other:?}");
            eprintln!("left out: npm could not bring the packages that this test runs");
            None
        }
    }
}
