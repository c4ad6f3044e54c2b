//! The paths of a data directory's cluster, and the user who owns them.
//!
//! An ordinary user's cluster is in `<data dir>/postgres`, root's in `<root base>/<name of the data dir>`, with data and socket
//! owned by the unprivileged user and everything else by root. Inside: `data`, `run` (the socket), `postgres.log`, `start.lock`, `users.lock`, and
//! `postgres-<version>` where the binaries came from npm.

use std::fs::{DirBuilder, Metadata, Permissions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, lchown};
use std::path::{Path, PathBuf};

use crate::account::{Account, own_uid};
use crate::address::{ClusterAddress, PORT};
use crate::{ClusterError, ClusterSettings};

/// Maximum length in bytes of a unix socket's path, without the final zero: 107 on Linux, 103 on macOS and BSD.
const SOCKET_PATH_LIMIT: usize = 103;

#[derive(Clone, Debug)]
pub(crate) struct ClusterPaths {
    data_dir: PathBuf,
    dir: PathBuf,
    account: Account,
    socket_dir: PathBuf,
}

impl ClusterPaths {
    /// The paths for an existing data directory. Creates nothing.
    pub(crate) async fn locate(settings: &ClusterSettings) -> Result<Option<Self>, ClusterError> {
        let data_dir = match settings.data_dir.canonicalize() {
            Ok(data_dir) => data_dir,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(ClusterError::at("enter", &settings.data_dir)(error)),
        };
        let inside = data_dir.join("postgres");
        let marker = marker(&data_dir);
        let marked =
            std::fs::read(&marker).ok().map(|path| PathBuf::from(std::ffi::OsStr::from_bytes(path.trim_ascii())));
        let owner = inside.join("data").symlink_metadata().ok().map(|metadata| metadata.uid());

        if own_uid() != 0 {
            return match (owner, marked) {
                (None, Some(dir)) => Err(ClusterError::CreatedByRoot { data_dir, dir }),
                _ => Ok(Some(Self::new(data_dir, inside, Account::of_uid(own_uid()).await?))),
            };
        }
        // Root opens an ordinary user's cluster as that user, so that no file in it changes its owner.
        if let Some(uid) = owner.filter(|uid| *uid != 0) {
            return Ok(Some(Self::new(data_dir, inside, Account::of_uid(uid).await?)));
        }
        let dir = settings.root_base.join(name_of(&data_dir));
        match marked {
            Some(old_dir) if old_dir != dir && old_dir.join("data").exists() => {
                Err(ClusterError::Moved { data_dir, old_dir, new_dir: dir, marker })
            }
            _ => Ok(Some(Self::new(data_dir, dir, Account::unprivileged().await?))),
        }
    }

    /// The paths, with all directories but the socket's created and checked.
    pub(crate) async fn create(settings: &ClusterSettings) -> Result<Self, ClusterError> {
        let data_dir = &settings.data_dir;
        let create_dir = |path: &Path, mode| DirBuilder::new().recursive(true).mode(mode).create(path);
        create_dir(data_dir, 0o700).map_err(ClusterError::at("create the data directory", data_dir))?;
        let Some(paths) = Self::locate(settings).await? else {
            return Err(ClusterError::at("find", data_dir)(io::ErrorKind::NotFound.into()));
        };
        if paths.is_inside_data_dir() {
            create_dir(&paths.dir, 0o700).map_err(ClusterError::at("create", &paths.dir))?;
        } else {
            let base = &settings.root_base;
            create_dir(base, 0o755).map_err(ClusterError::at("create", base))?;
            // Only root may write there, and the server's user must be able to enter, whatever the umask.
            allow_access(base, 0o755)?;
            create_dir(&paths.dir, 0o711).map_err(ClusterError::at("create", &paths.dir))?;
            allow_access(&paths.dir, 0o711)?;
            paths.write_marker()?;
        }
        Ok(paths)
    }

    fn new(data_dir: PathBuf, dir: PathBuf, account: Account) -> Self {
        let socket_dir = socket_dir(&dir, &account);
        Self { data_dir, dir, account, socket_dir }
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The user that the server runs as and that owns its data.
    pub(crate) fn account(&self) -> &Account {
        &self.account
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.dir.join("postgres.log")
    }

    pub(crate) fn start_lock(&self) -> PathBuf {
        self.dir.join("start.lock")
    }

    pub(crate) fn users_lock(&self) -> PathBuf {
        self.dir.join("users.lock")
    }

    pub(crate) fn socket_dir(&self) -> &Path {
        &self.socket_dir
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.socket_dir.join(socket_name())
    }

    pub(crate) fn address(&self) -> ClusterAddress {
        ClusterAddress::new(self.socket_dir.clone())
    }

    /// Creates the socket's directory, which only the server's user (and root) can enter. An existing one must have the same
    /// owner and mode: in a directory that everybody can write to, like `/tmp`, another user may have created it.
    ///
    /// Call it under the start lock, since stopping removes the directory.
    pub(crate) fn make_socket_dir(&self) -> Result<(), ClusterError> {
        let path = self.socket_dir();
        match DirBuilder::new().mode(0o700).create(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(ClusterError::at("create", path)(error));
            }
            _ => {}
        }
        let metadata = path.symlink_metadata().map_err(ClusterError::at("inspect", path))?;
        if metadata.is_dir() && metadata.uid() == own_uid() && self.account.is_other() {
            lchown(path, Some(self.account.uid), Some(self.account.gid))
                .map_err(ClusterError::at("change the owner of", path))?;
        }
        if self.is_socket_dir_safe() {
            return Ok(());
        }
        let reason =
            format!("{}, owned by user id {}, mode {:o}", kind(&metadata), metadata.uid(), metadata.mode() & 0o7777);
        Err(ClusterError::UnsafeDirectory {
            path: path.to_owned(),
            reason,
            owner: self.account.name.clone(),
            mode: "0700",
        })
    }

    pub(crate) fn is_socket_dir_safe(&self) -> bool {
        self.socket_dir.symlink_metadata().is_ok_and(|metadata| {
            metadata.is_dir() && metadata.uid() == self.account.uid && metadata.mode() & 0o077 == 0
        })
    }

    /// Gives files that root creates in an ordinary user's data directory to that user.
    pub(crate) fn chown_to_server_user(&self, file: impl AsFd, path: &Path) -> Result<(), ClusterError> {
        if !(self.account.is_other() && self.is_inside_data_dir()) {
            return Ok(());
        }
        std::os::unix::fs::fchown(file, Some(self.account.uid), Some(self.account.gid))
            .map_err(ClusterError::at("change the owner of", path))
    }

    fn is_inside_data_dir(&self) -> bool {
        self.dir.starts_with(&self.data_dir)
    }

    /// Writes the path of root's cluster into the data directory, for users and for [`ClusterPaths::locate`]. Everybody can read
    /// it, whatever the umask. It is written to a new file first, so that a symbolic link planted for root isn't followed.
    fn write_marker(&self) -> Result<(), ClusterError> {
        let marker = marker(&self.data_dir);
        let inside = self.data_dir.join("postgres");
        let write = || {
            let is_new = !inside.exists();
            DirBuilder::new().recursive(true).mode(0o755).create(&inside)?;
            if is_new {
                std::fs::set_permissions(&inside, Permissions::from_mode(0o755))?;
            }
            let mut file = tempfile::NamedTempFile::new_in(&inside)?;
            file.write_all(self.dir.as_os_str().as_bytes())?;
            file.as_file().set_permissions(Permissions::from_mode(0o644))?;
            file.persist(&marker)?;
            Ok(())
        };
        write().map_err(ClusterError::at("write", &marker))
    }
}

/// The file with the cluster's path, if the cluster isn't in the data directory.
fn marker(data_dir: &Path) -> PathBuf {
    data_dir.join("postgres").join("elsewhere")
}

fn socket_name() -> String {
    format!(".s.PGSQL.{PORT}")
}

/// In the cluster's directory if the path is short enough, and has only characters that Postgres' list of directories takes;
/// else in `/tmp`, which is the same in every session, unlike `XDG_RUNTIME_DIR` and `TMPDIR`.
fn socket_dir(dir: &Path, account: &Account) -> PathBuf {
    let inside = dir.join("run");
    let bytes = inside.as_os_str().as_bytes();
    let plain = bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"/._-+@~".contains(byte));
    if plain && bytes.len() + 1 + socket_name().len() <= SOCKET_PATH_LIMIT {
        inside
    } else {
        PathBuf::from(format!("/tmp/barkeep-{}-{}", account.uid, name_of(dir)))
    }
}

fn allow_access(path: &Path, mode: u32) -> Result<(), ClusterError> {
    let metadata = path.symlink_metadata().map_err(ClusterError::at("inspect", path))?;
    if !metadata.is_dir() || metadata.uid() != 0 || metadata.mode() & 0o022 != 0 {
        let reason =
            format!("{}, owned by user id {}, mode {:o}", kind(&metadata), metadata.uid(), metadata.mode() & 0o7777);
        return Err(ClusterError::UnsafeDirectory {
            path: path.to_owned(),
            reason,
            owner: "root".to_owned(),
            mode: "0755",
        });
    }
    if metadata.mode() & mode == mode {
        return Ok(());
    }
    std::fs::set_permissions(path, Permissions::from_mode(mode))
        .map_err(ClusterError::at("give the server's user access to", path))
}

fn kind(metadata: &Metadata) -> &'static str {
    if metadata.is_dir() {
        "it is a directory"
    } else if metadata.is_symlink() {
        "it is a symbolic link"
    } else {
        "it isn't a directory"
    }
}

/// A short name for a path, the same on every machine and in every version: FNV-1a, 64 bits.
fn name_of(path: &Path) -> String {
    let hash = path
        .as_os_str()
        .as_bytes()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:016x}")
}
