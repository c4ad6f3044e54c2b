//! Counts requests by minutes of the wall clock, and says when there are too many.
//!
//! In: each request's instant. Out: what its answer's headers say, and whether it goes too far. What holds: no more
//! than the limit is let through in any minute that begins at second 0, which is how Alpaca's resets lie.

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

/// Where a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) limit: u32,
    pub(crate) remaining: u32,
    /// Unix seconds at which counting starts afresh.
    pub(crate) reset: i64,
    /// One request too many.
    pub(crate) exceeded: bool,
}

impl Window {
    pub(crate) fn new(limit: u32) -> Self {
        Self { limit, reset: i64::MIN, used: 0 }
    }

    /// Counts one request.
    pub(crate) fn take(&mut self, now: Timestamp) -> Standing {
        let reset = (now.as_second().div_euclid(SECONDS) + 1) * SECONDS;
        if reset > self.reset {
            (self.reset, self.used) = (reset, 0);
        }
        let exceeded = self.used >= self.limit;
        if !exceeded {
            self.used += 1;
        }
        Standing { limit: self.limit, remaining: self.limit - self.used, reset: self.reset, exceeded }
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
        let standing = |remaining, exceeded| Standing { limit: 2, remaining, reset: 1_721_224_860, exceeded };
        assert_eq!(window.take(at(0)), standing(1, false));
        assert_eq!(window.take(at(30)), standing(0, false));
        assert_eq!(window.take(at(59)), standing(0, true));
        assert_eq!(window.take(at(59)), standing(0, true));
        assert_eq!(window.take(at(60)), Standing { reset: 1_721_224_920, ..standing(1, false) });
    }

    #[test]
    fn a_wall_clock_that_jumps_back_gives_no_second_allowance() {
        let mut window = Window::new(1);
        let at = |second: i64| Timestamp::from_second(1_721_224_800 + second).unwrap();
        assert!(!window.take(at(61)).exceeded);
        assert!(window.take(at(3)).exceeded);
    }
}
