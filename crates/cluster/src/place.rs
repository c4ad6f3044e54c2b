//! Where the files of a data directory's cluster lie, and whom they belong to.
//!
//! Of an ordinary user: `<data dir>/postgres`. Of root: `<root base>/<name of the data dir>`, with data and socket owned by the
//! unprivileged user and all else by root. Inside: `data`, `run` (the socket), `postgres.log`, `start.lock`, `users.lock`, and
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

/// Bytes that a unix socket's path may have, without the closing zero: 107 on Linux, 103 on macOS and BSD.
const SOCKET_PATH_LIMIT: usize = 103;

#[derive(Clone, Debug)]
pub(crate) struct Place {
    data_dir: PathBuf,
    home: PathBuf,
    account: Account,
    socket_dir: PathBuf,
}

impl Place {
    /// The place of an existing data directory; makes nothing.
    pub(crate) async fn find(settings: &ClusterSettings) -> Result<Option<Self>, ClusterError> {
        let data_dir = match settings.data_dir.canonicalize() {
            Ok(data_dir) => data_dir,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(ClusterError::at("enter", &settings.data_dir)(error)),
        };
        let inside = data_dir.join("postgres");
        let marker = marker(&data_dir);
        let elsewhere =
            std::fs::read(&marker).ok().map(|path| PathBuf::from(std::ffi::OsStr::from_bytes(path.trim_ascii())));
        let owner = inside.join("data").symlink_metadata().ok().map(|metadata| metadata.uid());

        if own_uid() != 0 {
            return match (owner, elsewhere) {
                (None, Some(home)) => Err(ClusterError::MadeByRoot { data_dir, home }),
                _ => Ok(Some(Self::new(data_dir, inside, Account::of_uid(own_uid()).await?))),
            };
        }
        // Root opens what an ordinary user made in that user's name, so that nothing in there changes hands.
        if let Some(uid) = owner.filter(|uid| *uid != 0) {
            return Ok(Some(Self::new(data_dir, inside, Account::of_uid(uid).await?)));
        }
        let home = settings.root_base.join(name_of(&data_dir));
        match elsewhere {
            Some(old_home) if old_home != home && old_home.join("data").exists() => {
                Err(ClusterError::Moved { data_dir, old_home, new_home: home, marker })
            }
            _ => Ok(Some(Self::new(data_dir, home, Account::unprivileged().await?))),
        }
    }

    /// The place, with its folders made and checked, but for the socket's.
    pub(crate) async fn make(settings: &ClusterSettings) -> Result<Self, ClusterError> {
        let data_dir = &settings.data_dir;
        let make = |path: &Path, mode| DirBuilder::new().recursive(true).mode(mode).create(path);
        make(data_dir, 0o700).map_err(ClusterError::at("make the data directory", data_dir))?;
        let Some(place) = Self::find(settings).await? else {
            return Err(ClusterError::at("find", data_dir)(io::ErrorKind::NotFound.into()));
        };
        if place.is_inside_data_dir() {
            make(&place.home, 0o700).map_err(ClusterError::at("make", &place.home))?;
        } else {
            let base = &settings.root_base;
            make(base, 0o755).map_err(ClusterError::at("make", base))?;
            // Nobody but root may put anything there, and the server's user must get through, whatever the umask.
            open_to_all(base, 0o755)?;
            make(&place.home, 0o711).map_err(ClusterError::at("make", &place.home))?;
            open_to_all(&place.home, 0o711)?;
            place.leave_marker()?;
        }
        Ok(place)
    }

    fn new(data_dir: PathBuf, home: PathBuf, account: Account) -> Self {
        let socket_dir = socket_dir(&home, &account);
        Self { data_dir, home, account, socket_dir }
    }

    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    /// The user as whom the server runs and who owns its data.
    pub(crate) fn account(&self) -> &Account {
        &self.account
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.home.join("data")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.home.join("postgres.log")
    }

    pub(crate) fn start_lock(&self) -> PathBuf {
        self.home.join("start.lock")
    }

    pub(crate) fn users_lock(&self) -> PathBuf {
        self.home.join("users.lock")
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

    /// Makes the socket's folder, which only the server's user (and root) can enter. One that is there already must be just
    /// so: in a folder that all can write to, like `/tmp`, somebody else may have put it there.
    ///
    /// Call it under the start lock: stopping removes the folder.
    pub(crate) fn make_socket_dir(&self) -> Result<(), ClusterError> {
        let path = self.socket_dir();
        match DirBuilder::new().mode(0o700).create(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(ClusterError::at("make", path)(error));
            }
            _ => {}
        }
        let metadata = path.symlink_metadata().map_err(ClusterError::at("look at", path))?;
        if metadata.is_dir() && metadata.uid() == own_uid() && self.account.is_other() {
            lchown(path, Some(self.account.uid), Some(self.account.gid))
                .map_err(ClusterError::at("hand over", path))?;
        }
        if self.has_safe_socket_dir() {
            return Ok(());
        }
        let reason =
            format!("{}, owned by user id {}, mode {:o}", kind(&metadata), metadata.uid(), metadata.mode() & 0o7777);
        Err(ClusterError::UnsafeFolder {
            path: path.to_owned(),
            reason,
            owner: self.account.name.clone(),
            mode: "0700",
        })
    }

    pub(crate) fn has_safe_socket_dir(&self) -> bool {
        self.socket_dir.symlink_metadata().is_ok_and(|metadata| {
            metadata.is_dir() && metadata.uid() == self.account.uid && metadata.mode() & 0o077 == 0
        })
    }

    /// So that what root leaves in an ordinary user's folder is no obstacle to that user.
    pub(crate) fn give_to_owner_of_home(&self, file: impl AsFd, path: &Path) -> Result<(), ClusterError> {
        if !(self.account.is_other() && self.is_inside_data_dir()) {
            return Ok(());
        }
        std::os::unix::fs::fchown(file, Some(self.account.uid), Some(self.account.gid))
            .map_err(ClusterError::at("hand over", path))
    }

    fn is_inside_data_dir(&self) -> bool {
        self.home.starts_with(&self.data_dir)
    }

    /// Says in the data directory where root's cluster lies, for people and for the checks of [`Place::find`]. Readable by all
    /// whatever the umask; by way of a new file, since in somebody else's folder a link may lie in wait for root.
    fn leave_marker(&self) -> Result<(), ClusterError> {
        let marker = marker(&self.data_dir);
        let inside = self.data_dir.join("postgres");
        let write = || {
            let is_new = !inside.exists();
            DirBuilder::new().recursive(true).mode(0o755).create(&inside)?;
            if is_new {
                std::fs::set_permissions(&inside, Permissions::from_mode(0o755))?;
            }
            let mut file = tempfile::NamedTempFile::new_in(&inside)?;
            file.write_all(self.home.as_os_str().as_bytes())?;
            file.as_file().set_permissions(Permissions::from_mode(0o644))?;
            file.persist(&marker)?;
            Ok(())
        };
        write().map_err(ClusterError::at("write", &marker))
    }
}

/// Holds the path of the cluster where that is not in the data directory.
fn marker(data_dir: &Path) -> PathBuf {
    data_dir.join("postgres").join("elsewhere")
}

fn socket_name() -> String {
    format!(".s.PGSQL.{PORT}")
}

/// In the cluster's folder where the path is short enough, and plain enough for Postgres' list of folders; else in `/tmp`,
/// which is the same for every session, as `XDG_RUNTIME_DIR` and `TMPDIR` are not.
fn socket_dir(home: &Path, account: &Account) -> PathBuf {
    let inside = home.join("run");
    let bytes = inside.as_os_str().as_bytes();
    let plain = bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"/._-+@~".contains(byte));
    if plain && bytes.len() + 1 + socket_name().len() <= SOCKET_PATH_LIMIT {
        inside
    } else {
        PathBuf::from(format!("/tmp/barkeep-{}-{}", account.uid, name_of(home)))
    }
}

fn open_to_all(path: &Path, mode: u32) -> Result<(), ClusterError> {
    let metadata = path.symlink_metadata().map_err(ClusterError::at("look at", path))?;
    if !metadata.is_dir() || metadata.uid() != 0 || metadata.mode() & 0o022 != 0 {
        let reason =
            format!("{}, owned by user id {}, mode {:o}", kind(&metadata), metadata.uid(), metadata.mode() & 0o7777);
        return Err(ClusterError::UnsafeFolder {
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
        .map_err(ClusterError::at("open to the server's user", path))
}

fn kind(metadata: &Metadata) -> &'static str {
    if metadata.is_dir() {
        "it is a folder"
    } else if metadata.is_symlink() {
        "it is a symbolic link"
    } else {
        "it is no folder"
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
