//! Splits and dividends in a chart.
//!
//! In: events by unix second, with dividends in today's shares. Out: actions, with dividends in the shares of their
//! day. For that the events must cover the time from the range until now.

use std::collections::BTreeMap;

use jiff::{Timestamp, civil::Date};
use market::{Action, ActionKind, Calendar, Range};
use serde::Deserialize;

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
    date: i64,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Split {
    date: i64,
    numerator: f64,
    denominator: f64,
}

/// The actions whose ex-dates lie in `range`, oldest first.
pub(super) fn actions(provider: &str, events: Events, range: Range) -> Vec<Action> {
    let is_positive = |number: f64| number.is_finite() && number > 0.0;
    let splits = sound(provider, events.splits.into_values(), |split| {
        is_positive(split.numerator) && is_positive(split.denominator) && day(split.date).is_some()
    });
    let dividends = sound(provider, events.dividends.into_values(), |dividend| {
        is_positive(dividend.amount) && day(dividend.date).is_some()
    });
    let splits: Vec<(Date, f64, f64)> =
        splits.iter().filter_map(|split| Some((day(split.date)?, split.numerator, split.denominator))).collect();
    let mut actions: Vec<Action> = splits
        .iter()
        .map(|(ex_date, new, old)| Action { ex_date: *ex_date, kind: ActionKind::Split { new: *new, old: *old } })
        .collect();
    actions.extend(dividends.iter().filter_map(|dividend| {
        let ex_date = day(dividend.date)?;
        let later = splits.iter().filter(|(date, ..)| *date > ex_date);
        let amount = later.fold(dividend.amount, |amount, (_, new, old)| amount * new / old);
        Some(Action { ex_date, kind: ActionKind::Dividend { amount } })
    }));
    let (first, last) = days_of(range);
    actions.retain(|action| first <= action.ex_date && action.ex_date <= last);
    actions.sort_by_key(|action| action.ex_date);
    actions
}

fn day(second: i64) -> Option<Date> {
    Timestamp::from_second(second).ok().map(|at| Calendar::Xnys.date_of(at))
}
