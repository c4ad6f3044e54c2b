//! This machine: disk space and clock.

use jiff::Timestamp;

use super::Finding;
use crate::config::Config;

/// A year of 500 symbols in three timeframes takes about a gigabyte.
const WARN_BELOW: u64 = 2 << 30;
const BROKEN_BELOW: u64 = 200 << 20;

/// Before this program was written, so that no right clock shows it.
const EARLIEST_NOW: Timestamp = Timestamp::constant(1_764_000_000, 0);

pub(super) fn disk(config: &Config) -> Finding {
    const CHECK: &str = "disk space";
    if config.database_url.is_some() {
        return Finding::ok(CHECK, "not checked: the database is on another server");
    }
    // Of the data directory, or of the closest existing directory above it.
    let Some(dir) = config.data_dir.ancestors().find(|dir| dir.exists()) else {
        return Finding::warning(
            CHECK,
            "the data directory and all directories above it are missing",
            "Choose another with --data-dir",
        );
    };
    let free = match rustix::fs::statvfs(dir) {
        Ok(stat) => stat.f_bavail.saturating_mul(stat.f_frsize),
        Err(error) => {
            return Finding::warning(
                CHECK,
                format!("could not read the free space of {}: {error}", dir.display()),
                "Choose another with --data-dir",
            );
        }
    };
    let found = format!("{} MiB free at {}", free >> 20, dir.display());
    let fix = "Free some disk space, or move the data directory to a larger disk (--data-dir)";
    match free {
        free if free < BROKEN_BELOW => Finding::broken(CHECK, found, fix),
        free if free < WARN_BELOW => Finding::warning(CHECK, found, fix),
        _ => Finding::ok(CHECK, found),
    }
}

pub(super) fn clock() -> Finding {
    let now = Timestamp::now();
    match now > EARLIEST_NOW {
        true => Finding::ok("clock", format!("{now:.0}")),
        false => Finding::broken("clock", format!("it shows {now:.0}"), "Set this machine's clock (NTP)"),
    }
}
