//! Tickers and their asset class.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// A symbol in its one canonical spelling: `AAPL`, `BRK.B`, `BTC-USD`.
///
/// 1 to 16 of `A-Z 0-9 . -`, beginning with a letter or digit. Lower case, `BRK-B` and `BRK/B` (a share class after a
/// dash or slash) and `BTC/USD` (a pair with a slash) are accepted when parsing and turned into the canonical form.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticker(Box<str>);

/// The asset class, which determines calendar and provider endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AssetClass {
    /// US stocks and ETFs: New York sessions.
    Stock,
    /// Pairs such as `BTC-USD`: traded round the clock.
    Crypto,
}

/// The string isn't a valid ticker.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' isn't a valid ticker: use 1 to 16 letters, digits, '.' or '-' (AAPL, BRK.B, BTC-USD){hint}", hint = self.hint())]
pub struct InvalidTicker(pub String);

impl InvalidTicker {
    /// What was probably meant: several tickers, or one with extra characters.
    fn hint(&self) -> String {
        let parts: Vec<&str> =
            self.0.split(|c: char| c == ',' || c == ';' || c.is_whitespace()).filter(|part| !part.is_empty()).collect();
        let tickers: Vec<Ticker> = parts.iter().filter_map(|part| part.parse().ok()).collect();
        if parts.len() > 1 && tickers.len() == parts.len() {
            let separate: Vec<&str> = tickers.iter().map(Ticker::as_str).collect();
            return format!(". Several tickers? Separate them with spaces: {}", separate.join(" "));
        }
        let bare: String = self.0.chars().filter(|c| c.is_ascii_alphanumeric() || ".-/".contains(*c)).collect();
        match bare.trim_matches(['.', '-', '/']).parse::<Ticker>() {
            Ok(ticker) => format!(". Did you mean {ticker}?"),
            Err(_) => String::new(),
        }
    }
}

impl Ticker {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A pair (`BTC-USD`: something, a dash, a quote currency of three letters or more) is crypto, all else a stock.
    pub fn asset_class(&self) -> AssetClass {
        match self.pair() {
            Some(_) => AssetClass::Crypto,
            None => AssetClass::Stock,
        }
    }

    /// Base and quote of a crypto pair: `BTC-USD` is `("BTC", "USD")`.
    pub fn pair(&self) -> Option<(&str, &str)> {
        let (base, quote) = self.0.rsplit_once('-')?;
        (base.len() >= 2 && quote.len() >= 3).then_some((base, quote))
    }
}

impl FromStr for Ticker {
    type Err = InvalidTicker;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidTicker(text.chars().take(40).collect());
        let trimmed = text.trim();
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'/');
        let ends_well = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
        let bytes = trimmed.as_bytes();
        if bytes.len() > 16
            || !bytes.iter().copied().all(allowed)
            || !ends_well(bytes.first())
            || !ends_well(bytes.last())
            || bytes.iter().filter(|b| **b == b'/').count() > 1
        {
            return Err(invalid());
        }
        let mut canonical = trimmed.to_ascii_uppercase().replace('/', "-");
        if let Some((root, class)) = canonical.rsplit_once('-')
            && class.len() == 1
            && class.bytes().all(|b| b.is_ascii_uppercase())
        {
            canonical = format!("{root}.{class}");
        }
        Ok(Self(canonical.into()))
    }
}

impl fmt::Display for Ticker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl AsRef<str> for Ticker {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Serialize for Ticker {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Ticker {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails may panic")]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn aliases_become_the_canonical_spelling() {
        for (written, canonical) in [
            ("aapl", "AAPL"),
            (" MSFT ", "MSFT"),
            ("BRK-B", "BRK.B"),
            ("brk.b", "BRK.B"),
            ("BRK/B", "BRK.B"),
            ("BTC/USD", "BTC-USD"),
            ("btc-usd", "BTC-USD"),
        ] {
            assert_eq!(written.parse::<Ticker>().map(|t| t.to_string()), Ok(canonical.to_owned()), "{written}");
        }
    }

    #[test]
    fn invalid_tickers_are_rejected_and_named() {
        for written in ["", "AAPL MSFT", "A'; DROP", "ÄPFEL", "THISTICKERISTOOLONG", ".", "-USD", "A/B/C", "AAPL."] {
            let error = written.parse::<Ticker>().expect_err(written);
            assert_eq!(error.0, written);
        }
    }

    #[test]
    fn errors_suggest_what_was_meant() {
        for (written, hint) in [
            ("$AAPL", ". Did you mean AAPL?"),
            ("AAPL.", ". Did you mean AAPL?"),
            ("AAPL,MSFT", ". Several tickers? Separate them with spaces: AAPL MSFT"),
            ("aapl msft", ". Several tickers? Separate them with spaces: AAPL MSFT"),
            ("\u{1f680}", "(AAPL, BRK.B, BTC-USD)"),
        ] {
            let error = written.parse::<Ticker>().expect_err(written).to_string();
            assert!(error.ends_with(hint), "{error}");
        }
    }

    #[test]
    fn pairs_are_crypto_and_share_classes_are_not() {
        let class = |text: &str| text.parse::<Ticker>().expect("a ticker").asset_class();
        assert_eq!(class("BTC-USD"), AssetClass::Crypto);
        assert_eq!(class("BRK-B"), AssetClass::Stock);
        assert_eq!(class("AAPL"), AssetClass::Stock);
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_its_result_parses_to_itself(text in "\\PC{0,20}") {
            if let Ok(ticker) = text.parse::<Ticker>() {
                prop_assert_eq!(ticker.as_str().parse::<Ticker>(), Ok(ticker.clone()));
            }
        }

        #[test]
        fn canonical_spelling_is_a_fixed_point(text in "[A-Za-z0-9./-]{1,16}") {
            if let Ok(ticker) = text.parse::<Ticker>() {
                prop_assert_eq!(ticker.as_str().parse::<Ticker>(), Ok(ticker.clone()));
            }
        }
    }
}
