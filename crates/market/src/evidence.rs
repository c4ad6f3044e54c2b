//! Which splits and dividends hold: judged from all records of all sources and from the bars around their days.
//!
//! In: a stock's records, and its unadjusted trades around the days of its splits. Out: a [`Verdict`] on each record.
//! Holds: at most one split a day is applied, and at most one source's dividends; a split that the bars clearly exclude is
//! not; a record that a source no longer lists is applied while the bars show it.

use std::collections::BTreeMap;

use jiff::civil::Date;

use crate::{Action, ActionKind};

/// The source of a split that was detected in bars and that no provider has listed.
pub const NOTICED: &str = "noticed";

/// An action as a source lists it.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    pub action: Action,
    /// A provider, or [`NOTICED`].
    pub source: String,
    /// Whether the source's latest list has it.
    pub listed: bool,
    /// The last day on which it was listed, in exchange time.
    pub seen: Date,
}

/// The unadjusted trades around a day.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Around {
    /// The last price before the day.
    pub before: f64,
    /// The first price on or after it.
    pub after: f64,
    /// The close of the bar that begins with it: a first trade is often reported in the old shares.
    pub settled: f64,
    /// Days between the two.
    pub days: u32,
    /// The median change from one day's close to the next, in absolute logarithms; `None`: too few days are stored.
    pub usual: Option<f64>,
}

/// What is made of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is applied.
    Applied,
    /// Its source lists it no longer. It is applied, since the bars show it, or it had taken effect while it was listed.
    Withdrawn,
    /// Its source lists it no longer, and it is not applied.
    CalledOff,
    /// The bars exclude it: it is not applied.
    Contradicted,
    /// Another record of the same event is applied.
    Superseded,
}

impl Verdict {
    pub fn is_applied(self) -> bool {
        matches!(self, Self::Applied | Self::Withdrawn)
    }
}

/// A record and its verdict.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    pub record: Record,
    pub verdict: Verdict,
    /// Of a split: the trades around its day, if they are stored.
    pub around: Option<Around>,
}

/// A ratio or a step that is nearer to one can't be told from an ordinary move: in logarithms, about a tenth of the price. A
/// stock moves as far on a bad day, and ratios like 21:20 are within it.
pub const TELLING: f64 = 0.1;

/// So many times the usual change of a day is out of the ordinary.
const TIMES_USUAL: f64 = 6.0;

/// The usual change where it is unknown.
const USUAL: f64 = 0.02;

/// Splits of the same ratio that are as many days apart are the same split.
const SAME_SPLIT_WITHIN: i32 = 30;

/// The same for dividends of the same amount: some are paid every week.
const SAME_DIVIDEND_WITHIN: i32 = 4;

/// A source that lists one dividend in place of another has corrected its day or its amount, by no more than this.
const CORRECTED_WITHIN: i32 = 6;
const CORRECTED_BY: f64 = 0.2;

/// Judges all records of one stock. `around` returns the trades around a day, if there are any.
pub fn judge(records: Vec<Record>, around: impl Fn(Date) -> Option<Around>) -> Vec<Judged> {
    let mut days: BTreeMap<(Date, bool), Vec<Record>> = BTreeMap::new();
    for record in records {
        days.entry((record.action.ex_date, record.action.ratio().is_none())).or_default().push(record);
    }
    let mut judged: Vec<Judged> = Vec::new();
    for ((day, are_dividends), records) in days {
        match are_dividends {
            true => judged.extend(judge_dividends(records)),
            false => judged.extend(judge_splits(records, around(day))),
        }
    }
    one_of_each_event(&mut judged);
    judged
}

/// The actions that are applied, oldest first.
pub fn applied(judged: &[Judged]) -> Vec<Action> {
    judged.iter().filter(|judged| judged.verdict.is_applied()).map(|judged| judged.record.action).collect()
}

/// How well the step fits the ratio.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
enum Fit {
    Excluded,
    /// Nothing is known, or too small a ratio to tell.
    Open,
    Shown,
}

fn fit(action: &Action, around: Option<&Around>) -> (Fit, f64) {
    let (Some(ratio), Some(around)) = (action.ratio(), around) else { return (Fit::Open, 0.0) };
    let expected = ratio.ln();
    let steps = [around.after, around.settled].map(|price| (around.before / price).ln());
    let off = steps.iter().filter(|step| step.is_finite()).map(|step| (step - expected).abs()).reduce(f64::min);
    let Some(off) = off.filter(|_| expected.is_finite()) else { return (Fit::Open, 0.0) };
    // A price wanders with the square root of time.
    let days = f64::from(around.days.max(1)).sqrt();
    let ordinary = TELLING.max(TIMES_USUAL * around.usual.unwrap_or(USUAL)) * days;
    let tells = expected.abs() > ordinary;
    let fit = match off <= expected.abs() / 2.0 {
        true => Fit::Shown,
        false if tells && off > ordinary => Fit::Excluded,
        false => Fit::Open,
    };
    (fit, off)
}

/// Of several records for a day the one that fits the step best; listed ones and those of providers first.
fn judge_splits(records: Vec<Record>, around: Option<Around>) -> Vec<Judged> {
    let fits: Vec<(Fit, f64)> = records.iter().map(|record| fit(&record.action, around.as_ref())).collect();
    let rank = |index: usize| {
        let (Some(record), Some((fit, off))) = (records.get(index), fits.get(index)) else { return None };
        // Equal ratios fit equally, whatever their last digit.
        let off = if *fit == Fit::Shown { (off * -1e3).round() } else { 0.0 };
        Some((*fit, off, record.listed, record.source != NOTICED, record.seen))
    };
    let best = (0..records.len()).max_by(|a, b| rank(*a).partial_cmp(&rank(*b)).unwrap_or(std::cmp::Ordering::Equal));
    let verdicts: Vec<Verdict> = records
        .iter()
        .zip(&fits)
        .enumerate()
        .map(|(index, (record, (fit, _)))| {
            let is_best = Some(index) == best;
            match (fit, record.listed) {
                (Fit::Excluded, true) => Verdict::Contradicted,
                (Fit::Excluded, false) => Verdict::CalledOff,
                _ if !is_best => Verdict::Superseded,
                (_, true) => Verdict::Applied,
                (Fit::Shown, false) => Verdict::Withdrawn,
                (Fit::Open, false) => unlisted(record),
            }
        })
        .collect();
    records.into_iter().zip(verdicts).map(|(record, verdict)| Judged { record, verdict, around }).collect()
}

/// Those of the source that listed them last: sources round differently.
fn judge_dividends(records: Vec<Record>) -> Vec<Judged> {
    let best = records.iter().max_by_key(|record| (record.listed, record.seen)).map(|record| record.source.clone());
    let judged = records.into_iter().map(|record| {
        let verdict = match (best.as_ref() == Some(&record.source), record.listed) {
            (false, _) => Verdict::Superseded,
            (true, true) => Verdict::Applied,
            (true, false) => unlisted(&record),
        };
        Judged { record, verdict, around: None }
    });
    judged.collect()
}

/// What took effect while it was listed isn't called off later.
fn unlisted(record: &Record) -> Verdict {
    if record.action.ex_date <= record.seen { Verdict::Withdrawn } else { Verdict::CalledOff }
}

/// Sources date the same event some days apart, and a source may correct a date: one of the records is applied.
fn one_of_each_event(judged: &mut [Judged]) {
    let value = |action: &Action| match action.kind {
        ActionKind::Split { new, old } => new / old,
        ActionKind::Dividend { amount } => amount,
    };
    let same = |one: &Judged, other: &Judged| {
        let (a, b) = (&one.record.action, &other.record.action);
        let is_corrected = one.record.source == other.record.source && one.record.listed != other.record.listed;
        let (within, by) = match (a.ratio().is_some(), is_corrected) {
            (true, _) => (SAME_SPLIT_WITHIN, 0.01),
            (false, true) => (CORRECTED_WITHIN, CORRECTED_BY),
            (false, false) => (SAME_DIVIDEND_WITHIN, 0.01),
        };
        // A source lists each of its events once.
        (one.record.source != other.record.source || !one.record.listed || !other.record.listed)
            && a.ratio().is_some() == b.ratio().is_some()
            && (value(a) / value(b) - 1.0).abs() <= by
            && a.ex_date.until(b.ex_date).is_ok_and(|span| span.get_days().abs() <= within)
    };
    for first in 0..judged.len() {
        for second in first + 1..judged.len() {
            let (head, tail) = judged.split_at_mut(second);
            let (Some(one), Some(other)) = (head.get_mut(first), tail.first_mut()) else { continue };
            if !one.verdict.is_applied() || !other.verdict.is_applied() || !same(one, other) {
                continue;
            }
            let rank = |judged: &Judged| {
                let (fit, _) = fit(&judged.record.action, judged.around.as_ref());
                (fit == Fit::Shown, judged.record.listed, judged.record.source != NOTICED, judged.record.seen)
            };
            let lesser = if rank(one) < rank(other) { one } else { other };
            lesser.verdict = Verdict::Superseded;
        }
    }
}

#[cfg(test)]
#[path = "evidence_tests.rs"]
mod tests;
