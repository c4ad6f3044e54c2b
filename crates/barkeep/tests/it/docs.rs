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

#[test]
fn every_test_that_holds_what_becomes_of_dirty_data_exists() {
    let text = fs::read_to_string(root().join("docs/data-quality.md")).unwrap();
    let mut known = BTreeSet::new();
    functions(&root().join("crates"), &mut known);
    // A test's name is a sentence; columns and modules are shorter.
    let named = text.split('`').skip(1).step_by(2).filter(|name| name.matches('_').count() > 3 && !name.contains('/'));
    let named: Vec<&str> = named.collect();
    assert!(named.len() > 20, "{named:?}");
    for test in named {
        assert!(known.contains(test), "there is no test {test}");
    }
}

#[test]
fn the_pages_own_script_stays_small() {
    let lines: usize = fs::read_dir(root().join("web"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "js"))
        .map(|path| fs::read_to_string(path).unwrap().lines().count())
        .sum();
    assert!((300..1_500).contains(&lines), "{lines}");
}

#[test]
fn the_pictures_of_the_readme_are_there() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let named: Vec<&str> = readme.split("](docs/").skip(1).map(|rest| rest.split(')').next().unwrap()).collect();
    assert!(named.len() > 5, "{named:?}");
    for name in named {
        assert!(root().join("docs").join(name).is_file(), "{name}");
    }
}
