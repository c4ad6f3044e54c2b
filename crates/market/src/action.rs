//! Corporate actions (splits and cash dividends) and price adjustment.
//!
//! In: unadjusted bars, oldest first, and a stock's actions. Out: the same bars, split-adjusted or adjusted for splits and
//! dividends. Holds: split adjustment keeps volume times price; without actions nothing changes.
//!
//! The arithmetic is that of CRSP, which Yahoo and others follow: a split of `new` for `old` shares multiplies earlier
//! prices by `old / new` and volumes by `new / old`; a cash dividend multiplies earlier prices by `1 - amount / close`,
//! where `close` is the last one before the ex-date, both unadjusted. Where a split is on the same day, the dividend is paid
//! on the new shares and the close is in old ones: it is `close * old / new`.

use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};

use crate::{Bar, Calendar};

/// A corporate action, dated by its ex-date.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Action {
    /// The first day, in exchange time, on which shares trade without it.
    pub ex_date: Date,
    #[serde(flatten)]
    pub kind: ActionKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ActionKind {
    /// `old` shares became `new`: 7 for 1 is `new: 7, old: 1`; a reverse split has `new < old`. Both are positive.
    Split { new: f64, old: f64 },
    /// Dollars per share, in the shares of that day.
    Dividend { amount: f64 },
}

impl Action {
    /// Of a split: what it multiplies the number of shares by.
    pub fn ratio(&self) -> Option<f64> {
        match self.kind {
            ActionKind::Split { new, old } => Some(new / old),
            ActionKind::Dividend { .. } => None,
        }
    }
}

/// Which actions are applied to unadjusted prices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Adjustment {
    /// Unadjusted.
    Raw,
    /// Split-adjusted: the default of charts.
    #[default]
    Splits,
    /// Adjusted for splits and dividends.
    All,
}

impl std::str::FromStr for Adjustment {
    type Err = InvalidAdjustment;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "raw" => Ok(Self::Raw),
            "splits" | "split" => Ok(Self::Splits),
            "all" => Ok(Self::All),
            _ => Err(InvalidAdjustment(text.chars().take(40).collect())),
        }
    }
}

/// The string isn't a valid adjustment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' isn't a valid adjustment: use raw, splits or all")]
pub struct InvalidAdjustment(pub String);

/// A factor that holds for bars that start before an instant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Midnight of the ex-date in the market's time zone.
    pub before: Timestamp,
    pub price: f64,
    pub volume: f64,
}

/// The factors of a stock's actions, oldest first. `close_before` returns the last unadjusted close before an ex-date; a
/// dividend without one, or not less than it, is ignored.
pub fn steps(
    actions: &[Action],
    calendar: Calendar,
    adjustment: Adjustment,
    close_before: impl Fn(Date) -> Option<f64>,
) -> Vec<Step> {
    // What becomes of a price on the day: the product of `old / new`.
    let split_on = |day: Date| -> f64 {
        let of_day = actions.iter().filter(|action| action.ex_date == day);
        of_day.filter_map(Action::ratio).map(f64::recip).product()
    };
    let step = |action: &Action| {
        let (price, volume) = match action.kind {
            _ if adjustment == Adjustment::Raw => return None,
            ActionKind::Split { new, old } => (old / new, new / old),
            ActionKind::Dividend { .. } if adjustment != Adjustment::All => return None,
            ActionKind::Dividend { amount } => {
                let close = close_before(action.ex_date)? * split_on(action.ex_date);
                (1.0 - amount / close, 1.0)
            }
        };
        let is_valid = |factor: f64| factor.is_finite() && factor > 0.0;
        (is_valid(price) && is_valid(volume)).then_some(Step {
            before: calendar.midnight(action.ex_date)?,
            price,
            volume,
        })
    };
    let mut steps: Vec<Step> = actions.iter().filter_map(step).collect();
    steps.sort_by_key(|step| step.before);
    steps
}

/// Applies the steps to unadjusted bars, in any order.
pub fn apply(bars: &mut [Bar], steps: &[Step]) {
    for bar in bars {
        let later = steps.iter().filter(|step| bar.start < step.before);
        let (price, volume) = later.fold((1.0, 1.0), |(p, v), step| (p * step.price, v * step.volume));
        scale(bar, price, volume);
    }
}

/// The reverse of [`apply`]: turns split-adjusted bars into unadjusted ones.
pub fn undo(bars: &mut [Bar], steps: &[Step]) {
    let inverse: Vec<Step> =
        steps.iter().map(|s| Step { before: s.before, price: 1.0 / s.price, volume: 1.0 / s.volume }).collect();
    apply(bars, &inverse);
}

fn scale(bar: &mut Bar, price: f64, volume: f64) {
    if price == 1.0 && volume == 1.0 {
        return;
    }
    for value in [&mut bar.open, &mut bar.high, &mut bar.low, &mut bar.close] {
        *value *= price;
    }
    bar.vwap = bar.vwap.map(|vwap| vwap * price);
    bar.volume *= volume;
}

/// The tolerance of [`ratio_near`]: prices also move overnight.
const NEAR: f64 = 0.04;

/// The ratio of small numbers that `step` is close to.
pub fn ratio_near(step: f64) -> Option<(u32, u32)> {
    let near = |(new, old): &(u32, u32)| (step * f64::from(*old) / f64::from(*new) - 1.0).abs() < NEAR;
    let whole = (2..=100).map(|n| (n, 1)).chain([(3, 2), (5, 2), (4, 3), (5, 4)]);
    whole.clone().find(near).or_else(|| whole.map(|(new, old)| (old, new)).find(near))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;

    const SPLIT: Action = Action { ex_date: date(2014, 6, 9), kind: ActionKind::Split { new: 7.0, old: 1.0 } };
    const DIVIDEND: Action = Action { ex_date: date(2014, 8, 7), kind: ActionKind::Dividend { amount: 0.47 } };

    fn bar(start: &str, close: f64) -> Bar {
        Bar {
            start: start.parse().unwrap(),
            open: close,
            high: close,
            low: close,
            close,
            volume: 1_000.0,
            vwap: Some(close),
            trade_count: Some(9),
        }
    }

    #[test]
    fn a_split_adjusts_earlier_prices_and_keeps_turnover() {
        let mut bars = [bar("2014-06-06T13:30:00Z", 644.0), bar("2014-06-09T04:00:00Z", 93.0)];
        let steps = steps(&[SPLIT, DIVIDEND], Calendar::Xnys, Adjustment::Splits, |_| None);
        apply(&mut bars, &steps);
        assert_eq!((bars[0].close, bars[0].volume, bars[0].vwap), (92.0, 7_000.0, Some(92.0)));
        assert_eq!((bars[1].close, bars[1].volume), (93.0, 1_000.0));
    }

    #[test]
    fn a_dividend_counts_only_in_full_adjustment_and_by_the_close_before_it() {
        let closes = |adjustment| {
            let mut bars = [bar("2014-08-06T13:30:00Z", 94.0), bar("2014-08-07T13:30:00Z", 94.0)];
            apply(&mut bars, &steps(&[SPLIT, DIVIDEND], Calendar::Xnys, adjustment, |_| Some(94.0)));
            bars.map(|bar| bar.close)
        };
        assert_eq!(closes(Adjustment::Raw), [94.0, 94.0]);
        assert_eq!(closes(Adjustment::Splits), [94.0, 94.0]);
        assert_eq!(closes(Adjustment::All), [94.0 * (1.0 - 0.47 / 94.0), 94.0]);
    }

    #[test]
    fn a_dividend_on_the_day_of_a_split_is_paid_on_the_new_shares() {
        let ex_date = date(2014, 6, 9);
        let split = Action { ex_date, kind: ActionKind::Split { new: 10.0, old: 1.0 } };
        let dividend = Action { ex_date, kind: ActionKind::Dividend { amount: 1.0 } };
        for actions in [[split, dividend], [dividend, split]] {
            let mut bars = [bar("2014-06-06T13:30:00Z", 1_000.0)];
            apply(&mut bars, &steps(&actions, Calendar::Xnys, Adjustment::All, |_| Some(1_000.0)));
            assert!((bars[0].close - 99.0).abs() < 1e-9, "{}", bars[0].close);
        }
        // The factor is that of the close, for every price before.
        let mut bars = [bar("2014-06-02T13:30:00Z", 500.0)];
        apply(&mut bars, &steps(&[split, dividend], Calendar::Xnys, Adjustment::All, |_| Some(1_000.0)));
        assert!((bars[0].close - 49.5).abs() < 1e-9, "{}", bars[0].close);
    }

    #[test]
    fn a_dividend_that_makes_no_sense_changes_nothing() {
        for close in [None, Some(0.0), Some(0.47), Some(0.2), Some(f64::NAN)] {
            assert_eq!(steps(&[DIVIDEND], Calendar::Xnys, Adjustment::All, |_| close), []);
        }
    }

    proptest! {
        #[test]
        fn undoing_gives_the_unadjusted_bars(new in 1_u32..50, old in 1_u32..50, close in 0.01..10_000.0_f64) {
            let split = Action {
                ex_date: date(2014, 6, 9),
                kind: ActionKind::Split { new: f64::from(new), old: f64::from(old) },
            };
            let steps = steps(&[split], Calendar::Xnys, Adjustment::Splits, |_| None);
            let mut bars = [bar("2014-06-06T13:30:00Z", close)];
            apply(&mut bars, &steps);
            undo(&mut bars, &steps);
            prop_assert!((bars[0].close / close - 1.0).abs() < 1e-12);
            prop_assert!((bars[0].volume / 1_000.0 - 1.0).abs() < 1e-12);
        }
    }
}
