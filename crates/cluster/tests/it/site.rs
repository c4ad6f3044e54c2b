//! A folder with one data directory, and what tests look at in it. Dropping it ends the server that a failed test left.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cluster::{Cluster, ClusterError, ClusterSettings};
use rustix::process::{Pid, Signal};
use sqlx::{Connection, PgConnection};

pub(crate) struct Site {
    folder: tempfile::TempDir,
}

impl Site {
    /// `None`, said on stderr, where this machine has neither Postgres nor npm; on CI that fails.
    pub(crate) fn new() -> Option<Self> {
        let folders = ["/usr/lib/postgresql", "/opt/homebrew/opt/postgresql", "/usr/local/opt/postgresql"];
        let has_postgres = folders.iter().any(|folder| Path::new(folder).exists()) || on_path("postgres");
        if !has_postgres && !has_npm() {
            eprintln!("left out: this machine has neither Postgres nor npm");
            return None;
        }
        let folder = tempfile::Builder::new().prefix("bk").tempdir_in(Self::base()).unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        Some(Self { folder })
    }

    /// In memory where programs may run there. Not where TMPDIR says: the server's user must be able to enter it.
    fn base() -> &'static Path {
        let memory = Path::new("/dev/shm");
        let runs = |stat: rustix::fs::StatVfs| !stat.f_flag.contains(rustix::fs::StatVfsMountFlags::NOEXEC);
        if rustix::fs::statvfs(memory).is_ok_and(runs) { memory } else { Path::new("/tmp") }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data dir")
    }

    pub(crate) fn settings(&self) -> ClusterSettings {
        let root_base = self.folder.path().join("base");
        ClusterSettings { root_base, durable: false, ..ClusterSettings::new(self.data_dir()) }
    }

    pub(crate) async fn open(&self) -> Cluster {
        Cluster::open(&self.settings()).await.unwrap()
    }

    pub(crate) async fn open_error(settings: &ClusterSettings) -> ClusterError {
        match Cluster::open(settings).await {
            Ok(_) => panic!("the cluster opened"),
            Err(error) => error,
        }
    }

    /// The cluster's folder, wherever it was made.
    pub(crate) fn home(&self) -> PathBuf {
        let of_root = std::fs::read_dir(self.folder.path().join("base")).into_iter().flatten().flatten();
        of_root.map(|entry| entry.path()).next().unwrap_or_else(|| self.data_dir().join("postgres"))
    }

    /// The server's process, by its pid file.
    pub(crate) fn postmaster(&self) -> Option<Pid> {
        postmaster_in(&self.home().join("data"))
    }

    pub(crate) fn leftovers(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.home()).into_iter().flatten().flatten().map(|entry| entry.path());
        entries.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("new-")).collect()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(pid) = self.postmaster() {
            let _ = rustix::process::kill_process(pid, Signal::QUIT);
            let begun = Instant::now();
            while self.postmaster().is_some() && begun.elapsed() < Duration::from_secs(60) {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

pub(crate) fn postmaster_in(data: &Path) -> Option<Pid> {
    let text = std::fs::read_to_string(data.join("postmaster.pid")).ok()?;
    Pid::from_raw(text.lines().next()?.trim().parse().ok()?)
}

pub(crate) async fn connect(cluster: &Cluster) -> PgConnection {
    PgConnection::connect_with(&cluster.connect_options("postgres")).await.unwrap()
}

pub(crate) async fn answer(url: &str, sql: &'static str) -> String {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let answer = sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    answer
}

/// Waits up to three minutes for `condition`.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(180), "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

pub(crate) fn has_npm() -> bool {
    on_path("npm")
}

/// On CI nothing that npm brings may be left out.
pub(crate) fn npm_or_skip() -> bool {
    let there = has_npm();
    assert!(there || std::env::var_os("CI").is_none(), "CI needs npm for this test");
    if !there {
        eprintln!("left out: this machine has no npm");
    }
    there
}

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}
