//! Creates a new cluster.
//! In: binaries and paths. Out: `data`, complete or not at all.

use std::io::{self, Write};
use std::os::unix::fs::{PermissionsExt, lchown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::ClusterError;
use crate::address::ROLE;
use crate::binaries::Binaries;
use crate::paths::ClusterPaths;

/// Prefix of directories that are being filled; under the start lock every one of them is a leftover.
const UNFINISHED_PREFIX: &str = "new-";

/// How often to try to remove a leftover that is still being written to, every 20 ms.
const REMOVE_ATTEMPTS: u32 = 50;

/// It takes 1 s, and on a slow disk perhaps a minute.
const TIMEOUT: Duration = Duration::from_secs(300);

/// Appended to `postgresql.conf`, where its owner may change it.
const CONF: &str = "\n# Barkeep's private server: no TCP, and a socket for its owner alone.\n\
    listen_addresses = ''\nunix_socket_permissions = 0700\ntimezone = 'UTC'\nlog_timezone = 'UTC'\n";

/// `pg_hba.conf`: the superuser by the operating system's user, as `pg_ident.conf` maps it; roles made later by password.
const HBA: &str = "# TYPE  DATABASE  USER  METHOD\n\
    local   all       barkeep   peer map=barkeep\n\
    local   all       all       scram-sha-256\n";

/// The major version of the cluster, from its `PG_VERSION`; `None` if there is no cluster yet.
///
/// # Errors
/// [`ClusterError::NotACluster`] for a directory with other files in it.
pub(crate) fn cluster_version(paths: &ClusterPaths) -> Result<Option<u32>, ClusterError> {
    let data = paths.data();
    let path = data.join("PG_VERSION");
    match std::fs::read_to_string(&path) {
        Ok(text) => text.trim().parse().map(Some).map_err(|_| ClusterError::NotACluster { data }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let is_empty = std::fs::read_dir(&data).map_or(true, |mut entries| entries.next().is_none());
            if is_empty { Ok(None) } else { Err(ClusterError::NotACluster { data }) }
        }
        Err(error) => Err(ClusterError::at("read", path)(error)),
    }
}

/// Removes what an interrupted start left behind. Call it under the start lock.
///
/// An `initdb` that outlived its Barkeep may still be writing there, so it may take several attempts; once its directory is
/// gone it exits.
pub(crate) async fn clear_leftovers(paths: &ClusterPaths) {
    let entries = std::fs::read_dir(paths.dir()).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(UNFINISHED_PREFIX)) {
        let path = entry.path();
        let mut attempts = 0;
        while let Err(error) = tokio::fs::remove_dir_all(&path).await {
            attempts += 1;
            if error.kind() != io::ErrorKind::DirectoryNotEmpty || attempts == REMOVE_ATTEMPTS {
                tracing::warn!(%error, path = %path.display(), "Could not remove a directory that an interrupted start left behind");
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Runs `initdb` in another directory and renames that to `data`. Call it under the start lock.
///
/// # Errors
/// [`ClusterError::Initdb`] with its output; nothing is left behind then.
pub(crate) async fn create(paths: &ClusterPaths, binaries: &Binaries, durable: bool) -> Result<(), ClusterError> {
    let dir = paths.dir();
    let prefix = format!("{UNFINISHED_PREFIX}data-");
    let folder = tempfile::Builder::new().prefix(&prefix).tempdir_in(dir);
    let folder = folder.map_err(ClusterError::at("create a directory in", dir))?;
    let path = folder.path();
    set_mode(path, 0o700)?;
    chown_to_server_user(paths, path)?;

    let mut command = tokio::process::Command::from(paths.account().command(&binaries.initdb()));
    command.arg("-D").arg(path).args(["-U", ROLE, "--encoding=UTF8", "--locale=C"]);
    command
        .args(["--auth-local=peer", "--auth-host=reject"])
        .arg(if durable { "--data-checksums" } else { "--no-sync" })
        .kill_on_drop(true);
    let data = paths.data();
    let failed = |output| ClusterError::Initdb { data: data.clone(), output };
    match tokio::time::timeout(TIMEOUT, command.output()).await {
        Err(_) => return Err(failed(format!("it took more than {} s", TIMEOUT.as_secs()))),
        Ok(Err(error)) => return Err(failed(error.to_string())),
        Ok(Ok(output)) if !output.status.success() => {
            return Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
        }
        Ok(Ok(_)) => {}
    }

    let conf = path.join("postgresql.conf");
    append(&conf, CONF).map_err(ClusterError::at("write", &conf))?;
    replace(paths, &path.join("pg_hba.conf"), HBA)?;
    std::fs::rename(path, &data).map_err(ClusterError::at("rename the new cluster to", &data))?;
    // It was renamed, so there is nothing for the guard to remove.
    let _ = folder.keep();
    sync(dir).map_err(ClusterError::at("write", dir))
}

/// Writes who may connect: the user that the server runs as, and root. Written at every start, since users can be renamed.
pub(crate) fn write_user_map(paths: &ClusterPaths) -> Result<(), ClusterError> {
    let mut text = String::from("# Written by Barkeep at every start.\n# MAPNAME  SYSTEM-USERNAME  PG-USERNAME\n");
    for user in ["root", &paths.account().name] {
        text.push_str(&format!("{ROLE} \"{user}\" {ROLE}\n"));
    }
    replace(paths, &paths.data().join("pg_ident.conf"), &text)
}

fn append(path: &Path, text: &str) -> io::Result<()> {
    let mut file = std::fs::OpenOptions::new().append(true).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Writes a new file and renames it, so that a symbolic link at `path` isn't followed.
fn replace(paths: &ClusterPaths, path: &Path, text: &str) -> Result<(), ClusterError> {
    let folder = path.parent().map_or_else(PathBuf::new, Path::to_owned);
    let write = || {
        let mut file = tempfile::NamedTempFile::new_in(&folder)?;
        file.write_all(text.as_bytes())?;
        if paths.account().is_other() {
            std::os::unix::fs::fchown(&file, Some(paths.account().uid), Some(paths.account().gid))?;
        }
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    write().map_err(ClusterError::at("write", path))
}

fn chown_to_server_user(paths: &ClusterPaths, path: &Path) -> Result<(), ClusterError> {
    if !paths.account().is_other() {
        return Ok(());
    }
    lchown(path, Some(paths.account().uid), Some(paths.account().gid))
        .map_err(ClusterError::at("change the owner of", path))
}

fn set_mode(path: &Path, mode: u32) -> Result<(), ClusterError> {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
        .map_err(ClusterError::at("set the mode of", path))
}

fn sync(folder: &Path) -> io::Result<()> {
    std::fs::File::open(folder)?.sync_all()
}
