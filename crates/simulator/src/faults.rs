//! Configured faults, and which requests have them.
//!
//! In: kinds with their shares. Out: for the n-th request, its fault or none. Holds: no randomness is involved, so a
//! run can be repeated; a share of 1 means every request, and a share of 0.25 about every fourth, evenly spread.

use std::{collections::VecDeque, fmt, str::FromStr};

use crate::{SimError, synthetic::noise};

/// Kinds of faults. [`FaultKind::Malformed`] and those after it apply to pages of bars only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// 429 with `Retry-After` of so many seconds, though the limit isn't reached.
    Throttle { seconds: u32 },
    /// 500, 502, 503 and 504 in turns; with JSON, with HTML, with plain text and without a body.
    ServerError,
    /// No response, until the client gives up or the simulator stops.
    Hang,
    /// The connection breaks after half of the response.
    Cut,
    /// 200 with JSON that ends in the middle.
    Malformed,
    /// A duplicate bar.
    Duplicate,
    /// Bars of a symbol in the wrong order.
    Unsorted,
    /// An invalid bar: high below low, a negative price, a negative volume, in turns.
    Insane,
    /// An additional bar from more than a year before the first.
    Stray,
    /// `NaN` in place of a price.
    NotANumber,
    /// An additional bar that starts between two others.
    OffGrid,
    /// A bar twice, with different values.
    Contradiction,
    /// 200 with an error object in place of bars.
    Words,
    /// Bars under the name of another symbol.
    Foreign,
    /// Half of the page's bars, and a token that leads to the rest.
    Short,
    /// No bars, and a token that leads to them; never two such pages in a row.
    Empty,
    /// A share of all bars, and not of requests, appears late: by up to so many seconds after its end.
    Late { seconds: u32 },
}

/// A kind of fault and the share of requests that it falls on, or of bars that are late. Written `cut=0.1`,
/// `throttle:30=0.05`, `late=0.05:600`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fault {
    pub kind: FaultKind,
    /// 0 to 1.
    pub share: f64,
}

/// The text is not a fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' isn't a valid fault: write KIND=SHARE with a share of 0 to 1, where KIND is throttle, throttle:SECONDS, 5xx, hang, \
     cut, malformed, duplicate, unsorted, insane, stray, nan, off-grid, contradiction, words, foreign, short or empty; or \
     late=SHARE:SECONDS"
)]
pub struct InvalidFault(pub String);

impl FaultKind {
    const NAMES: [(&str, Self); 16] = [
        ("throttle", Self::Throttle { seconds: 1 }),
        ("5xx", Self::ServerError),
        ("hang", Self::Hang),
        ("cut", Self::Cut),
        ("malformed", Self::Malformed),
        ("duplicate", Self::Duplicate),
        ("unsorted", Self::Unsorted),
        ("insane", Self::Insane),
        ("stray", Self::Stray),
        ("nan", Self::NotANumber),
        ("off-grid", Self::OffGrid),
        ("contradiction", Self::Contradiction),
        ("words", Self::Words),
        ("foreign", Self::Foreign),
        ("short", Self::Short),
        ("empty", Self::Empty),
    ];

    fn parse(text: &str) -> Option<Self> {
        if let Some(seconds) = text.strip_prefix("throttle:") {
            return Some(Self::Throttle { seconds: seconds.parse().ok()? });
        }
        Self::NAMES.into_iter().find(|(name, _)| *name == text).map(|(_, kind)| kind)
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Throttle { seconds } = self {
            return write!(f, "throttle:{seconds}");
        }
        let name = Self::NAMES.iter().find(|(_, kind)| kind == self).map_or("", |(name, _)| name);
        f.pad(name)
    }
}

impl FromStr for Fault {
    type Err = InvalidFault;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (kind, share) = text.trim().split_once('=')?;
            let (share, kind) = match kind.trim() {
                "late" => {
                    let (share, seconds) = share.split_once(':')?;
                    (share, FaultKind::Late { seconds: seconds.trim().parse().ok()? })
                }
                kind => (share, FaultKind::parse(kind)?),
            };
            let share: f64 = share.trim().parse().ok()?;
            (0.0..=1.0).contains(&share).then_some(Self { kind, share })
        };
        parse().ok_or_else(|| InvalidFault(text.chars().take(60).collect()))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            FaultKind::Late { seconds } => write!(f, "late={}:{seconds}", self.share),
            kind => write!(f, "{kind}={}", self.share),
        }
    }
}

/// Which bars are late, and by how much: always the same ones.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Late {
    share: f64,
    seconds: i64,
    seed: u64,
}

impl Late {
    /// Whether a bar of `symbol` that starts and ends then has not appeared yet at `now`, all in unix seconds.
    pub(crate) fn withholds(&self, symbol: &str, start: i64, end: i64, now: i64) -> bool {
        let bits = noise::mix(self.seed ^ noise::of_text(symbol) ^ noise::mix(start as u64));
        let delay = 1 + (noise::unit(noise::mix(bits)) * self.seconds as f64) as i64;
        noise::unit(bits) < self.share && now < end.saturating_add(delay.min(self.seconds))
    }
}

/// Which request has which fault.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    faults: Vec<Fault>,
    late: Option<Late>,
    /// Where in [0, 1) the sequence begins.
    phase: f64,
    /// Faults of the next requests, one each, in place of the shares.
    next: VecDeque<Option<FaultKind>>,
}

impl Plan {
    /// # Errors
    /// [`SimError::Faults`] where the shares add up to more than 1, or one isn't a share.
    pub(crate) fn new(mut faults: Vec<Fault>, seed: u64) -> Result<Self, SimError> {
        let late = faults.extract_if(.., |fault| matches!(fault.kind, FaultKind::Late { .. })).last();
        let late = late.and_then(|fault| match fault.kind {
            FaultKind::Late { seconds } => Some(Late { share: fault.share, seconds: i64::from(seconds), seed }),
            _ => None,
        });
        let sum: f64 = faults.iter().map(|fault| fault.share).sum();
        let shares = faults.iter().all(|fault| (0.0..=1.0).contains(&fault.share));
        // Adding 0.1 ten times can exceed 1 by a rounding error.
        if !shares || sum > 1.0 + 1e-9 {
            return Err(SimError::Faults(sum));
        }
        Ok(Self { faults, late, phase: noise::unit(noise::mix(seed)), next: VecDeque::new() })
    }

    /// Which bars are late.
    pub(crate) fn late(&self) -> Option<Late> {
        self.late
    }

    /// Sets the faults of the next requests, one each; then shares apply again.
    pub(crate) fn set_next(&mut self, next: impl IntoIterator<Item = Option<FaultKind>>) {
        self.next = next.into_iter().collect();
    }

    /// The fault of the `n`-th request, which is the current one.
    pub(crate) fn take(&mut self, n: u64) -> Option<FaultKind> {
        self.next.pop_front().unwrap_or_else(|| self.fault_for(n))
    }

    /// The fault of the `n`-th request, by the shares.
    ///
    /// Multiples of the golden ratio, modulo 1, fill [0, 1) as evenly as any sequence can; each fault owns a part of
    /// that length.
    fn fault_for(&self, n: u64) -> Option<FaultKind> {
        const GOLDEN: f64 = 0.618_033_988_749_894_9;
        let place = (n as f64 * GOLDEN + self.phase).fract();
        let mut end = 0.0;
        self.faults.iter().find_map(|fault| {
            end += fault.share;
            (place < end).then_some(fault.kind)
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests may panic")]

    use super::*;

    #[test]
    fn faults_are_read_as_they_are_written() {
        for (text, kind, share) in [
            ("throttle=0.1", FaultKind::Throttle { seconds: 1 }, 0.1),
            ("throttle:30=1", FaultKind::Throttle { seconds: 30 }, 1.0),
            (" 5xx = .5 ", FaultKind::ServerError, 0.5),
            ("empty=0", FaultKind::Empty, 0.0),
            ("off-grid=0.5", FaultKind::OffGrid, 0.5),
            ("late=0.05:600", FaultKind::Late { seconds: 600 }, 0.05),
        ] {
            let fault: Fault = text.parse().expect(text);
            assert_eq!(fault, Fault { kind, share });
            assert_eq!(fault.to_string().parse(), Ok(fault));
        }
        for text in [
            "",
            "hang",
            "hang=",
            "hang=2",
            "hang=-0.1",
            "hang=NaN",
            "5xx:3=1",
            "throttle:x=1",
            "quake=0.1",
            "late=0.1",
            "late:9=0.1",
        ] {
            assert_eq!(text.parse::<Fault>(), Err(InvalidFault(text.to_owned())));
        }
    }

    #[test]
    fn a_share_of_one_is_every_request_and_a_quarter_about_every_fourth() {
        let plan = |text: &str, seed| Plan::new(vec![text.parse().unwrap()], seed).unwrap();
        for seed in 0..20 {
            assert!((0..1_000).all(|n| plan("hang=1", seed).fault_for(n) == Some(FaultKind::Hang)));
            assert!((0..1_000).all(|n| plan("hang=0", seed).fault_for(n).is_none()));
            let quarter = plan("cut=0.25", seed);
            for first in [0, 1_000, 1 << 30] {
                let hits = (first..first + 100).filter(|n| quarter.fault_for(*n).is_some()).count();
                assert!((23..=27).contains(&hits), "{hits} of 100");
                assert!((first..first + 8).any(|n| quarter.fault_for(n).is_some()));
            }
        }
    }

    #[test]
    fn faults_that_are_set_for_the_next_requests_go_before_shares_and_are_used_up() {
        let mut plan = Plan::new(vec!["hang=1".parse().unwrap()], 0).unwrap();
        plan.set_next([Some(FaultKind::Cut), None]);
        let taken: Vec<_> = (0..3).map(|n| plan.take(n)).collect();
        assert_eq!(taken, [Some(FaultKind::Cut), None, Some(FaultKind::Hang)]);
    }

    #[test]
    fn late_bars_are_a_share_of_all_and_appear_in_time() {
        let late =
            Plan::new(vec!["late=0.05:600".parse().unwrap(), "hang=1".parse().unwrap()], 7).unwrap().late().unwrap();
        let withheld =
            |now: i64| (0..10_000).filter(|n| late.withholds("KO", n * 900, n * 900 + 900, n * 900 + now)).count();
        assert!((450..=550).contains(&withheld(900)), "{}", withheld(900));
        assert!((200..=300).contains(&withheld(1_200)), "{}", withheld(1_200));
        assert_eq!(withheld(1_500), 0);
    }

    #[test]
    fn several_faults_all_get_their_share_and_more_than_all_requests_is_refused() {
        let faults = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<Fault>>();
        let plan = Plan::new(faults(&["cut=0.3", "5xx=0.3", "hang=0.3"]), 7).unwrap();
        for kind in [FaultKind::Cut, FaultKind::ServerError, FaultKind::Hang] {
            let hits = (0..1_000).filter(|n| plan.fault_for(*n) == Some(kind)).count();
            assert!((290..=310).contains(&hits), "{kind}: {hits} of 1000");
        }
        assert!(matches!(Plan::new(faults(&["cut=0.6", "hang=0.6"]), 7), Err(SimError::Faults(_))));
        assert!(Plan::new(vec![Fault { kind: FaultKind::Cut, share: f64::NAN }], 7).is_err());
        assert!(Plan::new(faults(&["cut=0.1"; 10]), 7).is_ok());
    }
}
