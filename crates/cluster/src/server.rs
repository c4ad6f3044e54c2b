//! Starting the server process, waiting for it and stopping it.
//! Holds: it leads its own process group, so that the terminal's Ctrl-C doesn't reach it; whether it is running is decided by its
//! socket, never by a file.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use sqlx::{ConnectOptions, Connection};
use tokio::sync::oneshot;

use crate::address::PORT;
use crate::binaries::Binaries;
use crate::paths::ClusterPaths;
use crate::{ClusterError, initdb};

/// How long backends of a killed server may take to notice and exit.
const OLD_BACKENDS_TIMEOUT: Duration = Duration::from_secs(30);

/// Recovery after a crash replays at most `max_wal_size` of WAL, which takes minutes on a slow disk.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(600);

/// A fast shutdown writes one checkpoint.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(60);

/// The log is rotated when it has grown to this many bytes; one old log is kept.
const LOG_LIMIT: u64 = 10 << 20;

/// Messages of Postgres if processes of an earlier server still use the data directory.
const STILL_IN_USE: [&str; 2] = ["is still in use", "lock file \"postmaster.pid\" already exists"];

/// `sqlstate`s of a server that is starting up or shutting down.
const TRANSIENT_SQLSTATES: [&str; 3] = ["57P03", "57P01", "57P02"];

/// A server that accepted a connection.
pub(crate) struct RunningServer {
    /// `None` if the system doesn't report it.
    pid: Option<Pid>,
}

/// The server that listens on the cluster's socket, if there is one. A socket in an unsafe directory isn't used.
pub(crate) async fn find_running(paths: &ClusterPaths) -> Option<RunningServer> {
    if !paths.is_socket_dir_safe() {
        return None;
    }
    let stream = tokio::net::UnixStream::connect(paths.socket()).await.ok()?;
    // These are the credentials of the process that called listen: the postmaster.
    let pid = stream.peer_cred().ok().and_then(|peer| peer.pid()).and_then(Pid::from_raw);
    Some(RunningServer { pid })
}

/// Starts the server of an existing cluster and waits until it accepts connections. Call it under the start lock.
///
/// # Errors
/// [`ClusterError::StillInUse`] if an earlier server's processes don't exit, [`ClusterError::NotStarted`] with the log's end.
pub(crate) async fn start(paths: &ClusterPaths, binaries: &Binaries, durable: bool) -> Result<(), ClusterError> {
    paths.make_socket_dir()?;
    initdb::write_user_map(paths)?;
    let begun = Instant::now();
    loop {
        super::pidfile::remove_stale(&paths.data())?;
        let (log, before) = open_log(paths)?;
        let mut ended = spawn(paths, binaries, durable, log)?;
        match wait_for_startup(paths, &mut ended).await {
            Startup::Up => return Ok(()),
            Startup::TimedOut => {
                return Err(ClusterError::NotReady {
                    reason: format!("it has been recovering for {} s", RECOVERY_TIMEOUT.as_secs()),
                    log: paths.log(),
                    lines: last_lines(paths, 0),
                });
            }
            Startup::Ended => {}
        }
        let lines = last_lines(paths, before);
        if !STILL_IN_USE.iter().any(|message| lines.contains(message)) {
            return Err(ClusterError::NotStarted { log: paths.log(), lines });
        }
        if begun.elapsed() > OLD_BACKENDS_TIMEOUT {
            return Err(ClusterError::StillInUse {
                data: paths.data(),
                account: paths.account().name.clone(),
                waited: OLD_BACKENDS_TIMEOUT,
                log: paths.log(),
                lines,
            });
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Whether a server that was found running can be used.
pub(crate) enum Adoption {
    Ready,
    /// It was killed or is shutting down, and must be started again.
    Gone,
}

/// Waits until the server accepts a connection: one that another process started may still be starting up.
///
/// # Errors
/// [`ClusterError::NotReady`] with the server's reason.
pub(crate) async fn wait_until_ready(paths: &ClusterPaths) -> Result<Adoption, ClusterError> {
    let begun = Instant::now();
    loop {
        let reason = match try_to_connect(paths).await {
            Ok(()) => return Ok(Adoption::Ready),
            Err(ConnectFailure::Permanent(reason)) => reason,
            // The server may have accepted the connection just before it stopped.
            Err(ConnectFailure::Transient(_)) if find_running(paths).await.is_none() => return Ok(Adoption::Gone),
            Err(ConnectFailure::Transient(_)) if begun.elapsed() < RECOVERY_TIMEOUT => {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
            Err(ConnectFailure::Transient(reason)) => reason,
        };
        return Err(ClusterError::NotReady { reason, log: paths.log(), lines: last_lines(paths, 0) });
    }
}

/// Stops the server, if it is running, and waits until it has exited. Call it under the start lock.
///
/// # Errors
/// [`ClusterError::NotStopped`].
pub(crate) async fn stop(paths: &ClusterPaths) -> Result<(), ClusterError> {
    let Some(server) = find_running(paths).await else { return Ok(()) };
    let pid_file = paths.data().join("postmaster.pid");
    let from_file = || {
        let text = std::fs::read_to_string(&pid_file).ok()?;
        Pid::from_raw(text.lines().next()?.trim().parse().ok()?)
    };
    if let Some(pid) = server.pid.or_else(from_file) {
        // SIGINT is Postgres' fast shutdown: transactions are rolled back, clients are disconnected.
        rustix::process::kill_process(pid, Signal::INT)
            .map_err(|errno| ClusterError::at("stop the server of", paths.data())(errno.into()))?;
    }
    let begun = Instant::now();
    while pid_file.exists() || find_running(paths).await.is_some() {
        if begun.elapsed() > SHUTDOWN_TIMEOUT {
            return Err(ClusterError::NotStopped { waited: SHUTDOWN_TIMEOUT, log: paths.log() });
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // Only to keep /tmp tidy; it is created again at the next start.
    let _ = std::fs::remove_dir(paths.socket_dir());
    Ok(())
}

enum Startup {
    Up,
    Ended,
    TimedOut,
}

async fn wait_for_startup(paths: &ClusterPaths, ended: &mut oneshot::Receiver<io::Result<ExitStatus>>) -> Startup {
    let begun = Instant::now();
    while begun.elapsed() < RECOVERY_TIMEOUT {
        // Its exit is checked first, since another process's server may be listening on the socket.
        if !matches!(ended.try_recv(), Err(oneshot::error::TryRecvError::Empty)) {
            return Startup::Ended;
        }
        match try_to_connect(paths).await {
            Ok(()) | Err(ConnectFailure::Permanent(_)) => return Startup::Up,
            Err(ConnectFailure::Transient(_)) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
    Startup::TimedOut
}

enum ConnectFailure {
    Transient(String),
    Permanent(String),
}

async fn try_to_connect(paths: &ClusterPaths) -> Result<(), ConnectFailure> {
    let connecting = paths.address().connect_options("postgres").disable_statement_logging();
    let connecting = async move { sqlx::PgConnection::connect_with(&connecting).await };
    match tokio::time::timeout(Duration::from_secs(10), connecting).await {
        Err(_) => Err(ConnectFailure::Transient("it did not respond within 10 s".to_owned())),
        Ok(Ok(connection)) => {
            let _ = connection.close().await;
            Ok(())
        }
        // Too many connections: busy, and so ready.
        Ok(Err(sqlx::Error::Database(error))) if error.code().as_deref() == Some("53300") => Ok(()),
        Ok(Err(sqlx::Error::Database(error)))
            if !TRANSIENT_SQLSTATES.contains(&error.code().as_deref().unwrap_or_default()) =>
        {
            Err(ConnectFailure::Permanent(error.to_string()))
        }
        Ok(Err(error)) => Err(ConnectFailure::Transient(error.to_string())),
    }
}

/// Starts `postgres` directly, without a shell, since paths may contain any character. The receiver gets its exit status.
fn spawn(
    paths: &ClusterPaths,
    binaries: &Binaries,
    durable: bool,
    log: File,
) -> Result<oneshot::Receiver<io::Result<ExitStatus>>, ClusterError> {
    let program = binaries.postgres();
    let failed =
        |source| ClusterError::Spawn { program: program.clone(), account: paths.account().name.clone(), source };
    let mut command = paths.account().command(&program);
    command.arg("-D").arg(paths.data());
    command.arg("-c").arg(format!("unix_socket_directories={}", paths.socket_dir().display()));
    command.args(["-c", &format!("port={PORT}"), "-c", "logging_collector=off", "-c", "log_destination=stderr"]);
    if !durable {
        // A server for tests, many of which run at once, each with its own pools.
        command.args(["-c", "max_connections=500"]);
        command.args(["-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"]);
        // Nothing by the clock, and nothing that pays only for long statements.
        command.args(["-c", "autovacuum=off", "-c", "jit=off"]);
    }
    command.process_group(0).stdout(log.try_clone().map_err(failed)?).stderr(log);
    let mut child = command.spawn().map_err(failed)?;
    let (sender, ended) = oneshot::channel();
    // On a thread, since no runtime may be running when the server exits, and an unreaped process counts as alive.
    std::thread::Builder::new()
        .name("postgres".to_owned())
        .spawn(move || {
            let _ = sender.send(child.wait());
        })
        .map_err(failed)?;
    Ok(ended)
}

/// Opens the log for appending, and returns its current length.
fn open_log(paths: &ClusterPaths) -> Result<(File, u64), ClusterError> {
    let path = paths.log();
    if path.symlink_metadata().is_ok_and(|metadata| metadata.len() > LOG_LIMIT) {
        let old = path.with_extension("log.1");
        std::fs::rename(&path, &old).map_err(ClusterError::at("rename", &path))?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.append(true).create(true).mode(0o600).custom_flags(no_follow());
    let log = options.open(&path).map_err(ClusterError::at("open the server's log", &path))?;
    paths.chown_to_server_user(&log, &path)?;
    let length = log.metadata().map_err(ClusterError::at("read", &path))?.len();
    Ok((log, length))
}

/// The last lines of the log after byte `from`, at most 20, for error messages.
fn last_lines(paths: &ClusterPaths, from: u64) -> String {
    let read = || {
        let mut log = std::fs::OpenOptions::new().read(true).custom_flags(no_follow()).open(paths.log())?;
        let length = log.metadata()?.len();
        log.seek(SeekFrom::Start(from.max(length.saturating_sub(8192))))?;
        let mut bytes = Vec::new();
        log.take(8192).read_to_end(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().collect();
        Ok::<_, io::Error>(lines[lines.len().saturating_sub(20)..].join("\n"))
    };
    read().unwrap_or_else(|error| format!("(it can't be read: {error})"))
}

fn no_follow() -> i32 {
    rustix::fs::OFlags::NOFOLLOW.bits().cast_signed()
}
