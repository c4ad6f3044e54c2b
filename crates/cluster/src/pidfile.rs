//! `postmaster.pid`, which a killed server leaves behind, and which may then name an unrelated process.

use std::io;
use std::path::Path;

use crate::ClusterError;

/// Removes a pid file whose process isn't Postgres.
///
/// Postgres takes any live process of its user with that id for a server and refuses to start. In a container that is
/// restarted the same ids come again, so it would refuse for ever; likewise for a dead server that hasn't been reaped.
/// Postgres detects old backends that still use the shared memory without this file. Without `/proc` nothing is removed.
pub(crate) fn remove_stale(data: &Path) -> Result<(), ClusterError> {
    let path = data.join("postmaster.pid");
    let Some(pid) =
        std::fs::read_to_string(&path).ok().and_then(|text| text.lines().next()?.trim().parse::<u32>().ok())
    else {
        return Ok(());
    };
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return Ok(()) };
    if may_be_postgres(&stat) {
        return Ok(());
    }
    tracing::warn!(pid, path = %path.display(), "Removing a stale pid file");
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(ClusterError::at("remove", &path)(error)),
        _ => Ok(()),
    }
}

/// Reads `/proc/<pid>/stat`: `4711 (postgres) S ...` (proc_pid_stat(5)). If it can't be parsed, it may be Postgres.
fn may_be_postgres(stat: &str) -> bool {
    let Some((name, rest)) = stat.split_once('(').and_then(|(_, rest)| rest.rsplit_once(')')) else { return true };
    let dead = matches!(rest.trim_start().chars().next(), Some('Z' | 'X'));
    (name.starts_with("postgres") || name.starts_with("postmaster")) && !dead
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn only_a_living_postgres_counts_as_a_server() {
        assert!(may_be_postgres("7 (postgres) S 1 7 7"));
        assert!(!may_be_postgres("7 (postgres) Z 1 7 7"));
        assert!(!may_be_postgres("7 (barkeep) S 1 7 7"));
        assert!(!may_be_postgres("7 (a (postgres) b) S 1 7 7"));
        assert!(may_be_postgres("nonsense"));
    }

    #[test]
    fn a_pid_file_that_names_another_program_goes_and_one_that_names_nobody_stays() {
        let data = tempfile::tempdir().unwrap();
        let path = data.path().join("postmaster.pid");
        std::fs::write(&path, format!("{}\n/data\n", std::process::id())).unwrap();
        remove_stale(data.path()).unwrap();
        assert_eq!(path.exists(), !Path::new("/proc/self/stat").exists());

        std::fs::write(&path, "not a number\n").unwrap();
        remove_stale(data.path()).unwrap();
        assert!(path.exists());
    }
}
