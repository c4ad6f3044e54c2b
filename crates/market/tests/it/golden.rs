//! Finds and reads golden files.

use std::path::PathBuf;

/// The golden files' folder, where there is one.
pub(crate) fn folder() -> Option<PathBuf> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/golden"));
    if !folder.is_dir() {
        eprintln!("Left out: no golden files in {}", folder.display());
        return None;
    }
    Some(folder)
}

/// The rows of a golden CSV file without its header; `None` where there are no golden files.
pub(crate) fn rows(file: &str) -> Option<Vec<csv::StringRecord>> {
    let mut reader = csv::Reader::from_path(folder()?.join(file)).expect(file);
    let rows: Vec<_> = reader.records().collect::<Result<_, _>>().expect(file);
    assert!(!rows.is_empty(), "{file} has no rows");
    Some(rows)
}
