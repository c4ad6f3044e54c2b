//! Packages of npm that tests run, exactly as their lock file says.

use std::{path::Path, process::Command};

use tempfile::TempDir;

/// A folder with the packages and the scripts that use them. `None` where there is no npm; on CI nothing may be left out.
pub(crate) fn packages() -> Option<TempDir> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/npm");
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(&here).unwrap().map(Result::unwrap) {
        if entry.path().is_file() {
            std::fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
        }
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(folder.path());
    match npm.output() {
        Ok(output) if output.status.success() => Some(folder),
        other => {
            assert!(std::env::var_os("CI").is_none(), "CI needs npm for this test: {other:?}");
            eprintln!("left out: npm could not bring the packages that this test runs");
            None
        }
    }
}
