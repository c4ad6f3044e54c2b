//! The server process: started, waited for, stopped.
//! Holds: it leads a process group of its own, so the terminal's Ctrl-C doesn't reach it; whether it lives is asked of its socket,
//! never guessed from a file.

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
use crate::place::Place;
use crate::{ClusterError, initdb};

/// How long backends of a killed server may take to notice its death.
const OLD_BACKENDS: Duration = Duration::from_secs(30);

/// Recovery after a crash replays at most `max_wal_size` of log: minutes, on a slow disk.
const RECOVERY: Duration = Duration::from_secs(600);

/// A fast shutdown writes one checkpoint.
const SHUTDOWN: Duration = Duration::from_secs(60);

/// The log is begun anew when it has grown to this many bytes; one old log is kept.
const LOG_LIMIT: u64 = 10 << 20;

/// What Postgres says of a data folder that processes of an earlier server still hold.
const HELD: [&str; 2] = ["is still in use", "lock file \"postmaster.pid\" already exists"];

/// `sqlstate`s of a server that has yet to come up, or that is about to go.
const NOT_NOW: [&str; 3] = ["57P03", "57P01", "57P02"];

/// A server that took a connection.
pub(crate) struct Listening {
    /// Where the system tells it.
    pid: Option<Pid>,
}

/// Who answers on the place's socket, if anybody. A folder that isn't ours isn't asked.
pub(crate) async fn answering(place: &Place) -> Option<Listening> {
    if !place.has_safe_socket_dir() {
        return None;
    }
    let stream = tokio::net::UnixStream::connect(place.socket()).await.ok()?;
    // Of a listening socket these are the credentials of the process that began to listen: the postmaster.
    let pid = stream.peer_cred().ok().and_then(|peer| peer.pid()).and_then(Pid::from_raw);
    Some(Listening { pid })
}

/// Starts the server on an existing cluster and waits until it is up. Call it under the start lock.
///
/// # Errors
/// [`ClusterError::StillHeld`] where an earlier server's processes don't end, [`ClusterError::NotStarted`] with the log's end.
pub(crate) async fn start(place: &Place, binaries: &Binaries, durable: bool) -> Result<(), ClusterError> {
    place.make_socket_dir()?;
    initdb::write_user_map(place)?;
    let begun = Instant::now();
    loop {
        super::pidfile::forget_a_stranger(&place.data())?;
        let (log, before) = open_log(place)?;
        let mut ended = spawn(place, binaries, durable, log)?;
        match comes_up(place, &mut ended).await {
            Waiting::Up => return Ok(()),
            Waiting::TooLong => {
                return Err(ClusterError::NotReady {
                    reason: format!("it has been recovering for {} s", RECOVERY.as_secs()),
                    log: place.log(),
                    lines: last_lines(place, 0),
                });
            }
            Waiting::Ended => {}
        }
        let lines = last_lines(place, before);
        if !HELD.iter().any(|held| lines.contains(held)) {
            return Err(ClusterError::NotStarted { log: place.log(), lines });
        }
        if begun.elapsed() > OLD_BACKENDS {
            return Err(ClusterError::StillHeld {
                data: place.data(),
                account: place.account().name.clone(),
                waited: OLD_BACKENDS,
                log: place.log(),
                lines,
            });
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Whether the server that answered is there to stay.
pub(crate) enum Adoption {
    Ready,
    /// It was on its way out: killed, or told to stop. Somebody has to start it.
    Gone,
}

/// Waits until the server takes a connection, in which somebody who adopts it may find it still starting.
///
/// # Errors
/// [`ClusterError::NotReady`] with the server's reason.
pub(crate) async fn wait_until_ready(place: &Place) -> Result<Adoption, ClusterError> {
    let begun = Instant::now();
    loop {
        let reason = match try_to_connect(place).await {
            Ok(()) => return Ok(Adoption::Ready),
            Err(Refusal::Final(reason)) => reason,
            // The socket may have been answered by a server in its last moment.
            Err(Refusal::NotYet(_)) if answering(place).await.is_none() => return Ok(Adoption::Gone),
            Err(Refusal::NotYet(_)) if begun.elapsed() < RECOVERY => {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
            Err(Refusal::NotYet(reason)) => reason,
        };
        return Err(ClusterError::NotReady { reason, log: place.log(), lines: last_lines(place, 0) });
    }
}

/// Stops the server, if it runs, and waits until it is gone. Call it under the start lock.
///
/// # Errors
/// [`ClusterError::NotStopped`].
pub(crate) async fn stop(place: &Place) -> Result<(), ClusterError> {
    let Some(listening) = answering(place).await else { return Ok(()) };
    let pid_file = place.data().join("postmaster.pid");
    let from_file = || {
        let text = std::fs::read_to_string(&pid_file).ok()?;
        Pid::from_raw(text.lines().next()?.trim().parse().ok()?)
    };
    if let Some(pid) = listening.pid.or_else(from_file) {
        // SIGINT is Postgres' fast shutdown: transactions are rolled back, clients are disconnected.
        rustix::process::kill_process(pid, Signal::INT)
            .map_err(|errno| ClusterError::at("stop the server of", place.data())(errno.into()))?;
    }
    let begun = Instant::now();
    while pid_file.exists() || answering(place).await.is_some() {
        if begun.elapsed() > SHUTDOWN {
            return Err(ClusterError::NotStopped { waited: SHUTDOWN, log: place.log() });
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // Of use only to keep /tmp tidy; it is made again at the next start.
    let _ = std::fs::remove_dir(place.socket_dir());
    Ok(())
}

enum Waiting {
    Up,
    Ended,
    TooLong,
}

async fn comes_up(place: &Place, ended: &mut oneshot::Receiver<io::Result<ExitStatus>>) -> Waiting {
    let begun = Instant::now();
    while begun.elapsed() < RECOVERY {
        // Its own exit comes first: the socket may be answered by somebody else's server.
        if !matches!(ended.try_recv(), Err(oneshot::error::TryRecvError::Empty)) {
            return Waiting::Ended;
        }
        match try_to_connect(place).await {
            Ok(()) | Err(Refusal::Final(_)) => return Waiting::Up,
            Err(Refusal::NotYet(_)) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
    Waiting::TooLong
}

enum Refusal {
    NotYet(String),
    Final(String),
}

async fn try_to_connect(place: &Place) -> Result<(), Refusal> {
    let connecting = place.address().connect_options("postgres").disable_statement_logging();
    let connecting = async move { sqlx::PgConnection::connect_with(&connecting).await };
    match tokio::time::timeout(Duration::from_secs(10), connecting).await {
        Err(_) => Err(Refusal::NotYet("it did not answer within 10 s".to_owned())),
        Ok(Ok(connection)) => {
            let _ = connection.close().await;
            Ok(())
        }
        // Busy is as good as ready.
        Ok(Err(sqlx::Error::Database(error))) if error.code().as_deref() == Some("53300") => Ok(()),
        Ok(Err(sqlx::Error::Database(error))) if !NOT_NOW.contains(&error.code().as_deref().unwrap_or_default()) => {
            Err(Refusal::Final(error.to_string()))
        }
        Ok(Err(error)) => Err(Refusal::NotYet(error.to_string())),
    }
}

/// Starts `postgres` itself, without a shell between: paths may hold any character. What comes back tells its end.
fn spawn(
    place: &Place,
    binaries: &Binaries,
    durable: bool,
    log: File,
) -> Result<oneshot::Receiver<io::Result<ExitStatus>>, ClusterError> {
    let program = binaries.postgres();
    let failed =
        |source| ClusterError::Spawn { program: program.clone(), account: place.account().name.clone(), source };
    let mut command = place.account().command(&program);
    command.arg("-D").arg(place.data());
    command.arg("-c").arg(format!("unix_socket_directories={}", place.socket_dir().display()));
    command.args(["-c", &format!("port={PORT}"), "-c", "logging_collector=off", "-c", "log_destination=stderr"]);
    if !durable {
        // A server for tests: many of them at once on machines with many cores, each with pools of its own.
        command.args(["-c", "max_connections=500"]);
        command.args(["-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"]);
    }
    command.process_group(0).stdout(log.try_clone().map_err(failed)?).stderr(log);
    let mut child = command.spawn().map_err(failed)?;
    let (sender, ended) = oneshot::channel();
    // A thread of its own, since no runtime need be running when the server ends, and one that isn't reaped counts as alive.
    std::thread::Builder::new()
        .name("postgres".to_owned())
        .spawn(move || {
            let _ = sender.send(child.wait());
        })
        .map_err(failed)?;
    Ok(ended)
}

/// The log, to be appended to, and its length so far.
fn open_log(place: &Place) -> Result<(File, u64), ClusterError> {
    let path = place.log();
    if path.symlink_metadata().is_ok_and(|metadata| metadata.len() > LOG_LIMIT) {
        let old = path.with_extension("log.1");
        std::fs::rename(&path, &old).map_err(ClusterError::at("rename", &path))?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.append(true).create(true).mode(0o600).custom_flags(no_follow());
    let log = options.open(&path).map_err(ClusterError::at("open the server's log", &path))?;
    place.give_to_owner_of_home(&log, &path)?;
    let length = log.metadata().map_err(ClusterError::at("read", &path))?.len();
    Ok((log, length))
}

/// At most 20 of the log's lines after byte `from`, for an error message.
fn last_lines(place: &Place, from: u64) -> String {
    let read = || {
        let mut log = std::fs::OpenOptions::new().read(true).custom_flags(no_follow()).open(place.log())?;
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
