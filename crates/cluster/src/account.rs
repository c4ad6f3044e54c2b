//! The operating system user that the server runs as: the user running Barkeep, or an unprivileged one if that is root.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::ClusterError;

/// Users to run the server for root: the first that exists.
const UNPRIVILEGED_USERS: [&str; 2] = ["postgres", "nobody"];

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) name: String,
}

impl Account {
    /// # Errors
    /// [`ClusterError::NamelessUser`]: `initdb` and peer authentication need a name.
    pub(crate) async fn of_uid(uid: u32) -> Result<Self, ClusterError> {
        let by_name = match id(&["-un", &uid.to_string()]).await? {
            Some(name) => Self::of_name(&name).await?,
            None => None,
        };
        by_name.filter(|account| account.uid == uid).ok_or(ClusterError::NamelessUser { uid })
    }

    /// # Errors
    /// [`ClusterError::NoUnprivilegedUser`].
    pub(crate) async fn unprivileged() -> Result<Self, ClusterError> {
        for name in UNPRIVILEGED_USERS {
            if let Some(account) = Self::of_name(name).await?.filter(|account| account.uid != 0) {
                return Ok(account);
            }
        }
        Err(ClusterError::NoUnprivilegedUser)
    }

    async fn of_name(name: &str) -> Result<Option<Self>, ClusterError> {
        let (uid, gid) = (id(&["-u", name]).await?, id(&["-g", name]).await?);
        let parsed = |text: Option<String>| text.and_then(|text| text.parse().ok());
        Ok(parsed(uid).zip(parsed(gid)).map(|(uid, gid)| Self { uid, gid, name: name.to_owned() }))
    }

    /// Whether files must be given to it and programs started as it, since Barkeep runs as another user.
    pub(crate) fn is_other(&self) -> bool {
        self.uid != own_uid()
    }

    /// `program` as this user, without Barkeep's environment, which contains secrets, and `PG...` variables that would change
    /// what Postgres does.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("LC_ALL", "C").current_dir("/").stdin(Stdio::null());
        for name in ["PATH", "LD_LIBRARY_PATH"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        if self.is_other() {
            command.uid(self.uid).gid(self.gid);
        }
        command
    }
}

pub(crate) fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// The output of `id`; `None` if there is no such user.
async fn id(arguments: &[&str]) -> Result<Option<String>, ClusterError> {
    let mut command = tokio::process::Command::new("id");
    let output = command.args(arguments).stdin(Stdio::null()).kill_on_drop(true).output().await;
    let output = output.map_err(|source| ClusterError::Spawn {
        program: "id".into(),
        account: format!("with id {}", own_uid()),
        source,
    })?;
    Ok(output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned()))
}
