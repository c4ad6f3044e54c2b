//! The last session, read once more after it has ended: trades are reported late. Which sessions, and when, is the
//! database's to know; what of it is due is planned with the gaps ([`crate::coverage::gaps`]).

use crate::{ServiceTx, StoreError, instant::Instant, runs::Outcome, statement::query_scalar};

/// Notes what runs were answered for, in the transaction that ends them: a session that has only just ended, or hasn't
/// yet, is read once more; one whose turn that was has had it. Returns how many final bars this transaction has changed.
///
/// # Errors
/// Where the database refuses or is gone.
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
