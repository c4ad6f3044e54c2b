//! Says that this process lives, and hears what time others have set.

use std::net::SocketAddr;

use store::{
    Database,
    clock::{self, SharedClock},
    events::Signals,
    processes::{self, Introduction, Part},
};
use tokio_util::sync::CancellationToken;

/// What a process says of itself.
pub(crate) fn introduction(name: &str, parts: Vec<Part>, slots: u16, address: Option<SocketAddr>) -> Introduction {
    Introduction {
        name: name.to_owned(),
        parts,
        host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION"),
        slots,
        address: address.map(|address| address.to_string()),
    }
}

/// Until stopped.
pub(crate) async fn beat(
    database: &Database,
    process: &Introduction,
    shared: &SharedClock,
    signals: &Signals,
    stop: &CancellationToken,
) {
    let mut hears = signals.hears.clone();
    loop {
        let heard = *hears.borrow_and_update();
        if let Err(error) = processes::beat(database, process, heard).await {
            tracing::warn!(%error, "This process could not report that it lives");
        }
        if let Ok(clock) = clock::read(database).await {
            shared.set(clock);
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(processes::BEAT) => {}
            // Without a listener nobody ever tells.
            Ok(()) = hears.changed() => {}
        }
    }
}
