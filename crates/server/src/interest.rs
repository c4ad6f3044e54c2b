//! Interest in symbols, parsed once at the edge: symbols, source and timeframes.
//! In: a request's body or the command line. Out: tracking rows, and with them definitions (one transaction).

use market::{InvalidTicker, InvalidTimeframe, Ticker, Timeframe};
use serde_json::Value;
use store::{
    Database, StoreError,
    tracking::{self, InvalidSource, Source, Synced},
};
use uuid::Uuid;

/// The default where a request names none.
pub const DEFAULT_TIMEFRAMES: [Timeframe; 3] = [Timeframe::M15, Timeframe::H1, Timeframe::H4];

/// A valid request for symbols: at least one symbol and one timeframe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SymbolInterest {
    pub tickers: Vec<Ticker>,
    pub source: Source,
    pub timeframes: Vec<Timeframe>,
}

/// What is wrong with a request. Existing clients rely on the wording of the first two.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidInterest {
    #[error("No symbols provided")]
    NoSymbols,
    #[error(transparent)]
    Source(#[from] InvalidSource),
    #[error("Invalid symbol: {0}")]
    Ticker(#[from] InvalidTicker),
    #[error("Invalid timeframe: {0}")]
    Timeframe(#[from] InvalidTimeframe),
    #[error("{0}")]
    Form(&'static str),
}

impl SymbolInterest {
    /// Reads `{"symbols": [...], "source": "...", "timeframes": [...]}`; `timeframes` may be left out.
    pub fn from_json(body: &Value) -> Result<Self, InvalidInterest> {
        let Some(body) = body.as_object() else {
            return Err(InvalidInterest::Form("The body must be a JSON object with symbols and source"));
        };
        let symbols = match body.get("symbols") {
            None | Some(Value::Null) => return Err(InvalidInterest::NoSymbols),
            Some(symbols) => strings(symbols)
                .ok_or(InvalidInterest::Form("Invalid symbols: expected a list of strings, such as [\"AAPL\"]"))?,
        };
        if symbols.is_empty() {
            return Err(InvalidInterest::NoSymbols);
        }
        let source = body.get("source").and_then(Value::as_str).ok_or(InvalidSource)?.parse()?;
        let timeframes = match body.get("timeframes") {
            None | Some(Value::Null) => DEFAULT_TIMEFRAMES.to_vec(),
            Some(timeframes) => strings(timeframes)
                .filter(|list| !list.is_empty())
                .ok_or(InvalidInterest::Form("Invalid timeframes: expected a list, such as [\"m15\", \"h1\"]"))?
                .into_iter()
                .map(str::parse)
                .collect::<Result<_, _>>()?,
        };
        let tickers = symbols.into_iter().map(str::parse).collect::<Result<_, _>>()?;
        Ok(Self { tickers, source, timeframes })
    }
}

fn strings(value: &Value) -> Option<Vec<&str>> {
    value.as_array()?.iter().map(Value::as_str).collect()
}

/// Records the interest of `user`.
pub async fn record(database: &Database, user: Uuid, wanted: &SymbolInterest) -> Result<Synced, StoreError> {
    let synced = tracking::sync(database, user, &wanted.tickers, wanted.source, &wanted.timeframes).await?;
    tracing::info!(
        symbols = synced.symbols_tracked, source = %synced.source, jobs = synced.jobs_updated,
        "Recorded interest in {} symbols", synced.symbols_tracked
    );
    Ok(synced)
}

/// Records `chart_view` interest in a series, at most once a day. Returns whether the series was not tracked before.
///
/// # Errors
/// As [`record`]: for one, where the user tracks too many symbols already.
pub async fn record_chart_view(
    database: &Database,
    user: Uuid,
    ticker: &Ticker,
    timeframe: Timeframe,
) -> Result<bool, StoreError> {
    if tracking::is_wanted(database, user, ticker, timeframe).await? {
        return Ok(false);
    }
    let wanted =
        SymbolInterest { tickers: vec![ticker.clone()], source: Source::ChartView, timeframes: vec![timeframe] };
    record(database, user, &wanted).await?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn timeframes_default_where_none_are_given() {
        let wanted = SymbolInterest::from_json(&json!({"symbols": ["aapl"], "source": "watchlist"})).unwrap();
        assert_eq!(wanted.timeframes, DEFAULT_TIMEFRAMES);
        assert_eq!(wanted.tickers[0].as_str(), "AAPL");
    }

    #[test]
    fn aliases_of_timeframes_are_accepted() {
        let body = json!({"symbols": ["AAPL"], "source": "watchlist", "timeframes": ["15m", "1h", "1D"]});
        assert_eq!(
            SymbolInterest::from_json(&body).unwrap().timeframes,
            [Timeframe::M15, Timeframe::H1, Timeframe::D1]
        );
    }

    #[test]
    fn errors_have_the_wording_that_clients_rely_on() {
        let invalid = "Invalid source. Must be: watchlist, recent_search, or chart_view";
        for (body, message) in [
            (json!({"source": "watchlist"}), "No symbols provided"),
            (json!({"symbols": [], "source": "watchlist"}), "No symbols provided"),
            (json!({"symbols": null}), "No symbols provided"),
            (json!({"symbols": ["AAPL"]}), invalid),
            (json!({"symbols": ["AAPL"], "source": "favourites"}), invalid),
            (json!({"symbols": ["AAPL"], "source": 7}), invalid),
        ] {
            assert_eq!(SymbolInterest::from_json(&body).expect_err("invalid").to_string(), message, "{body}");
        }
        for (body, named) in [
            (json!({"symbols": ["AA PL"], "source": "watchlist"}), "AA PL"),
            (json!({"symbols": ["AAPL"], "source": "watchlist", "timeframes": ["m7"]}), "m7"),
            (json!({"symbols": "AAPL", "source": "watchlist"}), "list"),
            (json!({"symbols": ["AAPL", 7], "source": "watchlist"}), "list"),
            (json!(["AAPL"]), "object"),
        ] {
            let message = SymbolInterest::from_json(&body).expect_err("invalid").to_string();
            assert!(message.contains(named), "{message}");
        }
    }

    proptest! {
        #[test]
        fn no_body_makes_it_panic(symbol in "\\PC{0,24}", source in "\\PC{0,12}", timeframe in "\\PC{0,6}") {
            let body = json!({"symbols": [symbol], "source": source, "timeframes": [timeframe]});
            let _ = SymbolInterest::from_json(&body);
        }
    }
}
