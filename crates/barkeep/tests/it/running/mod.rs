//! A running `barkeep up`, and the binary for single commands.

mod databases;
pub(crate) mod http;
mod market;
mod served;
mod up;
mod waiting;

use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use tempfile::TempDir;

pub(crate) use self::{
    databases::{database, empty_database, quiet_database},
    market::{Market, set_market_clock},
    served::Served,
    up::{Part, Up},
    waiting::{PATIENCE, a_moment, eventually, finish, finish_within, finished},
};

/// A data directory of its own, gone with what its private server kept elsewhere.
#[derive(Debug)]
pub(crate) struct Place {
    dir: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        // For the tests' own requests; whichever test is first installs it.
        rustls::crypto::ring::default_provider().install_default().ok();
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The binary on this data directory, cut off from the settings of whoever runs the tests.
    pub(crate) fn barkeep(&self, args: &[&str]) -> Command {
        let mut command = self.bare(args);
        command.arg("--data-dir").arg(self.path());
        command
    }

    /// The same without naming the data directory.
    pub(crate) fn bare(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_barkeep"));
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if [
                "APCA_",
                "BARKEEP_",
                "SUPABASE_",
                "MASSIVE_",
                "POLYGON_",
                "TRADIER_",
                "FINNHUB_",
                "YAHOO_",
                "BINANCE_",
                "COINBASE_",
            ]
            .iter()
            .any(|p| name.starts_with(p))
                || name == "DATABASE_URL"
            {
                command.env_remove(&*name);
            }
        }
        // Nothing by the clock but what belongs to filling series: a test that promises upkeep switches it on.
        command.env("BARKEEP_LOG", "warn,sqlx=error").env("BARKEEP_UPKEEP", "off");
        // Test databases are named, and without a provider simulated bars belong into them.
        command.env("BARKEEP_SIMULATED", "on");
        let args = args.iter().map(|arg| databases::url_for_commands(arg));
        command.args(args).current_dir(self.path()).stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        finish(self.barkeep(args))
    }

    /// Runs a command that must succeed and returns what it printed.
    pub(crate) fn printed(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "barkeep {args:?} failed: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a command that must fail and returns its complaint.
    pub(crate) fn complaint(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(!output.status.success(), "barkeep {args:?} should have failed");
        String::from_utf8(output.stderr).unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Run as root, the server's files lie where its user can reach them.
        if let Ok(elsewhere) = std::fs::read_to_string(self.path().join("postgres/elsewhere")) {
            let elsewhere = PathBuf::from(elsewhere.trim());
            if elsewhere.is_absolute() && elsewhere.components().count() > 3 {
                let _ = std::fs::remove_dir_all(elsewhere);
            }
        }
    }
}
