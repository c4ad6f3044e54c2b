//! Splits and dividends in a chart.
//!
//! In: events by unix second, with dividends in today's shares. Out: actions, with dividends in the shares of their
//! day. For that the events must cover the time from the range until now.

use std::collections::BTreeMap;

use jiff::{Timestamp, civil::Date};
use market::{Action, ActionKind, Calendar, Range};
use serde::{Deserialize, Deserializer, de::Error as _};

use crate::{
    days::days_of,
    record::{Record, sound},
};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Events {
    dividends: BTreeMap<String, Record<Dividend>>,
    splits: BTreeMap<String, Record<Split>>,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Dividend {
    amount: f64,
    #[serde(deserialize_with = "day")]
    date: Date,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Split {
    #[serde(deserialize_with = "day")]
    date: Date,
    numerator: f64,
    denominator: f64,
}

/// The actions whose ex-dates lie in `range`, oldest first.
pub(super) fn actions(provider: &str, mut events: Events, range: Range) -> Vec<Action> {
    let sent = events.splits.len();
    let splits = sound(provider, events.splits.into_values(), |split| split.numerator > 0.0 && split.denominator > 0.0);
    if splits.len() < sent {
        tracing::warn!(provider, "Dividends are left out, since a split behind their amounts can't be read");
        events.dividends.clear();
    }
    let dividends = sound(provider, events.dividends.into_values(), |dividend| dividend.amount > 0.0);
    let mut actions: Vec<Action> = splits
        .iter()
        .map(|split| {
            let kind = ActionKind::Split { new: split.numerator, old: split.denominator };
            Action { ex_date: split.date, kind }
        })
        .collect();
    actions.extend(dividends.iter().map(|dividend| {
        let later = splits.iter().filter(|split| split.date > dividend.date);
        let amount = later.fold(dividend.amount, |amount, split| amount * split.numerator / split.denominator);
        Action { ex_date: dividend.date, kind: ActionKind::Dividend { amount } }
    }));
    let (first, last) = days_of(range);
    actions.retain(|action| first <= action.ex_date && action.ex_date <= last);
    actions.sort_by_key(|action| action.ex_date);
    actions
}

/// The day in New York of a unix second.
fn day<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Date, D::Error> {
    let second = i64::deserialize(deserializer)?;
    let at = Timestamp::from_second(second).map_err(|_| D::Error::custom(format_args!("an event at {second} s")))?;
    Ok(Calendar::Xnys.date_of(at))
}
