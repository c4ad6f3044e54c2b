//! Numbers as providers send them.
//!
//! In: a JSON number, one in quotes, or `null`; a body in which bare `NaN` and `Infinity` stand, which no JSON has. Out: a
//! number that may be NaN. Holds: what is no number costs its own bar, which the check of bars finds invalid, and not the
//! whole answer; anything else in its place (a list, an object, a truth value) is another format, and an error.

use std::borrow::Cow;

use serde::{
    Deserialize, Deserializer,
    de::{Error, Visitor},
};

/// A number, NaN where none was sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Number(f64);

impl Number {
    /// NaN where none was sent, infinite where it was.
    pub(crate) const fn value(self) -> f64 {
        self.0
    }

    /// `None` where it is not finite: for what a bar may lack.
    pub(crate) fn finite(self) -> Option<f64> {
        self.0.is_finite().then_some(self.0)
    }

    /// A count; `None` where it isn't a whole number.
    pub(crate) fn count(self) -> Option<i64> {
        /// Beyond it floats have no fractions and whole numbers have gaps.
        const LARGEST: f64 = 9_007_199_254_740_992.0;
        let is_whole = self.0.fract() == 0.0 && self.0.abs() <= LARGEST;
        is_whole.then_some(self.0 as i64)
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyNumber).map(Self)
    }
}

struct AnyNumber;

impl Visitor<'_> for AnyNumber {
    type Value = f64;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a number")
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<f64, E> {
        Ok(number)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<f64, E> {
        Ok(number as f64)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<f64, E> {
        Ok(number as f64)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<f64, E> {
        Ok(text.trim().parse().unwrap_or(f64::NAN))
    }

    fn visit_unit<E: Error>(self) -> Result<f64, E> {
        Ok(f64::NAN)
    }
}

/// What some write for what is no number.
const BARE: [&[u8]; 5] = [b"-Infinity", b"+Infinity", b"Infinity", b"-NaN", b"NaN"];

/// The body with `null` for each bare NaN and Infinity outside of strings; borrowed where there is none.
pub(crate) fn without_bare(body: &[u8]) -> Cow<'_, [u8]> {
    let (mut changed, mut copied) = (Vec::new(), 0);
    let (mut at, mut in_string) = (0, false);
    while let Some(byte) = body.get(at) {
        match byte {
            b'\\' if in_string => at += 1,
            b'"' => in_string = !in_string,
            b'N' | b'I' | b'-' | b'+' if !in_string => {
                if let Some(word) = BARE.iter().find(|word| body[at..].starts_with(word)) {
                    changed.extend_from_slice(&body[copied..at]);
                    changed.extend_from_slice(b"null");
                    copied = at + word.len();
                    at = copied;
                    continue;
                }
            }
            _ => {}
        }
        at += 1;
    }
    if copied == 0 {
        return Cow::Borrowed(body);
    }
    changed.extend_from_slice(&body[copied..]);
    Cow::Owned(changed)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]

    use super::*;

    #[test]
    fn numbers_come_bare_or_in_quotes_and_what_is_none_is_nan() {
        let read = |json: &str| serde_json::from_str::<Number>(json).unwrap().value();
        assert_eq!((read("1.5"), read("-3"), read("18446744073709551615")), (1.5, -3.0, 18_446_744_073_709_551_615.0));
        assert_eq!((read("\"1.5\""), read("\" 2 \"")), (1.5, 2.0));
        for none in ["null", "\"\"", "\"-\"", "\"n/a\"", "\"NaN\""] {
            assert!(read(none).is_nan(), "{none}");
        }
        for other in ["[]", "{}", "true"] {
            assert!(serde_json::from_str::<Number>(other).is_err(), "{other}");
        }
    }

    #[test]
    fn counts_are_whole() {
        let count = |json: &str| serde_json::from_str::<Number>(json).unwrap().count();
        assert_eq!((count("12"), count("12.0"), count("\"12\"")), (Some(12), Some(12), Some(12)));
        assert_eq!((count("12.5"), count("null"), count("1e300")), (None, None, None));
    }

    #[test]
    fn bare_words_become_null_and_those_in_strings_stay() {
        let sent = br#"{"a":NaN,"b":[-Infinity,Infinity, NaN],"c":"NaN \"Infinity","d":-1,"NaN":"x\\"}"#;
        let read = br#"{"a":null,"b":[null,null, null],"c":"NaN \"Infinity","d":-1,"NaN":"x\\"}"#;
        assert_eq!(without_bare(sent), Cow::<[u8]>::Owned(read.to_vec()));
        assert!(matches!(without_bare(br#"{"a":1}"#), Cow::Borrowed(_)));
        assert!(matches!(without_bare(b"\"\\"), Cow::Borrowed(_)));
    }
}
