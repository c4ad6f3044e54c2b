//! Lengths of time on the command line.

use jiff::SignedDuration;

/// Parses `90s`, `5m`, `1h30m`.
pub(super) fn parse(text: &str) -> Result<SignedDuration, String> {
    let duration: Option<SignedDuration> = text.trim().parse().ok();
    duration
        .filter(SignedDuration::is_positive)
        .ok_or_else(|| "expected a length of time, for example 90s, 5m or 1h30m".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_positive_and_have_units() {
        assert_eq!(parse("90s"), Ok(SignedDuration::from_secs(90)));
        assert_eq!(parse(" 1h30m "), Ok(SignedDuration::from_mins(90)));
        for text in ["", "5", "abc", "-5m", "0s", "99999999999999999999h"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
