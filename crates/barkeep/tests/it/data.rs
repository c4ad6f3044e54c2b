//! Minutes to serve in a provider's place: the project's own, and others where they are.

use std::path::{Path, PathBuf};

/// The project's own minutes, and what lies beside them: `crates/simulator/tests/data/README.md` says what they are.
pub(crate) fn made_up(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../simulator/tests/data").join(path)
}

/// A file or folder beside the project, where it is. Tests use it besides what the project carries itself.
pub(crate) fn shared(path: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared").join(path);
    path.exists().then_some(path)
}
