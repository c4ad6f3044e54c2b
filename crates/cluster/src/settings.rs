//! The settings of the private cluster.

use std::path::{Path, PathBuf};

/// How and where the private cluster runs.
#[derive(Clone, Debug)]
pub struct ClusterSettings {
    /// Barkeep's data directory, which is created if it doesn't exist.
    pub data_dir: PathBuf,
    /// `PG_BIN`: the directory with `initdb` and `postgres`. If it is set, nothing else is searched.
    pub pg_bin: Option<PathBuf>,
    pub search: BinarySearch,
    /// `false` is for tests only: commits don't survive a crash of the machine, pages made so have no checksums, and more
    /// connections are allowed.
    pub durable: bool,
    /// The directory of the clusters of root's data directories: Postgres can't run as root, and the user it runs as instead
    /// can't enter root's home directory. Owned by root; everybody must be able to enter it and the directories above it.
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

/// Where Postgres binaries are searched, in the order of the fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BinarySearch {
    /// `/usr/lib/postgresql`, Homebrew, `PATH`.
    pub machine: bool,
    /// A directory in which `npm ci` may have been run: `web` of the source tree that Barkeep was built from.
    pub web_tree: Option<PathBuf>,
    /// The npm program that downloads the package if nothing else was found.
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
