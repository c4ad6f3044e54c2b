//! PgBouncer in transaction mode between a program and the run's server.
//! In: a test database's URL. Out: the URL of the same database through the pooler. Holds: the pooler ends with the process
//! that started it, however that ends.

use std::fs::Permissions;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use sqlx::postgres::PgConnectOptions;

use crate::cluster::Server;

/// Debian's path, tried after `PATH`.
const DEBIAN: &str = "/usr/sbin/pgbouncer";

/// Kills the pooler when its standard input is closed, which happens when the process at the other end ends.
const SCRIPT: &str = r#""$1" -q "$2" & read -r _; kill $!; wait"#;

/// A running pooler.
#[derive(Debug)]
pub struct Pooler {
    port: u16,
    role: String,
    _shell: Child,
    _folder: tempfile::TempDir,
}

/// Whether PgBouncer is installed. If `CI` is set, it must be.
///
/// # Panics
/// If it must be and isn't.
pub fn pooler_is_installed() -> bool {
    let installed = program().is_some();
    assert!(installed || std::env::var_os("CI").is_none(), "pgbouncer is not installed: apt-get install pgbouncer");
    if !installed {
        eprintln!("left out: pgbouncer is not installed");
    }
    installed
}

fn program() -> Option<String> {
    let runs = |program: &&str| {
        Command::new(program).arg("--version").stdout(Stdio::null()).status().is_ok_and(|status| status.success())
    };
    ["pgbouncer", DEBIAN].into_iter().find(runs).map(str::to_owned)
}

impl Pooler {
    /// The run's pooler in front of `server`, which the first caller starts.
    ///
    /// # Errors
    /// If it isn't installed or doesn't start.
    pub fn shared(server: &Server) -> anyhow::Result<&'static Self> {
        static POOLER: OnceLock<Result<Pooler, String>> = OnceLock::new();
        let started = POOLER.get_or_init(|| Self::start(server).map_err(|error| format!("{error:#}")));
        started.as_ref().map_err(|error| anyhow::anyhow!(error.clone()))
    }

    /// The URL of that database of the server through the pooler.
    pub fn url(&self, database: &str) -> String {
        format!("postgresql://{}@127.0.0.1:{}/{database}?sslmode=disable", self.role, self.port)
    }

    fn start(server: &Server) -> anyhow::Result<Self> {
        let program = program().context("pgbouncer is not installed")?;
        let url = server.url("postgres");
        let options: PgConnectOptions = url.parse().context("could not parse the test server's URL")?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let folder = tempfile::tempdir()?;
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755))?;
        let (host, role) = (host_of(&options), options.get_username().to_owned());
        let config = folder.path().join("pgbouncer.ini");
        let password = password_of(&url).map(|password| format!(" password={password}")).unwrap_or_default();
        let server_port = options.get_port();
        std::fs::write(
            &config,
            format!(
                "[databases]\n* = host={host} port={server_port} user={role}{password}\n\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
                 listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = transaction\n\
                 max_client_conn = 1000\ndefault_pool_size = 20\nserver_idle_timeout = 5\nserver_lifetime = 60\n"
            ),
        )?;
        std::fs::set_permissions(&config, Permissions::from_mode(0o644))?;
        let mut command = Command::new("sh");
        command.arg("-c").arg(SCRIPT).arg("sh").arg(program).arg(&config);
        command.current_dir("/").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        // PgBouncer can't run as root, and the server accepts its own user.
        if let Some(owner) = owner_of(server.private_data().as_deref()) {
            command.uid(owner.0).gid(owner.1);
        }
        let shell = command.spawn().context("could not start sh")?;
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            ensure!(begun.elapsed() < Duration::from_secs(120), "pgbouncer does not start with {}", config.display());
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(Self { port, role, _shell: shell, _folder: folder })
    }
}

fn host_of(options: &PgConnectOptions) -> String {
    options.get_socket().map_or_else(|| options.get_host().to_owned(), |socket| socket.display().to_string())
}

fn password_of(url: &str) -> Option<String> {
    let authority = url.split_once("://")?.1.split('/').next()?;
    let (user, _) = authority.rsplit_once('@')?;
    user.split_once(':').map(|(_, password)| password.to_owned())
}

/// User and group of a directory that belongs to another user; `None` if it is ours.
fn owner_of(folder: Option<&Path>) -> Option<(u32, u32)> {
    let metadata = folder?.metadata().ok()?;
    (metadata.uid() != rustix::process::getuid().as_raw()).then_some((metadata.uid(), metadata.gid()))
}
