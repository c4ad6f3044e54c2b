//! Checks a series against the stock's splits and dividends: as adjusted, no step may remain that looks like a split.

use jiff::civil::Date;
use market::{
    Action, ActionKind, Adjustment, Bar, Calendar, Timeframe,
    action::{self, ratio_near},
    evidence::{self, Judged, TELLING, Verdict},
};
use store::bars::StoredBar;

use super::{Finding, Kind};

/// A price change of more than this between two sessions is examined as a possible split.
const LIKE_A_SPLIT: f64 = 0.3;

/// How near a step is to a ratio, in logarithms: prices also move overnight.
const NEAR: f64 = 0.04;

/// Steps this many days from a split's day may be its own, dated wrongly.
const WITHIN_DAYS: i32 = 7;

/// The findings about a stock's splits and dividends in one of its series. `today`: in exchange time.
pub(super) fn check(
    stored: &[StoredBar],
    timeframe: Timeframe,
    calendar: Calendar,
    judged: &[Judged],
    today: Date,
) -> Vec<Finding> {
    if calendar == Calendar::AlwaysOpen {
        return Vec::new();
    }
    let judged: Vec<Judged> = judged.iter().filter(|judged| judged.record.action.ex_date <= today).cloned().collect();
    // A week with a split is partly in the old shares, and so is resampled when it is read.
    let mut findings = if timeframe == Timeframe::W1 { Vec::new() } else { jumps(stored, calendar, &judged) };
    findings.extend(disputed(stored, calendar, &judged));
    findings
}

/// Price changes between sessions like that of a split, in split-adjusted bars.
fn jumps(stored: &[StoredBar], calendar: Calendar, judged: &[Judged]) -> Vec<Finding> {
    let steps = action::steps(&evidence::applied(judged), calendar, Adjustment::Splits, |_| None);
    let mut adjusted: Vec<Bar> = stored.iter().map(|stored| stored.bar).collect();
    action::apply(&mut adjusted, &steps);
    let day = |bar: &Bar| calendar.date_of(bar.start);
    let mut findings = Vec::new();
    for pair in adjusted.windows(2) {
        let [before, after] = pair else { continue };
        if day(before) == day(after) {
            continue;
        }
        // A first trade is often reported in the old shares: the bar's close must show the step too.
        let steps = [before.close / after.open, before.close / after.close];
        let is_large = |step: f64| (step - 1.0).abs() >= LIKE_A_SPLIT || (1.0 / step - 1.0).abs() >= LIKE_A_SPLIT;
        let days = (day(before), day(after));
        let listed = judged.iter().find(|judged| steps.iter().all(|step| remains(&judged.record.action, *step, days)));
        let like = ratio_near(steps[0]).filter(|_| steps.into_iter().all(is_large));
        let message = match (listed, like) {
            (Some(judged), _) => format!(
                "adjusted for splits it opens at {} after a close of {}: a step like that of the split that {} lists for {}",
                after.open, before.close, judged.record.source, judged.record.action.ex_date
            ),
            (None, Some((new, old))) => {
                format!("opens at {} after a close of {}: a split of {new} for {old}?", after.open, before.close)
            }
            (None, None) => continue,
        };
        findings.push(Finding { kind: Kind::Jump, at: after.start, message });
    }
    findings
}

/// Whether the step is that of the split, or its reciprocal, close to its day.
fn remains(action: &Action, step: f64, (before, after): (Date, Date)) -> bool {
    let Some(ratio) = action.ratio() else { return false };
    let (step, expected) = (step.ln(), ratio.ln());
    let days = |from: Date, to: Date| from.until(to).map_or(i32::MAX, |span| span.get_days());
    expected.abs() > TELLING
        && (step.abs() - expected.abs()).abs() < NEAR
        && days(before, action.ex_date) <= WITHIN_DAYS
        && days(action.ex_date, after) <= WITHIN_DAYS
}

/// Records that the bars contradict, and such that are applied though no longer listed, where the series spans their day.
fn disputed(stored: &[StoredBar], calendar: Calendar, judged: &[Judged]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for Judged { record, verdict, around } in judged {
        let Some(midnight) = calendar.midnight(record.action.ex_date) else { continue };
        let first_after = stored.partition_point(|bar| bar.bar.start < midnight);
        let Some(at) = stored.get(first_after).filter(|_| first_after > 0).map(|bar| bar.bar.start) else { continue };
        let what = match record.action.kind {
            ActionKind::Split { new, old } => format!("a split of {new} for {old} on {}", record.action.ex_date),
            ActionKind::Dividend { amount } => format!("a dividend of {amount} on {}", record.action.ex_date),
        };
        let source = &record.source;
        let (kind, message) = match (verdict, around) {
            (Verdict::Contradicted, Some(around)) => (
                Kind::Contradicted,
                format!(
                    "{source} lists {what}, and the bars open at {} after a close of {}: it is not applied",
                    around.after, around.before
                ),
            ),
            (Verdict::Withdrawn, _) => {
                (Kind::Withdrawn, format!("{source} no longer lists {what}: it is still applied"))
            }
            _ => continue,
        };
        findings.push(Finding { kind, at, message });
    }
    findings
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use jiff::civil::date;
    use market::evidence::{Record, judge};

    use super::*;

    const TODAY: Date = date(2026, 11, 20);

    fn series(closes: &[f64]) -> Vec<StoredBar> {
        let bar = |(index, close): (usize, &f64)| StoredBar {
            bar: Bar {
                start: Calendar::Xnys.midnight(date(2026, 11, 9 + i8::try_from(index).unwrap())).unwrap(),
                open: *close,
                high: *close,
                low: *close,
                close: *close,
                volume: 1.0,
                vwap: None,
                trade_count: None,
            },
            provider: "alpaca/sip".to_owned(),
            is_final: true,
        };
        closes.iter().enumerate().map(bar).collect()
    }

    fn kinds(closes: &[f64], records: Vec<Record>) -> Vec<Kind> {
        let stored = series(closes);
        let around = |day: Date| {
            let after = usize::try_from(day.day() - 9).unwrap();
            let price = |index: usize| stored[index].bar.close;
            Some(evidence::Around {
                before: price(after - 1),
                after: price(after),
                settled: price(after),
                days: 1,
                usual: Some(0.01),
            })
        };
        let judged = judge(records, around);
        check(&stored, Timeframe::D1, Calendar::Xnys, &judged, TODAY).into_iter().map(|finding| finding.kind).collect()
    }

    fn split(day: i8, new: f64, old: f64) -> Record {
        let action = Action { ex_date: date(2026, 11, day), kind: ActionKind::Split { new, old } };
        Record { action, source: "alpaca".to_owned(), listed: true, seen: TODAY }
    }

    #[test]
    fn a_step_that_no_split_explains_and_a_split_that_no_step_shows_are_found() {
        assert_eq!(kinds(&[100.0, 101.0, 100.0, 102.0], Vec::new()), []);
        assert_eq!(kinds(&[100.0, 101.0, 10.2, 10.0], Vec::new()), [Kind::Jump]);
        assert_eq!(kinds(&[100.0, 101.0, 10.2, 10.0], vec![split(11, 10.0, 1.0)]), []);
        assert_eq!(kinds(&[100.0, 101.0, 102.0, 100.0], vec![split(11, 10.0, 1.0)]), [Kind::Contradicted]);
        // Dated a day too early: the one is excluded, and the step remains.
        assert_eq!(kinds(&[100.0, 101.0, 10.2, 10.0], vec![split(10, 10.0, 1.0)]), [Kind::Jump, Kind::Contradicted]);
        // A ratio smaller than what is examined without a list.
        assert_eq!(kinds(&[100.0, 101.0, 84.0, 85.0], vec![split(10, 6.0, 5.0)]), [Kind::Jump, Kind::Contradicted]);
        assert_eq!(kinds(&[100.0, 101.0, 84.0, 85.0], Vec::new()), []);
        // Stored ten times too high before the split.
        assert_eq!(
            kinds(&[1_000.0, 1_010.0, 10.2, 10.0], vec![split(11, 10.0, 1.0)]),
            [Kind::Jump, Kind::Contradicted]
        );
    }

    #[test]
    fn a_first_trade_in_the_old_shares_and_a_week_with_a_split_are_none() {
        let mut stored = series(&[645.0, 645.7, 93.77, 94.0]);
        stored[2].bar.open = 645.57;
        stored[2].bar.high = 645.57;
        let around = |_| Some(evidence::Around { before: 645.7, after: 645.57, settled: 93.77, days: 1, usual: None });
        let judged = judge(vec![split(11, 7.0, 1.0)], around);
        assert_eq!(check(&stored, Timeframe::D1, Calendar::Xnys, &judged, TODAY), []);
        // The close of the week of the split is in the new shares.
        let weeks = [100.0, 10.0, 10.1].iter().enumerate().map(|(index, close)| {
            let mut week = series(&[*close]).remove(0);
            week.bar.start += jiff::SignedDuration::from_hours(7 * 24 * i64::try_from(index).unwrap());
            week
        });
        let weeks: Vec<StoredBar> = weeks.collect();
        let midweek = judge(vec![split(18, 10.0, 1.0)], |_| None);
        assert_eq!(check(&weeks, Timeframe::W1, Calendar::Xnys, &midweek, TODAY), []);
    }

    #[test]
    fn what_is_applied_though_no_longer_listed_is_found_where_the_series_spans_it() {
        let unlisted = Record { listed: false, ..split(11, 10.0, 1.0) };
        assert_eq!(kinds(&[100.0, 101.0, 10.2, 10.0], vec![unlisted.clone()]), [Kind::Withdrawn]);
        assert_eq!(kinds(&[100.0, 101.0, 102.0, 100.0], vec![unlisted]), []);
    }
}
