//! Unadjusts bars that a provider sends adjusted for splits: back to prices as traded.
//!
//! In: bars as sent, and the stock's splits. Out: bars as traded. Holds: a split is undone only where the step of the sent
//! bars around its day shows that the provider has adjusted for it; where that can't be told yet, the bars are not stored
//! but requested again.

use jiff::civil::Date;
use market::{Action, Adjustment, Bar, Calendar, Ticker, action};
use providers::{BarSource, FetchError};
use store::{StoreError, corporate_actions, runs::ClaimedRun};

use super::{
    corporate_actions::{Lookup, fetch_actions},
    noticed::detect_split,
    proof::{Proof, proof},
};
use crate::{engine::Engine, fetch::FetchResult};

/// For so long known splits will do: providers list them before their day.
const KNOWN_FOR_DAYS: i32 = 3;

/// Why bars can't be unadjusted.
#[derive(Debug)]
pub enum SplitsUnknown {
    /// What would have shown whether the provider has adjusted could not be fetched.
    Fetch(FetchError),
    /// The stocks' splits could not be fetched now.
    Now,
    /// No configured provider lists splits.
    Ever,
    /// Whether the provider has adjusted for this split can't be told yet.
    Unproven { ticker: Ticker, ex_date: Date },
}

/// Unadjusts the bars, if the provider adjusts the requested timeframe. `Some`: it can't be done, and the bars must not be
/// stored.
///
/// # Errors
/// If the database is unreachable.
pub async fn unadjust(
    engine: &Engine,
    source: &dyn BarSource,
    runs: &[&ClaimedRun],
    fetched: &mut FetchResult<'_>,
) -> Result<Option<SplitsUnknown>, StoreError> {
    let limits = source.limits(fetched.request.asset_class);
    if !limits.split_adjusted.contains(&fetched.request.timeframe) {
        return Ok(None);
    }
    let tickers: Vec<Ticker> = fetched.bars.keys().cloned().collect();
    let unknown = corporate_actions::unknown(&engine.database, &tickers, KNOWN_FOR_DAYS).await?;
    if !unknown.is_empty() {
        match fetch_actions(engine, &unknown).await? {
            Lookup::Known => {}
            Lookup::TryLater | Lookup::Wait(_) => return Ok(Some(SplitsUnknown::Now)),
            Lookup::NoSource => return Ok(Some(SplitsUnknown::Ever)),
        }
    }
    for ticker in tickers {
        let Some(sent) = fetched.bars.get(&ticker).cloned() else { continue };
        let mut undone = match adjusted_for(engine, source, fetched, &ticker, &sent).await? {
            Ok(undone) => undone,
            Err(unproven) => return Ok(Some(unproven)),
        };
        let mut raw = without(&undone, &sent);
        let run = runs.iter().find(|run| run.ticker == ticker);
        let noticed = match run {
            Some(run) => detect_split(engine, run, fetched, &raw).await?,
            None => None,
        };
        if let Some(noticed) = noticed
            && let Some(disproved) = undone.iter().position(|undone| is_reciprocal(undone, &noticed))
        {
            let split = undone.remove(disproved);
            tracing::warn!(
                symbol = %ticker, ex_date = %split.ex_date,
                "Stored bars of {ticker} show that nothing was adjusted for the split of {}", split.ex_date
            );
            raw = without(&undone, &sent);
        } else if let Some(split) = noticed {
            tracing::warn!(
                symbol = %ticker, ex_date = %split.ex_date,
                "{ticker} has split on {} according to its bars, though no provider has listed it", split.ex_date
            );
            let (day, today) = ((split.ex_date, split.ex_date), Calendar::Xnys.date_of(engine.clock.now()));
            let noticed = corporate_actions::NOTICED;
            corporate_actions::store(&engine.database, &ticker, noticed, day, today, &[split]).await?;
            raw = match adjusted_for(engine, source, fetched, &ticker, &sent).await? {
                Ok(undone) => without(&undone, &sent),
                Err(unproven) => return Ok(Some(unproven)),
            };
        }
        fetched.bars.insert(ticker, raw);
    }
    Ok(None)
}

/// The splits that the provider has adjusted these bars for.
async fn adjusted_for(
    engine: &Engine,
    source: &dyn BarSource,
    fetched: &FetchResult<'_>,
    ticker: &Ticker,
    sent: &[Bar],
) -> Result<Result<Vec<Action>, SplitsUnknown>, StoreError> {
    let today = Calendar::Xnys.date_of(fetched.asked_at);
    let splits: Vec<Action> = corporate_actions::applied(&engine.database, None, ticker)
        .await?
        .into_iter()
        .filter(|action| action.ratio().is_some() && action.ex_date <= today)
        .collect();
    let mut adjusted: Vec<Action> = Vec::new();
    for split in splits {
        match proof(engine, source, fetched, ticker, sent, &split).await {
            Ok(Proof::Adjusted) => adjusted.push(split),
            Ok(Proof::AsTraded) => {
                tracing::info!(
                    symbol = %ticker, ex_date = %split.ex_date,
                    "{} has not adjusted {ticker} for its split of {} yet", source.endpoint().provider, split.ex_date
                );
            }
            Ok(Proof::NotYet) => {
                return Ok(Err(SplitsUnknown::Unproven { ticker: ticker.clone(), ex_date: split.ex_date }));
            }
            Err(error) => return Ok(Err(SplitsUnknown::Fetch(error))),
        }
    }
    Ok(Ok(adjusted))
}

/// The bars as they were before they were adjusted for these splits.
fn without(splits: &[Action], sent: &[Bar]) -> Vec<Bar> {
    let mut raw = sent.to_vec();
    let steps = action::steps(splits, Calendar::Xnys, Adjustment::Splits, |_| None);
    action::undo(&mut raw, &steps);
    if !steps.is_empty() {
        // Removes the digits beyond those of prices that the multiplication has left.
        for bar in &mut raw {
            for price in [&mut bar.open, &mut bar.high, &mut bar.low, &mut bar.close] {
                *price = (*price * 1e4).round() / 1e4;
            }
        }
    }
    raw
}

/// Whether `noticed` takes back what undoing the split has done.
fn is_reciprocal(undone: &Action, noticed: &Action) -> bool {
    undone.ratio().zip(noticed.ratio()).is_some_and(|(undone, noticed)| (undone * noticed - 1.0).abs() < 0.01)
}
