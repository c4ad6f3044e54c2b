//! Counts requests by minutes of the wall clock, and detects when there are too many.
//!
//! In: each request's instant. Out: the values of its response's headers, and whether it exceeds the limit. Holds: no
//! more than the limit is accepted in any minute that begins at second 0, which is how Alpaca's windows are aligned.

use jiff::Timestamp;

const SECONDS: i64 = 60;

/// The current minute's requests.
#[derive(Debug)]
pub(crate) struct Window {
    limit: u32,
    /// Unix seconds.
    reset: i64,
    used: u32,
}

/// The state of the window after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WindowState {
    pub(crate) limit: u32,
    pub(crate) remaining: u32,
    /// Unix seconds at which the next window begins.
    pub(crate) reset: i64,
    /// The request exceeds the limit.
    pub(crate) exceeded: bool,
}

impl Window {
    pub(crate) fn new(limit: u32) -> Self {
        Self { limit, reset: i64::MIN, used: 0 }
    }

    /// Counts one request.
    pub(crate) fn take(&mut self, now: Timestamp) -> WindowState {
        let reset = (now.as_second().div_euclid(SECONDS) + 1) * SECONDS;
        if reset > self.reset {
            (self.reset, self.used) = (reset, 0);
        }
        let exceeded = self.used >= self.limit;
        if !exceeded {
            self.used += 1;
        }
        WindowState { limit: self.limit, remaining: self.limit - self.used, reset: self.reset, exceeded }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests may panic")]

    use super::*;

    #[test]
    fn one_request_too_many_is_refused_until_the_minute_ends() {
        let mut window = Window::new(2);
        let at = |second: i64| Timestamp::from_second(1_721_224_800 + second).unwrap();
        let window_state = |remaining, exceeded| WindowState { limit: 2, remaining, reset: 1_721_224_860, exceeded };
        assert_eq!(window.take(at(0)), window_state(1, false));
        assert_eq!(window.take(at(30)), window_state(0, false));
        assert_eq!(window.take(at(59)), window_state(0, true));
        assert_eq!(window.take(at(59)), window_state(0, true));
        assert_eq!(window.take(at(60)), WindowState { reset: 1_721_224_920, ..window_state(1, false) });
    }

    #[test]
    fn a_wall_clock_that_jumps_back_gives_no_second_allowance() {
        let mut window = Window::new(1);
        let at = |second: i64| Timestamp::from_second(1_721_224_800 + second).unwrap();
        assert!(!window.take(at(61)).exceeded);
        assert!(window.take(at(3)).exceeded);
    }
}
