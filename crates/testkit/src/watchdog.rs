//! Stops the private cluster when the last test process has ended: a test process has no last moment of its own, since
//! statics are never dropped and it may be killed.
//! In: a folder where every test process has a subfolder of `users`, named by its id. Out: a shell beside each test process,
//! which waits for its end on a pipe, and for a moment longer, since another may follow.
//! Holds: a process that has registered finds no server that is being stopped. `stopping` is made before `users` is removed,
//! and `users` is removed only when it is empty; who registers looks for `stopping` afterwards.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;

/// `$1`: the folder, `$2`: the server's data, `$3`: the server's process.
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

/// Longer than the script ever takes to stop a server.
const STOPPING: Duration = Duration::from_secs(20);

/// This process among the users of a cluster.
#[derive(Debug)]
pub(crate) struct Watchdog {
    folder: PathBuf,
    /// Its standard input is the pipe.
    shell: Option<Child>,
}

impl Watchdog {
    /// From here on the cluster in `folder` isn't stopped until this process has ended; call it before opening the cluster.
    pub(crate) async fn register(folder: &Path) -> anyhow::Result<Self> {
        let users = folder.join("users");
        let own = users.join(std::process::id().to_string());
        loop {
            match std::fs::create_dir_all(&own) {
                Ok(()) => break,
                // A shell has removed `users` just between its making and that of the folder in it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error).with_context(|| format!("could not make {}", own.display())),
            }
        }
        let stopping = folder.join("stopping");
        let begun = Instant::now();
        while stopping.exists() && begun.elapsed() < STOPPING {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // One that is still there is of a shell that was killed.
        match std::fs::remove_dir(&stopping) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("could not remove {}", stopping.display()))
            }
            _ => Ok(Self { folder: folder.to_owned(), shell: None }),
        }
    }

    /// Starts the shell, in a process group of its own, so that Ctrl-C leaves it to its work.
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
        // Nothing inherited: a shell that held the test's output would keep whoever reads that waiting.
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        self.shell = Some(command.spawn().context("could not start sh")?);
        Ok(self)
    }

    /// Whether the test process with this id has registered and may be alive.
    pub(crate) fn is_registered(&self, process: u32) -> bool {
        self.folder.join("users").join(process.to_string()).is_dir()
    }
}
