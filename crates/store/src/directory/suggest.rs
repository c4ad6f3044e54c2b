//! Suggestions for unknown symbols.

use market::Ticker;

use super::{index, known_as};
use crate::{Database, StoreError};

/// The known symbol that `ticker` is most likely a misspelling of. `None`: no symbol is similar.
///
/// # Errors
/// If the database is unreachable.
pub async fn instead_of(database: &Database, ticker: &Ticker) -> Result<Option<Ticker>, StoreError> {
    Ok(index(database).await?.instead_of(ticker).map(|item| item.ticker.clone()))
}

/// A suggestion, or what became of the symbol, to append to a message; empty if there is nothing to say.
pub async fn sentence(database: &Database, ticker: &Ticker) -> String {
    // A failed suggestion is not reported.
    if let Ok(Some(known)) = known_as(database, ticker).await {
        return format!(". {known}");
    }
    match instead_of(database, ticker).await {
        Ok(Some(other)) => format!(". Did you mean {other}?"),
        Ok(None) | Err(_) => String::new(),
    }
}
