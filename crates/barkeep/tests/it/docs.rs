//! What the documents say of the tests is true.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Names of all functions in the Rust files under `folder`.
fn functions(folder: &Path, into: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            functions(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let named = text.lines().filter_map(|line| line.trim_start().split_once("fn ")?.1.split('(').next());
            into.extend(named.map(str::to_owned));
        }
    }
}

#[test]
fn every_test_that_guards_against_an_old_defect_exists() {
    let text = fs::read_to_string(root().join("docs/never-again.md")).unwrap();
    let mut known = BTreeSet::new();
    functions(&root().join("crates"), &mut known);
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert_eq!(rows.len(), 23, "a row for each defect");
    for row in rows {
        let tests: Vec<&str> = row.rsplit('|').nth(1).unwrap().split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty(), "{row}");
        for test in tests {
            assert!(known.contains(test), "there is no test {test}");
        }
    }
}
