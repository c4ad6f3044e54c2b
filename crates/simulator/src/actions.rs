//! Splits and dividends that the simulator lists.
//!
//! In: a CSV file with `symbol,ex_date,ratio` and, where there are dividends, `dividend`. Out: each stock's actions. A ratio
//! of 7 is 7 new shares for one; 0.1 is one for ten.

use std::{collections::BTreeMap, fs::File, path::Path};

use jiff::civil::Date;
use market::{Action, ActionKind, Ticker};
use serde::Deserialize;

use crate::SimError;

#[derive(Debug, Deserialize)]
struct Line {
    symbol: String,
    ex_date: String,
    ratio: Option<f64>,
    #[serde(default)]
    dividend: Option<f64>,
}

/// Reads the file.
///
/// # Errors
/// What is wrong with it, and in which line.
pub fn read_actions(file: &Path) -> Result<BTreeMap<Ticker, Vec<Action>>, SimError> {
    let opened = File::open(file).map_err(|source| SimError::File { file: file.to_owned(), source })?;
    let mut actions: BTreeMap<Ticker, Vec<Action>> = BTreeMap::new();
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).flexible(true).from_reader(opened);
    for (number, line) in reader.deserialize::<Line>().enumerate() {
        // After the header, counted from one.
        let wrong = |problem: String| SimError::Action { file: file.to_owned(), line: number as u64 + 2, problem };
        let line = line.map_err(|error| wrong(error.to_string()))?;
        let ticker: Ticker = line.symbol.parse().map_err(|error| wrong(format!("{error}")))?;
        let ex_date: Date =
            line.ex_date.parse().map_err(|_| wrong(format!("'{}' isn't a valid date", line.ex_date)))?;
        let positive = |value: f64| value.is_finite() && value > 0.0;
        let kinds = [
            line.ratio.map(|new| (new, ActionKind::Split { new, old: 1.0 })),
            line.dividend.map(|amount| (amount, ActionKind::Dividend { amount })),
        ];
        for (value, kind) in kinds.into_iter().flatten() {
            if !positive(value) {
                return Err(wrong(format!("{value} isn't a valid ratio or amount")));
            }
            actions.entry(ticker.clone()).or_default().push(Action { ex_date, kind });
        }
    }
    for of in actions.values_mut() {
        of.sort_by_key(|action| action.ex_date);
    }
    Ok(actions)
}
