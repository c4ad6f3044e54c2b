//! Splits and dividends in a chart.
//!
//! In: events by unix second, with dividends in today's shares. Out: actions, with dividends in the shares of their
//! day. For that the events must cover the time from the range until now.

use std::collections::BTreeMap;

use jiff::{Timestamp, civil::Date};
use market::{Action, ActionKind, Calendar, Range};
use serde::Deserialize;

use crate::days::days_of;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Events {
    dividends: BTreeMap<String, Dividend>,
    splits: BTreeMap<String, Split>,
}

#[derive(Debug, Deserialize)]
struct Dividend {
    amount: f64,
    date: i64,
}

#[derive(Debug, Deserialize)]
struct Split {
    date: i64,
    numerator: f64,
    denominator: f64,
}

/// The actions whose ex-dates lie in `range`, oldest first.
pub(super) fn actions(events: Events, range: Range) -> Result<Vec<Action>, String> {
    let mut splits = Vec::new();
    for split in events.splits.into_values() {
        let (new, old) = (split.numerator, split.denominator);
        if !(new > 0.0 && old > 0.0) {
            return Err(format!("a split of {new} for {old}"));
        }
        splits.push((day(split.date)?, new, old));
    }
    let mut actions: Vec<Action> = splits
        .iter()
        .map(|(ex_date, new, old)| Action { ex_date: *ex_date, kind: ActionKind::Split { new: *new, old: *old } })
        .collect();
    for dividend in events.dividends.into_values() {
        let ex_date = day(dividend.date)?;
        let later = splits.iter().filter(|(date, ..)| *date > ex_date);
        let amount = later.fold(dividend.amount, |amount, (_, new, old)| amount * new / old);
        actions.push(Action { ex_date, kind: ActionKind::Dividend { amount } });
    }
    let (first, last) = days_of(range);
    actions.retain(|action| first <= action.ex_date && action.ex_date <= last);
    actions.sort_by_key(|action| action.ex_date);
    Ok(actions)
}

fn day(second: i64) -> Result<Date, String> {
    let at = Timestamp::from_second(second).map_err(|_| format!("an event at {second} s"))?;
    Ok(Calendar::Xnys.date_of(at))
}
