//! What may have been meant by a symbol that nobody knows.

use market::Ticker;

use super::{index, known_as};
use crate::{Database, StoreError};

/// The known symbol that `ticker` is most easily mistaken for. `None`: it is like none of them.
///
/// # Errors
/// Where the database is gone.
pub async fn instead_of(database: &Database, ticker: &Ticker) -> Result<Option<Ticker>, StoreError> {
    Ok(index(database).await?.instead_of(ticker).map(|item| item.ticker.clone()))
}

/// A sentence of it, after a full stop, or of what became of the symbol; empty where there is nothing to say.
pub async fn sentence(database: &Database, ticker: &Ticker) -> String {
    // A suggestion is worth no second error.
    if let Ok(Some(known)) = known_as(database, ticker).await {
        return format!(". {known}");
    }
    match instead_of(database, ticker).await {
        Ok(Some(other)) => format!(". Did you mean {other}?"),
        Ok(None) | Err(_) => String::new(),
    }
}
