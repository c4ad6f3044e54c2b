//! Stored bars as requested: as traded, adjusted for splits, or for splits and dividends.
//!
//! In: bars as traded and the stock's corporate actions, both from the database. Out: bars with the factors applied.
//! Holds: stored bars are not changed; a week with a split is resampled from its daily bars, since it mixes two price
//! levels.

use jiff::civil::Date;
use market::{
    ActionKind, Adjustment, AssetClass, Bar, Calendar, Calendars, Range, Ticker, Timeframe,
    action::{self, Step},
    grid::Grid,
    resample::resample,
};
use uuid::Uuid;

use crate::{
    Database, StoreError,
    bars::{self, StoredBar},
    corporate_actions,
};

/// What to read.
#[derive(Clone, Copy, Debug)]
pub struct AdjustedQuery<'a> {
    pub ticker: &'a Ticker,
    pub timeframe: Timeframe,
    /// `None`: all stored bars.
    pub range: Option<Range>,
    /// If there are more, the newest ones.
    pub limit: i64,
    pub adjustment: Adjustment,
}

/// The bars, oldest first; `None` if there is no such symbol.
///
/// # Errors
/// If the database is unreachable or not migrated.
pub async fn read(
    database: &Database,
    user: Option<Uuid>,
    calendars: &Calendars,
    wanted: AdjustedQuery<'_>,
) -> Result<Option<Vec<StoredBar>>, StoreError> {
    let AdjustedQuery { ticker, timeframe, range, limit, adjustment } = wanted;
    let Some(mut stored) = bars::read(database, user, ticker, timeframe, range, limit).await? else {
        return Ok(None);
    };
    if adjustment == Adjustment::Raw || stored.is_empty() {
        return Ok(Some(stored));
    }
    let steps = steps(database, user, ticker, adjustment).await?;
    if steps.is_empty() {
        return Ok(Some(stored));
    }
    let mut plain: Vec<Bar> = stored.iter().map(|stored| stored.bar).collect();
    action::apply(&mut plain, &steps);
    for (stored, bar) in stored.iter_mut().zip(plain) {
        stored.bar = bar;
    }
    if timeframe == Timeframe::W1 {
        resample_weeks(database, user, calendars, ticker, &steps, &mut stored).await?;
    }
    Ok(Some(stored))
}

/// The adjustment factors in effect now: actions announced for later days are not applied yet.
///
/// # Errors
/// If the database is unreachable or not migrated.
pub async fn steps(
    database: &Database,
    user: Option<Uuid>,
    ticker: &Ticker,
    adjustment: Adjustment,
) -> Result<Vec<Step>, StoreError> {
    if ticker.asset_class() != AssetClass::Stock {
        return Ok(Vec::new());
    }
    let mut actions = corporate_actions::applied(database, user, ticker).await?;
    let today = Calendar::Xnys.date_of(crate::clock::read(database).await?.now());
    actions.retain(|action| action.ex_date <= today);
    let dividends: Vec<Date> = actions
        .iter()
        .filter(|action| adjustment == Adjustment::All && matches!(action.kind, ActionKind::Dividend { .. }))
        .map(|action| action.ex_date)
        .collect();
    let closes = if dividends.is_empty() {
        std::collections::HashMap::new()
    } else {
        bars::closes_before(database, user, ticker, &dividends).await?
    };
    Ok(action::steps(&actions, Calendar::Xnys, adjustment, |date| closes.get(&date).copied()))
}

/// Resamples weeks that contain a step from shorter adjusted bars, if any are stored.
async fn resample_weeks(
    database: &Database,
    user: Option<Uuid>,
    calendars: &Calendars,
    ticker: &Ticker,
    steps: &[Step],
    weeks: &mut [StoredBar],
) -> Result<(), StoreError> {
    let grid = Grid::Session(calendars.sessions_of(Calendar::Xnys));
    for week in weeks {
        let Some(bucket) = grid.bucket_of(Timeframe::W1, week.bar.start) else { continue };
        if !steps.iter().any(|step| step.before > bucket.from() && step.before < bucket.to()) {
            continue;
        }
        for shorter in [Timeframe::D1, Timeframe::H4, Timeframe::H1, Timeframe::M15] {
            let found = bars::read(database, user, ticker, shorter, Some(bucket), i64::MAX).await?;
            let mut days: Vec<Bar> = found.unwrap_or_default().iter().map(|stored| stored.bar).collect();
            action::apply(&mut days, steps);
            if let Some(made) = resample(&days, &grid, Timeframe::W1).into_iter().next() {
                week.bar = Bar { start: week.bar.start, ..made.bar };
                break;
            }
        }
    }
    Ok(())
}
