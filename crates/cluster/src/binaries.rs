//! Finds `initdb` and `postgres`: in `PG_BIN`, else on the machine, else in the npm package.
//! Holds: what is returned was run, as the user who will run it, and said its version.

use std::path::{Path, PathBuf};

use crate::account::Account;
use crate::place::Place;
use crate::{ClusterError, ClusterSettings, npm};

/// The SQL is written for this version and later ones.
const OLDEST_MAJOR: u32 = 15;

/// Where Debian's and Ubuntu's packages put each version: `<major>/bin`.
const DEBIAN: &str = "/usr/lib/postgresql";

/// Homebrew's, on Apple's and on Intel's processors: `postgresql@<major>/bin`.
const HOMEBREW: [&str; 2] = ["/opt/homebrew/opt", "/usr/local/opt"];

/// A folder with `initdb` and `postgres` of one version.
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

    /// Runs what is in `bin` as `account`.
    ///
    /// # Errors
    /// In words: what is wrong with it.
    async fn probe(bin: PathBuf, account: &Account) -> Result<Self, String> {
        let binaries = Self { major: 0, bin };
        version(&binaries.initdb(), account).await?;
        let version = version(&binaries.postgres(), account).await?;
        match major_in(&version) {
            Some(major) if major >= OLDEST_MAJOR => Ok(Self { major, ..binaries }),
            Some(major) => Err(format!("it has version {major}")),
            None => Err(format!("its postgres calls itself {version:?}")),
        }
    }
}

/// Binaries of `wanted`'s major version, which an existing cluster needs; where it is `None`, of the newest in the first
/// place that has any.
///
/// # Errors
/// [`ClusterError::PgBin`], [`ClusterError::NoBinaries`], [`ClusterError::NoBinariesOfMajor`], and what fetching the npm
/// package meets.
pub(crate) async fn find(
    settings: &ClusterSettings,
    place: &Place,
    wanted: Option<u32>,
) -> Result<Binaries, ClusterError> {
    let fits = |binaries: &Binaries| wanted.is_none_or(|major| binaries.major == major);
    if let Some(bin) = &settings.pg_bin {
        let refused = |reason| ClusterError::PgBin { path: bin.clone(), reason };
        let bin = std::path::absolute(bin).map_err(|error| refused(error.to_string()))?;
        let binaries = Binaries::probe(bin, place.account()).await.map_err(refused)?;
        return if fits(&binaries) {
            Ok(binaries)
        } else {
            let needed = wanted.unwrap_or_default();
            let data = place.data();
            Err(refused(format!("it has version {}, and {} needs {needed}", binaries.major, data.display())))
        };
    }

    let mut tried = Vec::new();
    let machine = if settings.search.machine { on_this_machine() } else { Vec::new() };
    for bin in machine {
        let shown = bin.display().to_string();
        match Binaries::probe(bin, place.account()).await {
            Ok(binaries) if fits(&binaries) => return Ok(binaries),
            Ok(binaries) => tried.push(format!("{shown} has version {}", binaries.major)),
            Err(reason) => tried.push(format!("{shown}: {reason}")),
        }
    }
    if wanted.is_none_or(|major| major == npm::MAJOR) {
        match npm::bin(&settings.search, place).await? {
            npm::Found::Bin(bin) => {
                let shown = bin.display().to_string();
                match Binaries::probe(bin, place.account()).await {
                    Ok(binaries) => return Ok(binaries),
                    Err(reason) => tried.push(format!("{shown}: {reason}")),
                }
            }
            npm::Found::Nothing(reason) => tried.push(reason),
        }
    }
    let tried = if tried.is_empty() { "nowhere to look".to_owned() } else { tried.join("; ") };
    Err(match wanted {
        Some(major) => ClusterError::NoBinariesOfMajor { data: place.data(), major, tried },
        None => ClusterError::NoBinaries { tried },
    })
}

/// Folders that have both programs, in the order in which they are preferred.
fn on_this_machine() -> Vec<PathBuf> {
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

/// The `bin` folders of the versions in `folder`.
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
