//! Lists whose records stand each for itself: corporate actions.
//!
//! In: a list as sent. Out: those of its records that can be read and make sense, each once. Holds: what is wrong with one
//! record costs the others nothing, and is logged.

use std::fmt::Debug;

use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;

use crate::words::presentable;

/// A record, or what is wrong with it.
#[derive(Debug)]
pub(crate) struct Record<T>(Result<T, String>);

impl<'de, T: DeserializeOwned> Deserialize<'de> for Record<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let sent = Value::deserialize(deserializer)?;
        Ok(Self(T::deserialize(&sent).map_err(|error| format!("{error} in {sent}"))))
    }
}

/// The records for which `is_sound`, in their order. Equal ones are one: what tells two apart that happen to be alike (the
/// days on which they are paid and recorded) is part of a record.
pub(crate) fn sound<T: Debug + PartialEq>(
    provider: &str,
    records: impl IntoIterator<Item = Record<T>>,
    is_sound: impl Fn(&T) -> bool,
) -> Vec<T> {
    let mut all: Vec<T> = Vec::new();
    for Record(record) in records {
        match record {
            Ok(record) if !is_sound(&record) => warn(provider, &format!("no such thing as {record:?}")),
            Ok(record) if all.contains(&record) => {}
            Ok(record) => all.push(record),
            Err(problem) => warn(provider, &problem),
        }
    }
    all
}

fn warn(provider: &str, problem: &str) {
    let problem = presentable(problem, &[]);
    tracing::warn!(provider, "A corporate action that can't be read is left out: {problem}");
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Dividend {
        amount: f64,
        paid: Option<String>,
    }

    #[test]
    fn a_bad_record_costs_itself_and_equal_ones_are_one() {
        let sent = r#"[
            {"id": 1, "amount": 2.0, "paid": "2026-11-20"}, {"id": 2, "amount": 2.0, "paid": "2026-11-20"},
            {"paid": "2026-11-20"}, {"amount": 2.0, "paid": "2026-12-20"}, {"amount": 0}, null, 7, {"amount": 1}
        ]"#;
        let records: Vec<Record<Dividend>> = serde_json::from_str(sent).unwrap();
        let read = sound("test", records, |dividend| dividend.amount > 0.0);
        let read: Vec<_> = read.iter().map(|dividend| (dividend.amount, dividend.paid.as_deref())).collect();
        assert_eq!(read, [(2.0, Some("2026-11-20")), (2.0, Some("2026-12-20")), (1.0, None)]);
    }
}
