//! Reports regularly that this process is alive, and follows the market clock that another process has set.

use std::net::SocketAddr;

use store::{
    Database,
    clock::{self, SharedClock},
    events::Signals,
    processes::{self, ProcessInfo, Role},
};
use tokio_util::sync::CancellationToken;

/// How this process is listed among the others.
pub(crate) fn process_info(name: &str, parts: Vec<Role>, slots: u16, address: Option<SocketAddr>) -> ProcessInfo {
    ProcessInfo {
        name: name.to_owned(),
        parts,
        host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION"),
        slots,
        address: address.map(|address| address.to_string()),
    }
}

/// Sends heartbeats until stopped.
pub(crate) async fn run(
    database: &Database,
    process: &ProcessInfo,
    shared_clock: &SharedClock,
    signals: &Signals,
    stop: &CancellationToken,
) {
    let mut hears = signals.hears.clone();
    loop {
        let hears_now = *hears.borrow_and_update();
        if let Err(error) = processes::heartbeat(database, process, hears_now).await {
            tracing::warn!(%error, "Could not send a heartbeat");
        }
        if let Ok(clock) = clock::read(database).await {
            shared_clock.set(clock);
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(processes::HEARTBEAT_INTERVAL) => {}
            // Without a listener the value never changes, and the branch is disabled.
            Ok(()) = hears.changed() => {}
        }
    }
}
