//! `postmaster.pid`, which a killed server leaves behind, and the processes it may name by mistake.

use std::io;
use std::path::Path;

use crate::ClusterError;

/// Removes a pid file whose process is no Postgres.
///
/// Postgres itself takes any living process of its user with that id for a server and refuses to start, for ever where
/// ids come round again, as they do in a container that starts anew; and so for a dead server that nobody has reaped.
/// Old backends that still hold the memory are found by Postgres without this file. Where there is no `/proc` nothing is
/// removed.
pub(crate) fn forget_a_stranger(data: &Path) -> Result<(), ClusterError> {
    let path = data.join("postmaster.pid");
    let Some(pid) =
        std::fs::read_to_string(&path).ok().and_then(|text| text.lines().next()?.trim().parse::<u32>().ok())
    else {
        return Ok(());
    };
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return Ok(()) };
    if may_be_a_server(&stat) {
        return Ok(());
    }
    tracing::warn!(pid, path = %path.display(), "Removing the pid file of a server that is no more");
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(ClusterError::at("remove", &path)(error)),
        _ => Ok(()),
    }
}

/// Reads `/proc/<pid>/stat`: `4711 (postgres) S ...` (proc_pid_stat(5)). What can't be read may be one.
fn may_be_a_server(stat: &str) -> bool {
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
        assert!(may_be_a_server("7 (postgres) S 1 7 7"));
        assert!(!may_be_a_server("7 (postgres) Z 1 7 7"));
        assert!(!may_be_a_server("7 (barkeep) S 1 7 7"));
        assert!(!may_be_a_server("7 (a (postgres) b) S 1 7 7"));
        assert!(may_be_a_server("nonsense"));
    }

    #[test]
    fn a_pid_file_that_names_another_program_goes_and_one_that_names_nobody_stays() {
        let data = tempfile::tempdir().unwrap();
        let path = data.path().join("postmaster.pid");
        std::fs::write(&path, format!("{}\n/data\n", std::process::id())).unwrap();
        forget_a_stranger(data.path()).unwrap();
        assert_eq!(path.exists(), !Path::new("/proc/self/stat").exists());

        std::fs::write(&path, "not a number\n").unwrap();
        forget_a_stranger(data.path()).unwrap();
        assert!(path.exists());
    }
}
