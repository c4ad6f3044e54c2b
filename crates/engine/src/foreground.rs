//! Who has the machine: while something is on its way that somebody waits for, background work of this process keeps still
//! between its steps.
//!
//! In: whoever asks, and packs with interest under way. Out: background work that waits, never long. Whose request is sent
//! first is the queue's to say; this is about processors and locks, of which a laptop has few.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::watch;

/// From what somebody asked to the claim of what is to be fetched for it there are a few steps.
const LINGER: Duration = Duration::from_millis(150);

/// Background work waits no longer than this for its next step: it is done too under endless interest.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug)]
struct Urgent {
    under_way: usize,
    ended_at: Option<Instant>,
}

impl Urgent {
    /// How long it keeps others still, as far as can be said. `None`: not at all.
    fn left(&self) -> Option<Duration> {
        if self.under_way > 0 {
            return Some(PATIENCE);
        }
        LINGER.checked_sub(self.ended_at?.elapsed()).filter(|left| !left.is_zero())
    }
}

/// Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Foreground(Arc<watch::Sender<Urgent>>);

impl Default for Foreground {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(Urgent { under_way: 0, ended_at: None })))
    }
}

impl Foreground {
    /// Somebody waits, until the guard is dropped and a moment longer.
    #[must_use = "somebody waits for as long as the guard is held"]
    pub fn enter(&self) -> ForegroundGuard {
        self.0.send_modify(|urgent| urgent.under_way += 1);
        ForegroundGuard(self.clone())
    }

    /// Whether background work should let others go first.
    pub fn is_busy(&self) -> bool {
        self.0.borrow().left().is_some()
    }

    /// Returns when nobody waits, or after a second.
    pub async fn wait_until_idle(&self) {
        let mut changes = self.0.subscribe();
        let quiet = async {
            loop {
                let Some(left) = changes.borrow_and_update().left() else { return };
                // A sender that is gone can't be: this holds one.
                let _ = tokio::time::timeout(left, changes.changed()).await;
            }
        };
        let _ = tokio::time::timeout(PATIENCE, quiet).await;
    }
}

/// That somebody waits.
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
    async fn nothing_keeps_still_where_nobody_waits() {
        let foreground = Foreground::default();
        assert!(!foreground.is_busy());
        assert!(tokio::time::timeout(Duration::from_millis(1), foreground.wait_until_idle()).await.is_ok());
    }

    #[tokio::test]
    async fn background_work_goes_on_when_the_last_has_what_they_wait_for_and_a_moment_has_passed() {
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
        assert!(began.elapsed() >= LINGER); // by the clock: at least, and a busy machine only makes it more
        assert!(!foreground.is_busy());
    }

    #[tokio::test]
    async fn whoever_waits_for_ever_does_not_stop_background_work() {
        let foreground = Foreground::default();
        let _waits = foreground.enter();
        foreground.wait_until_idle().await;
        assert!(foreground.is_busy());
    }
}
