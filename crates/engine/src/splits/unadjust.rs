//! Unadjusts bars that a provider sends adjusted for splits: back to prices as traded.
//!
//! In: bars as sent, and the stock's splits. Out: bars as traded. Holds: a split is undone only where the step of the sent
//! bars around its day shows that the provider has adjusted for it; where that can't be told yet, the bars are not stored
//! but requested again.

use jiff::civil::Date;
use market::{Action, ActionKind, Adjustment, Bar, Calendar, Ticker, action};
use providers::BarSource;
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
        let mut raw = match as_traded(engine, source, fetched, &ticker, &sent).await? {
            Ok(raw) => raw,
            Err(unproven) => return Ok(Some(unproven)),
        };
        let run = runs.iter().find(|run| run.ticker == ticker);
        if let Some(run) = run
            && let Some(split) = detect_split(engine, run, fetched, &raw).await?
        {
            tracing::warn!(
                symbol = %ticker, ex_date = %split.ex_date,
                "{ticker} has split on {} according to its bars, though no provider has listed it", split.ex_date
            );
            let (day, today) = ((split.ex_date, split.ex_date), Calendar::Xnys.date_of(engine.clock.now()));
            let noticed = corporate_actions::NOTICED;
            corporate_actions::store(&engine.database, &ticker, noticed, day, today, &[split]).await?;
            raw = match as_traded(engine, source, fetched, &ticker, &sent).await? {
                Ok(raw) => raw,
                Err(unproven) => return Ok(Some(unproven)),
            };
        }
        fetched.bars.insert(ticker, raw);
    }
    Ok(None)
}

/// The bars without the splits that the provider has adjusted for.
async fn as_traded(
    engine: &Engine,
    source: &dyn BarSource,
    fetched: &FetchResult<'_>,
    ticker: &Ticker,
    sent: &[Bar],
) -> Result<Result<Vec<Bar>, SplitsUnknown>, StoreError> {
    let today = Calendar::Xnys.date_of(fetched.asked_at);
    let splits: Vec<Action> = corporate_actions::applied(&engine.database, None, ticker)
        .await?
        .into_iter()
        .filter(|action| matches!(action.kind, ActionKind::Split { .. }) && action.ex_date <= today)
        .collect();
    let mut undone: Vec<Action> = Vec::new();
    for split in splits {
        match proof(engine, source, fetched, ticker, sent, &split).await {
            Proof::Adjusted => undone.push(split),
            Proof::AsTraded => {
                tracing::info!(
                    symbol = %ticker, ex_date = %split.ex_date,
                    "{} has not adjusted {ticker} for its split of {} yet", source.endpoint().provider, split.ex_date
                );
            }
            Proof::NotYet => {
                return Ok(Err(SplitsUnknown::Unproven { ticker: ticker.clone(), ex_date: split.ex_date }));
            }
        }
    }
    let mut raw = sent.to_vec();
    let steps = action::steps(&undone, Calendar::Xnys, Adjustment::Splits, |_| None);
    action::undo(&mut raw, &steps);
    if !steps.is_empty() {
        // Removes the digits beyond those of prices that the multiplication has left.
        for bar in &mut raw {
            for price in [&mut bar.open, &mut bar.high, &mut bar.low, &mut bar.close] {
                *price = (*price * 1e4).round() / 1e4;
            }
        }
    }
    Ok(Ok(raw))
}
