//! No test sleeps for a time or holds one against a limit: a busy machine must not decide whether a promise is kept.

use std::path::{Path, PathBuf};

/// What a test waits with, and why there.
const ALLOWED: [(&str, &str); 7] = [
    ("barkeep/tests/it/running/waiting.rs", "waits for conditions; its limit is for what would never come"),
    ("barkeep/tests/browser/browser.rs", "the same for what a page shows"),
    ("store/tests/it/site.rs", "the same"),
    ("cluster/tests/it/site.rs", "the same"),
    ("engine/tests/it/stages.rs", "the same"),
    ("testkit/tests/it/main.rs", "the same, for a server that stops after the last test process"),
    ("testkit/tests/it/clocks.rs", "names what it looks for"),
];

/// On the line itself, with the reason: where a clock is asked and a slow machine can't make the answer wrong.
const REASON: &str = "// by the clock: ";

fn rust_files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().map(Result::unwrap) {
        match entry.path() {
            path if path.is_dir() => rust_files(&path, into),
            path if path.extension().is_some_and(|extension| extension == "rs") => into.push(path),
            _ => {}
        }
    }
}

/// The part of a file that is tests: all of it, or what follows `cfg(test)`.
fn tests_in(path: &Path, text: &str) -> (usize, String) {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    if path.components().any(|part| part.as_os_str() == "tests") || name == "tests" || name.ends_with("_tests") {
        return (0, text.to_owned());
    }
    match text.find("#[cfg(test)]") {
        Some(at) => (text[..at].lines().count(), text[at..].to_owned()),
        None => (0, String::new()),
    }
}

#[test]
fn no_test_goes_by_the_clock() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&crates).unwrap().map(Result::unwrap) {
        rust_files(&entry.path().join("src"), &mut files);
        rust_files(&entry.path().join("tests"), &mut files);
    }
    assert!(files.len() > 200, "{} files", files.len());
    let mut wrong = Vec::new();
    for file in &files {
        let name = file.strip_prefix(&crates).unwrap().to_string_lossy().into_owned();
        if ALLOWED.iter().any(|(allowed, _)| *allowed == name) {
            continue;
        }
        let text = std::fs::read_to_string(file).unwrap();
        let (before, tests) = tests_in(file, &text);
        for (n, line) in tests.lines().enumerate() {
            let asks = ["sleep(", ".elapsed()", "pg_sleep"].iter().any(|word| line.contains(word));
            if asks && !line.contains(REASON) {
                wrong.push(format!("{name}:{}: {}", before + n + 1, line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "wait for what is meant, or hold what was done instead of how long it took: {wrong:#?}");
    for (file, _) in ALLOWED {
        assert!(crates.join(file).exists(), "{file} is gone");
    }
}
