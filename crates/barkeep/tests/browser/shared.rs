//! The server and the driver that tests share, each made for whoever comes first and gone with the last of those that run at
//! once. A test has its own user and, where it changes what is stored, its own symbol.

use std::{
    future::Future,
    sync::{Arc, Weak},
};

use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::running::{Market, Served};

/// After the day's last bars and the look for late trades: nothing comes due by itself.
pub(crate) const EVENING: &str = "2026-06-18T23:00:00Z";

/// One for all who need it at the same time.
pub(crate) struct Shared<T>(Mutex<Weak<T>>);

impl<T> Shared<T> {
    pub(crate) const fn new() -> Self {
        Self(Mutex::const_new(Weak::new()))
    }

    pub(crate) async fn get<F: Future<Output = T>>(&self, make: impl FnOnce() -> F) -> Arc<T> {
        let mut held = self.0.lock().await;
        if let Some(made) = held.upgrade() {
            return made;
        }
        let made = Arc::new(make().await);
        *held = Arc::downgrade(&made);
        made
    }
}

/// `barkeep up` and its provider, which answers at once.
pub(crate) struct Site {
    pub(crate) served: Served,
    _provider: Provider,
}

/// The server that tests share.
pub(crate) async fn site() -> Arc<Site> {
    static SITE: Shared<Site> = Shared::new();
    SITE.get(|| async {
        let (provider, url) = Provider::start();
        let served = Served::start_with(|command| {
            command.env("APCA_API_DATA_URL", url).args(["--as-of", EVENING]);
        })
        .await;
        Site { served, _provider: provider }
    })
    .await
}

/// A simulator on a thread of its own: the runtime of the test that made it ends with that test.
struct Provider {
    stop: CancellationToken,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Provider {
    fn start() -> (Self, String) {
        let stop = CancellationToken::new();
        let (stopped, (tell, told)) = (stop.clone(), std::sync::mpsc::channel());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let market = Market::start(Market::settings(EVENING)).await;
                tell.send(market.url()).unwrap();
                stopped.cancelled().await;
            });
        });
        (Self { stop, thread: Some(thread) }, told.recv().unwrap())
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.stop.cancel();
        let _ = self.thread.take().map(std::thread::JoinHandle::join);
    }
}
