//! Page tokens: opaque to clients, and like Alpaca's base64 of `AAPL|1Day|2022-02-02T05:00:00.000000000Z`.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;

use crate::span::Span;

/// The last bar that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) symbol: String,
    pub(super) span: Span,
    pub(super) start: Timestamp,
    /// It was sent with an empty page, which must not be followed by another.
    pub(super) after_empty: bool,
}

impl Token {
    pub(super) fn encode(&self) -> String {
        let mark = if self.after_empty { "|e" } else { "" };
        STANDARD.encode(format!("{}|{}|{:.9}{mark}", self.symbol, self.span, self.start))
    }

    pub(super) fn decode(text: &str) -> Option<Self> {
        let text = String::from_utf8(STANDARD.decode(text).ok()?).ok()?;
        let mut fields = text.split('|');
        let (symbol, span, start) =
            (fields.next()?.to_owned(), fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        let after_empty = match fields.next() {
            None => false,
            Some("e") => true,
            Some(_) => return None,
        };
        fields.next().is_none().then_some(Self { symbol, span, start, after_empty })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests may panic")]

    use super::*;

    #[test]
    fn a_token_looks_like_alpacas_and_is_read_back() {
        let start = "2022-02-02T05:00:00Z".parse().unwrap();
        for after_empty in [false, true] {
            let token = Token { symbol: "BTC/USD".to_owned(), span: Span::Minutes(15), start, after_empty };
            assert_eq!(Token::decode(&token.encode()), Some(token));
        }
        let token = Token { symbol: "AAPL".to_owned(), span: Span::Day, start, after_empty: false };
        assert_eq!(STANDARD.decode(token.encode()).unwrap(), b"AAPL|1Day|2022-02-02T05:00:00.000000000Z");
        assert_eq!(Token::decode("QUFQTHxEfDIwMjItMDItMDJUMDU6MDA6MDAuMDAwMDAwMDAwWg=="), None);
        for text in ["", "%%%", "QUFQTA==", &STANDARD.encode("A|1Day|2022-02-02T05:00:00Z|e|e")] {
            assert_eq!(Token::decode(text), None, "{text}");
        }
    }
}
