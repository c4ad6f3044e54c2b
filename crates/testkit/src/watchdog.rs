//! Stops the private cluster when the last test process has ended. A test process can't do that itself, since statics are
//! never dropped and it may be killed.
//! In: a directory where every test process has a subdirectory of `users`, named by its id. Out: a shell beside each test process,
//! which waits on a pipe for its end, and a moment longer, since another test process may follow.
//! Holds: a process that has registered finds no server that is being stopped. `stopping` is created before `users` is removed,
//! and `users` is removed only when it is empty; a process that registers checks for `stopping` afterwards.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;

/// `$1`: the directory, `$2`: the server's data, `$3`: the server's process.
const SCRIPT: &str = r#"
read -r _
sleep 2
mkdir "$1/stopping" 2>/dev/null || exit 0
for user in "$1"/users/*; do
    kill -0 "${user##*/}" 2>/dev/null || rmdir "$user" 2>/dev/null
done
if rmdir "$1/users" 2>/dev/null && [ "$(head -n 1 "$2/postmaster.pid" 2>/dev/null)" = "$3" ]; then
    kill -INT "$3"
    tries=0
    while [ -e "$2/postmaster.pid" ] && [ $tries -lt 100 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
fi
rmdir "$1/stopping"
"#;

/// Longer than the script takes to stop a server.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

/// This process's registration as a user of a cluster.
#[derive(Debug)]
pub(crate) struct Watchdog {
    folder: PathBuf,
    /// Its standard input is the pipe.
    shell: Option<Child>,
}

impl Watchdog {
    /// Keeps the cluster in `folder` running until this process has ended. Call it before opening the cluster.
    pub(crate) async fn register(folder: &Path) -> anyhow::Result<Self> {
        let users = folder.join("users");
        let own = users.join(std::process::id().to_string());
        loop {
            match std::fs::create_dir_all(&own) {
                Ok(()) => break,
                // A shell has removed `users` between the creation of that and of the directory in it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error).with_context(|| format!("could not create {}", own.display())),
            }
        }
        let stopping = folder.join("stopping");
        let begun = Instant::now();
        while stopping.exists() && begun.elapsed() < STOP_TIMEOUT {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // If it still exists, its shell was killed.
        match std::fs::remove_dir(&stopping) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("could not remove {}", stopping.display()))
            }
            _ => Ok(Self { folder: folder.to_owned(), shell: None }),
        }
    }

    /// Starts the shell, in its own process group, so that Ctrl-C doesn't stop it.
    pub(crate) fn watch(mut self, data: &Path) -> anyhow::Result<Self> {
        let pid_file = data.join("postmaster.pid");
        let text =
            std::fs::read_to_string(&pid_file).with_context(|| format!("could not read {}", pid_file.display()))?;
        let mut command = Command::new("sh");
        command
            .arg("-c")
            .arg(SCRIPT)
            .arg("sh")
            .arg(&self.folder)
            .arg(data)
            .arg(text.lines().next().unwrap_or_default());
        // Inherits nothing: if it kept the test's output open, readers of that would wait for it.
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        self.shell = Some(command.spawn().context("could not start sh")?);
        Ok(self)
    }

    /// Whether the test process with this id has registered and may be alive.
    pub(crate) fn is_registered(&self, process: u32) -> bool {
        self.folder.join("users").join(process.to_string()).is_dir()
    }
}
