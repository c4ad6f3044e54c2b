//! Formats numbers, instants and coverage for pages.

use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};
use store::coverage::SeriesCoverage;

/// A price with the usual number of decimals for its size.
pub(super) fn price(value: f64) -> String {
    let decimals = decimals(value);
    format!("{value:.decimals$}")
}

pub(super) fn decimals(value: f64) -> usize {
    match value.abs() {
        v if v >= 1.0 || v == 0.0 => 2,
        v if v >= 0.01 => 4,
        _ => 8,
    }
}

/// `+1.25%`.
pub(super) fn change(from: f64, to: f64) -> Option<String> {
    (from > 0.0).then(|| format!("{:+.2}%", (to / from - 1.0) * 100.0))
}

/// `1,234,567`.
pub(super) fn count(n: i64) -> String {
    let digits = n.unsigned_abs().to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if n < 0 { format!("−{text}") } else { text }
}

/// An instant in UTC; `time.js` rewrites it in the chosen time zone.
pub(super) fn instant(at: Timestamp) -> Markup {
    html! { time datetime=(at) { (at.strftime("%Y-%m-%d %H:%M")) " UTC" } }
}

/// How long ago, roughly.
pub(super) fn ago(at: Timestamp, now: Timestamp) -> String {
    let elapsed = now.duration_since(at);
    if elapsed < SignedDuration::from_secs(2) { "now".to_owned() } else { format!("{} ago", duration(elapsed)) }
}

/// `3 s`, `12 min`, `5 h`, `9 d`.
pub(super) fn duration(duration: SignedDuration) -> String {
    let secs = duration.as_secs().max(0);
    match secs {
        0..=89 => format!("{secs} s"),
        90..=5399 => format!("{} min", (secs + 30) / 60),
        5400..=172_799 => format!("{} h", (secs + 1800) / 3600),
        _ => format!("{} d", (secs + 43_200) / 86_400),
    }
}

/// The coverage of a series, as pages show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CoverageStatus {
    Complete,
    /// Percent of the expected bars.
    Filling(u8),
    /// Complete except for bars that no provider offers.
    HeldBack,
    Failing,
    Unknown,
    Idle,
}

impl CoverageStatus {
    pub(super) fn new(series: &SeriesCoverage) -> Self {
        match series.state.as_str() {
            "complete" if series.unavailable > 0 => Self::HeldBack,
            "complete" => Self::Complete,
            "failing" => Self::Failing,
            "unknown" => Self::Unknown,
            "paused" | "not tracked" => Self::Idle,
            _ => Self::Filling(percent(series)),
        }
    }

    /// The class in the style sheet.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Filling(_) => "filling",
            Self::HeldBack => "held-back",
            Self::Failing => "failing",
            Self::Unknown => "unknown",
            Self::Idle => "idle",
        }
    }

    /// A short label.
    pub(super) fn label(self) -> String {
        match self {
            Self::Complete => "complete".to_owned(),
            Self::Filling(percent) => format!("backfilling {percent}%"),
            Self::HeldBack => "limited by the data plan".to_owned(),
            Self::Failing => "failing".to_owned(),
            Self::Unknown => "unknown symbol".to_owned(),
            Self::Idle => "not tracked".to_owned(),
        }
    }

    /// For a table cell.
    pub(super) fn short(self, series: &SeriesCoverage) -> String {
        match self {
            Self::Complete => "✓".to_owned(),
            Self::Unknown => "?".to_owned(),
            Self::Idle => "–".to_owned(),
            Self::HeldBack => "✓*".to_owned(),
            Self::Failing => "!".to_owned(),
            Self::Filling(_) => format!("{}%", percent(series)),
        }
    }
}

/// The covered share of the expected bars; 100 only where nothing is missing.
pub(super) fn percent(series: &SeriesCoverage) -> u8 {
    if series.expected <= 0 {
        return if series.missing > 0 { 0 } else { 100 };
    }
    let done = (series.expected - series.missing).clamp(0, series.expected);
    u8::try_from(done * 100 / series.expected).unwrap_or(100)
}

/// The label, with the reason where there is one.
pub(super) fn description(series: &SeriesCoverage) -> String {
    let label = CoverageStatus::new(series).label();
    match (&series.reason, series.unavailable) {
        (Some(reason), _) => format!("{label}: {reason}"),
        (None, unavailable) if unavailable > 0 => {
            format!("{label}: {} bars not available from any provider", count(unavailable))
        }
        (None, _) => label,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_formatted() {
        assert_eq!(count(0), "0");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(count(-100), "−100");
        assert_eq!(
            (price(131.5), price(0.25), price(0.000_012_3)),
            ("131.50".into(), "0.2500".into(), "0.00001230".into())
        );
        assert_eq!(change(100.0, 101.25).as_deref(), Some("+1.25%"));
        assert_eq!(change(0.0, 1.0), None);
        let text = |secs| duration(SignedDuration::from_secs(secs));
        assert_eq!((text(3), text(89), text(90)), ("3 s".into(), "89 s".into(), "2 min".into()));
        assert_eq!((text(7_200), text(-5), text(864_000)), ("2 h".into(), "0 s".into(), "10 d".into()));
    }
}
