//! This machine: disk room and clock.

use jiff::Timestamp;

use super::Finding;
use crate::config::Config;

/// A year of 500 symbols in three timeframes takes about a gigabyte.
const ENOUGH: u64 = 2 << 30;
const TOO_LITTLE: u64 = 200 << 20;

/// Before this program was written.
const SURELY_PAST: Timestamp = Timestamp::constant(1_764_000_000, 0);

pub(super) fn disk(config: &Config) -> Finding {
    const CHECK: &str = "disk room";
    if config.database_url.is_some() {
        return Finding::ok(CHECK, "the database's own machine has to have it");
    }
    // Of the folder, or of where it would be made.
    let Some(dir) = config.data_dir.ancestors().find(|dir| dir.exists()) else {
        return Finding::warning(CHECK, "the data directory is nowhere", "Choose another with --data-dir");
    };
    let free = match rustix::fs::statvfs(dir) {
        Ok(stat) => stat.f_bavail.saturating_mul(stat.f_frsize),
        Err(error) => {
            return Finding::warning(
                CHECK,
                format!("{} can't be asked: {error}", dir.display()),
                "Choose another with --data-dir",
            );
        }
    };
    let told = format!("{} MiB free at {}", free >> 20, dir.display());
    let mend = "Make room, or move the data directory to a larger disk (--data-dir)";
    match free {
        free if free < TOO_LITTLE => Finding::broken(CHECK, told, mend),
        free if free < ENOUGH => Finding::warning(CHECK, told, mend),
        _ => Finding::ok(CHECK, told),
    }
}

pub(super) fn clock() -> Finding {
    let now = Timestamp::now();
    match now > SURELY_PAST {
        true => Finding::ok("clock", format!("{now:.0}")),
        false => Finding::broken("clock", format!("it shows {now:.0}"), "Set this machine's clock (NTP)"),
    }
}
