//! Rereads: each session is fetched once more after it has ended, since trades are reported late. The database
//! decides which sessions and when; due ones are planned with the gaps ([`crate::coverage::gaps`]).

use crate::{ServiceTx, StoreError, instant::Instant, runs::Outcome, statement::query_scalar};

/// Records what the runs' outcomes cover, in their transaction: a session that has only just ended, or not yet, is
/// scheduled for a reread; one that was due for its reread has had it. Returns the number of final bars that this
/// transaction has changed.
///
/// # Errors
/// If the database rejects the statement or is unreachable.
pub async fn note(tx: &mut ServiceTx, outcomes: &[Outcome<'_>]) -> Result<u64, StoreError> {
    let covered = || outcomes.iter().filter_map(|outcome| Some((outcome.run, outcome.covered?)));
    let changed: i64 = query_scalar("select barkeep.note_rereads($1, $2, $3, $4)")
        .bind(covered().map(|(run, _)| run.ticker.as_str()).collect::<Vec<_>>())
        .bind(covered().map(|(run, _)| run.timeframe.as_str()).collect::<Vec<_>>())
        .bind(covered().map(|(_, range)| Instant(range.from())).collect::<Vec<_>>())
        .bind(covered().map(|(_, range)| Instant(range.to())).collect::<Vec<_>>())
        .fetch_one(&mut **tx)
        .await?;
    Ok(u64::try_from(changed).unwrap_or(0))
}
