//! The market's time: the wall clock's, or a past instant that runs on.

use std::{fmt, sync::Arc, time::Instant};

use jiff::{SignedDuration, Timestamp};

/// The market's clock. Copies show the same time.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// The wall clock's time.
    pub fn wall() -> Self {
        Self::by(Timestamp::now)
    }

    /// Shows `instant` now and runs on from there at the wall clock's rate.
    pub fn starting_at(instant: Timestamp) -> Self {
        let started = Instant::now();
        Self::by(move || {
            let passed = SignedDuration::try_from(started.elapsed()).unwrap_or(SignedDuration::MAX);
            instant.checked_add(passed).unwrap_or(Timestamp::MAX)
        })
    }

    /// Shows the time of `now`: for a frozen clock, or one that a test advances.
    pub fn by(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clock").field(&self.now()).finish()
    }
}
