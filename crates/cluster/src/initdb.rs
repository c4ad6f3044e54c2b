//! Makes a new cluster.
//! In: binaries and a place. Out: `data`, which is there whole or not at all.

use std::io::{self, Write};
use std::os::unix::fs::{PermissionsExt, lchown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::ClusterError;
use crate::address::ROLE;
use crate::binaries::Binaries;
use crate::place::Place;

/// Of the folders in which something is being made; under the start lock every one of them is a leftover.
const UNFINISHED: &str = "new-";

/// How often a leftover that is still written to is removed, 20 ms apart.
const CLEARING_TRIES: u32 = 50;

/// It takes 1 s; a slow disk may need a minute.
const TIMEOUT: Duration = Duration::from_secs(300);

/// Appended to `postgresql.conf`, where its owner may change it.
const CONF: &str = "\n# Barkeep's private server: no TCP, and a socket for its owner alone.\n\
    listen_addresses = ''\nunix_socket_permissions = 0700\ntimezone = 'UTC'\nlog_timezone = 'UTC'\n";

/// `pg_hba.conf`: the superuser by the operating system's user, as `pg_ident.conf` maps it; roles made later by password.
const HBA: &str = "# TYPE  DATABASE  USER  METHOD\n\
    local   all       barkeep   peer map=barkeep\n\
    local   all       all       scram-sha-256\n";

/// The major version of the place's cluster, from its `PG_VERSION`; `None` where none was made yet.
///
/// # Errors
/// [`ClusterError::NotACluster`] for a folder with something else in it.
pub(crate) fn major_of(place: &Place) -> Result<Option<u32>, ClusterError> {
    let data = place.data();
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

/// Removes what an interrupted start left. Call it under the start lock.
///
/// An `initdb` that outlived its Barkeep may still be writing there, so it may take more than one try; after the first
/// that succeeds it finds its folder gone and ends.
pub(crate) async fn clear_leftovers(place: &Place) {
    let entries = std::fs::read_dir(place.home()).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(UNFINISHED)) {
        let path = entry.path();
        let mut tries = 0;
        while let Err(error) = tokio::fs::remove_dir_all(&path).await {
            tries += 1;
            if error.kind() != io::ErrorKind::DirectoryNotEmpty || tries == CLEARING_TRIES {
                tracing::warn!(%error, path = %path.display(), "A folder that an interrupted start left can't be removed");
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Runs `initdb` in a folder beside and renames that to `data`. Call it under the start lock.
///
/// # Errors
/// [`ClusterError::Initdb`] with what it printed; then nothing is left behind.
pub(crate) async fn make(place: &Place, binaries: &Binaries, durable: bool) -> Result<(), ClusterError> {
    let home = place.home();
    let prefix = format!("{UNFINISHED}data-");
    let folder = tempfile::Builder::new().prefix(&prefix).tempdir_in(home);
    let folder = folder.map_err(ClusterError::at("make a folder in", home))?;
    let path = folder.path();
    set_mode(path, 0o700)?;
    give(place, path)?;

    let mut command = tokio::process::Command::from(place.account().command(&binaries.initdb()));
    command.arg("-D").arg(path).args(["-U", ROLE, "--encoding=UTF8", "--locale=C", "--data-checksums"]);
    command
        .args(["--auth-local=peer", "--auth-host=reject"])
        .args((!durable).then_some("--no-sync"))
        .kill_on_drop(true);
    let data = place.data();
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
    replace(place, &path.join("pg_hba.conf"), HBA)?;
    std::fs::rename(path, &data).map_err(ClusterError::at("rename the new cluster to", &data))?;
    // Renamed away: there is nothing left for the guard to remove.
    let _ = folder.keep();
    sync(home).map_err(ClusterError::at("write", home))
}

/// Says who may connect: the user Barkeep runs as, the one the server runs as, and root, who can become either. Written at
/// every start, since users get other names.
pub(crate) fn write_user_map(place: &Place) -> Result<(), ClusterError> {
    let mut text = String::from("# Written by Barkeep at every start.\n# MAPNAME  SYSTEM-USERNAME  PG-USERNAME\n");
    for user in ["root", &place.account().name] {
        text.push_str(&format!("{ROLE} \"{user}\" {ROLE}\n"));
    }
    replace(place, &place.data().join("pg_ident.conf"), &text)
}

fn append(path: &Path, text: &str) -> io::Result<()> {
    let mut file = std::fs::OpenOptions::new().append(true).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// By way of a new file and a rename: a link that is there instead isn't followed.
fn replace(place: &Place, path: &Path, text: &str) -> Result<(), ClusterError> {
    let folder = path.parent().map_or_else(PathBuf::new, Path::to_owned);
    let write = || {
        let mut file = tempfile::NamedTempFile::new_in(&folder)?;
        file.write_all(text.as_bytes())?;
        if place.account().is_other() {
            std::os::unix::fs::fchown(&file, Some(place.account().uid), Some(place.account().gid))?;
        }
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    write().map_err(ClusterError::at("write", path))
}

fn give(place: &Place, path: &Path) -> Result<(), ClusterError> {
    if !place.account().is_other() {
        return Ok(());
    }
    lchown(path, Some(place.account().uid), Some(place.account().gid)).map_err(ClusterError::at("hand over", path))
}

fn set_mode(path: &Path, mode: u32) -> Result<(), ClusterError> {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(ClusterError::at("protect", path))
}

fn sync(folder: &Path) -> io::Result<()> {
    std::fs::File::open(folder)?.sync_all()
}
