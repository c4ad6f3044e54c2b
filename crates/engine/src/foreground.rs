//! Foreground before background: while this process works on a request that a user waits for, its background work
//! pauses between its steps.
//!
//! In: foreground work, marked by a guard. Out: background work that waits, never for long. The order of requests is
//! decided by the queue; this is about processors and locks, of which a small machine has few.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::watch;

/// Covers the few steps between a user's request and the claim of the runs that it needs.
const LINGER: Duration = Duration::from_millis(150);

/// The longest wait of background work: it progresses even under constant interest.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug)]
struct Urgent {
    under_way: usize,
    ended_at: Option<Instant>,
}

impl Urgent {
    /// How much longer background work should wait, as far as is known. `None`: not at all.
    fn left(&self) -> Option<Duration> {
        if self.under_way > 0 {
            return Some(PATIENCE);
        }
        LINGER.checked_sub(self.ended_at?.elapsed()).filter(|left| !left.is_zero())
    }
}

/// Cheap to clone; all clones share one state.
#[derive(Clone, Debug)]
pub struct Foreground(Arc<watch::Sender<Urgent>>);

impl Default for Foreground {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(Urgent { under_way: 0, ended_at: None })))
    }
}

impl Foreground {
    /// Marks foreground work, until the guard is dropped and a moment longer.
    #[must_use = "foreground work is marked while the guard is held"]
    pub fn enter(&self) -> ForegroundGuard {
        self.0.send_modify(|urgent| urgent.under_way += 1);
        ForegroundGuard(self.clone())
    }

    /// Whether background work should yield.
    pub fn is_busy(&self) -> bool {
        self.0.borrow().left().is_some()
    }

    /// Returns when no foreground work is in progress, or after a second.
    pub async fn wait_until_idle(&self) {
        let mut changes = self.0.subscribe();
        let quiet = async {
            loop {
                let Some(left) = changes.borrow_and_update().left() else { return };
                // Can't fail: `self` holds the sender.
                let _ = tokio::time::timeout(left, changes.changed()).await;
            }
        };
        let _ = tokio::time::timeout(PATIENCE, quiet).await;
    }
}

/// Marks foreground work while it is held.
#[derive(Debug)]
pub struct ForegroundGuard(Foreground);

impl Drop for ForegroundGuard {
    fn drop(&mut self) {
        self.0.0.send_modify(|urgent| {
            urgent.under_way -= 1;
            urgent.ended_at = Some(Instant::now());
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn background_work_does_not_wait_without_foreground_work() {
        let foreground = Foreground::default();
        assert!(!foreground.is_busy());
        assert!(tokio::time::timeout(Duration::from_millis(1), foreground.wait_until_idle()).await.is_ok());
    }

    #[tokio::test]
    async fn background_work_continues_a_moment_after_the_last_foreground_work_has_ended() {
        let foreground = Foreground::default();
        let (one, other) = (foreground.enter(), foreground.clone().enter());
        let began = Instant::now();
        let still = tokio::spawn({
            let foreground = foreground.clone();
            async move { foreground.wait_until_idle().await }
        });
        drop(one);
        assert!(foreground.is_busy());
        drop(other);
        assert!(still.await.is_ok());
        assert!(began.elapsed() >= LINGER); // by the clock: a lower bound, which a busy machine only exceeds
        assert!(!foreground.is_busy());
    }

    #[tokio::test]
    async fn endless_foreground_work_does_not_stop_background_work() {
        let foreground = Foreground::default();
        let _waits = foreground.enter();
        foreground.wait_until_idle().await;
        assert!(foreground.is_busy());
    }
}
