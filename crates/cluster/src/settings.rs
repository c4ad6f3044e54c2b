//! What a caller decides about the private cluster.

use std::path::{Path, PathBuf};

/// How and where the private cluster runs.
#[derive(Clone, Debug)]
pub struct ClusterSettings {
    /// Barkeep's data directory; made where it doesn't exist.
    pub data_dir: PathBuf,
    /// `PG_BIN`: the folder with `initdb` and `postgres`. Nothing else is looked at where it is set.
    pub pg_bin: Option<PathBuf>,
    pub search: BinarySearch,
    /// `false`, for tests only: commits no longer survive a crash of the machine, and more connections are let in.
    pub durable: bool,
    /// Where the servers of root's data directories lie: Postgres refuses to run as root, and the user it runs as instead
    /// can't enter root's home. Owned by root, and every folder above it open to all.
    pub root_base: PathBuf,
}

impl ClusterSettings {
    /// The defaults for `data_dir`: binaries from anywhere, full durability.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            pg_bin: None,
            search: BinarySearch::default(),
            durable: true,
            root_base: PathBuf::from("/var/lib/barkeep"),
        }
    }
}

/// Where Postgres binaries are looked for, in the order of the fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BinarySearch {
    /// `/usr/lib/postgresql`, Homebrew, `PATH`.
    pub machine: bool,
    /// A folder in which `npm ci` may have been run: `web` of the source tree that Barkeep was built from.
    pub web_tree: Option<PathBuf>,
    /// The npm program that fetches the package where nothing else was found.
    pub npm: Option<PathBuf>,
}

impl Default for BinarySearch {
    fn default() -> Self {
        Self { machine: true, ..Self::npm_only() }
    }
}

impl BinarySearch {
    /// The npm package's binaries, whatever the machine has.
    pub fn npm_only() -> Self {
        let web_tree = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../web");
        Self { machine: false, web_tree: Some(web_tree), npm: Some(PathBuf::from("npm")) }
    }
}
