//! What ARCHITECTURE.md says of the code's shape: which crate may use which, and that modules don't import in circles.
//!
//! In: the workspace's own sources and manifests. Holds for every crate under `crates`, whichever there are.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails may panic")]

mod circles;
mod dependencies;
mod modules;

use std::path::{Path, PathBuf};

use circles::{Graph, circles};

/// Crates whose circles are still to be cut. Names without the prefix `barkeep-`.
const NOT_YET: &[&str] = &[];

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The folders under `crates`, by name.
fn crates() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(workspace().join("crates")).unwrap();
    let mut folders: Vec<PathBuf> =
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.join("Cargo.toml").is_file()).collect();
    folders.sort();
    folders
}

fn name_of(folder: &Path) -> String {
    let name = folder.file_name().unwrap().to_str().unwrap();
    name.strip_prefix("barkeep-").unwrap_or(name).to_owned()
}

/// Each file is in one circle at most with the module that it belongs to: what a reader has to hold in mind together is
/// then one folder. Only what is built into the product counts, not `#[cfg(test)]`.
#[test]
fn no_circle_of_imports_is_longer_than_a_module_and_its_own_children() {
    let mut found = Vec::new();
    let mut files = 0;
    for folder in crates() {
        for root in ["src/lib.rs", "src/main.rs"].map(|root| folder.join(root)).into_iter().filter(|r| r.is_file()) {
            let graph = Graph::of(&modules::read(&root));
            files += graph.len();
            if !NOT_YET.contains(&name_of(&folder).as_str()) {
                found.extend(circles(&graph).into_iter().map(|circle| format!("{}: {circle}", name_of(&folder))));
            }
        }
    }
    assert!(files > 100, "only {files} files were read");
    assert!(found.is_empty(), "modules that import one another in a circle:\n{}", found.join("\n"));
}

/// So that a clone stays small, and nothing that somebody else made gets in unnoticed.
#[test]
fn what_tests_carry_is_small_and_says_how_it_was_made() {
    fn size(folder: &Path) -> u64 {
        let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
        entries.map(|e| if e.path().is_dir() { size(&e.path()) } else { e.metadata().unwrap().len() }).sum()
    }
    let carried = crates().into_iter().map(|folder| folder.join("tests/data")).filter(|data| data.is_dir());
    let mut bytes = 0;
    for data in carried {
        assert!(data.join("README.md").is_file(), "{} says nothing of its files", data.display());
        bytes += size(&data);
    }
    assert!((1..1 << 20).contains(&bytes), "{bytes} bytes");
}
