//! Interest: written as the user it belongs to.

use market::{Ticker, Timeframe};
use serde::{Deserialize, Serialize};
use sqlx::types::Json;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{Database, StoreError, statement::query_scalar};

/// Why a user tracks a symbol; determines its priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// Priority 300, until removed.
    Watchlist,
    /// Priority 200, for 30 days.
    ChartView,
    /// Priority 100, for 7 days.
    RecentSearch,
}

/// The text is not a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Invalid source. Must be: watchlist, recent_search, or chart_view")]
pub struct InvalidSource;

impl Source {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Watchlist => "watchlist",
            Self::ChartView => "chart_view",
            Self::RecentSearch => "recent_search",
        }
    }
}

impl std::str::FromStr for Source {
    type Err = InvalidSource;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "watchlist" => Ok(Self::Watchlist),
            "chart_view" => Ok(Self::ChartView),
            "recent_search" => Ok(Self::RecentSearch),
            _ => Err(InvalidSource),
        }
    }
}

/// The response that clients decode: all seven fields, always.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Synced {
    pub success: bool,
    pub symbols_tracked: i64,
    pub symbols_requested: i64,
    pub timeframes: i64,
    pub jobs_updated: i64,
    pub priority: i64,
    pub source: String,
}

/// Tracks `tickers` for `user`. Missing symbols are created; definitions and the order of the queue follow in the
/// same transaction. Duplicates count as requested, not as tracked.
///
/// # Errors
/// [`StoreError::Refused`] if the user would track too many symbols; then nothing is written.
pub async fn sync(
    database: &Database,
    user: Uuid,
    tickers: &[Ticker],
    source: Source,
    timeframes: &[Timeframe],
) -> Result<Synced, StoreError> {
    let mut tx = database.begin_as(user).await?;
    let Json(synced) = query_scalar::<Json<Synced>>("select public.sync_user_symbols($1, $2, $3)")
        .bind(tickers.iter().map(Ticker::as_str).collect::<Vec<_>>())
        .bind(source.as_str())
        .bind(timeframes.iter().map(|t| t.as_str()).collect::<Vec<_>>())
        .fetch_one(&mut *tx.0)
        .await?;
    tx.commit().await?;
    Ok(synced)
}

/// Whether the user tracks a series already, and confirmed it recently enough: doing so again would change nothing.
///
/// # Errors
/// If the database is unreachable or not migrated.
pub async fn is_wanted(
    database: &Database,
    user: Uuid,
    ticker: &Ticker,
    timeframe: Timeframe,
) -> Result<bool, StoreError> {
    let mut tx = database.begin_as(user).await?;
    Ok(query_scalar(
        "select exists (
            select from public.user_symbol_tracking t
            join public.symbols s on s.id = t.symbol_id
            where t.user_id = $1 and s.ticker = $2 and $3 = any (t.timeframes)
                and (t.source = 'watchlist' or t.source = 'chart_view' and t.updated_at > now() - interval '1 day')
        )",
    )
    .bind(user)
    .bind(ticker.as_str())
    .bind(timeframe.as_str())
    .fetch_one(&mut *tx.0)
    .await?)
}

/// Removes `user`'s interest in `tickers`, from one source or from all. Returns the number of symbols.
///
/// # Errors
/// If the database rejects the statement or is unreachable.
pub async fn untrack(
    database: &Database,
    user: Uuid,
    tickers: &[Ticker],
    source: Option<Source>,
) -> Result<i64, StoreError> {
    let mut tx = database.begin_as(user).await?;
    let gone: i32 = query_scalar("select public.untrack_user_symbols($1, $2)")
        .bind(tickers.iter().map(Ticker::as_str).collect::<Vec<_>>())
        .bind(source.map(Source::as_str))
        .fetch_one(&mut *tx.0)
        .await?;
    tx.commit().await?;
    Ok(gone.into())
}

/// Removes expired interest: a chart view after 30 days, a search after 7. Returns the number of rows.
///
/// # Errors
/// If the database rejects the statement or is unreachable.
pub async fn expire(database: &Database) -> Result<i32, StoreError> {
    let mut tx = database.begin().await?;
    let expired = query_scalar("select barkeep.expire_interest()").fetch_one(&mut *tx).await?;
    tx.commit().await?;
    Ok(expired)
}
