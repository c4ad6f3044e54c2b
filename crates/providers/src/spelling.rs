//! Tickers in providers' lists.

use market::Ticker;

/// The ticker of a listed symbol. `None` where our format doesn't allow it, and for one with small letters: by these
/// providers tell securities apart (`TpC` is a preferred share of AT&T, `TPC` is Tutor Perini), and we write no small letters.
pub(crate) fn listed_ticker(symbol: &str) -> Option<Ticker> {
    if symbol.bytes().any(|byte| byte.is_ascii_lowercase()) {
        return None;
    }
    symbol.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::listed_ticker;

    #[test]
    fn what_differs_in_case_alone_is_left_out() {
        assert_eq!(listed_ticker("TPC").as_ref().map(|ticker| ticker.as_str()), Some("TPC"));
        assert_eq!(listed_ticker("BRK-B").as_ref().map(|ticker| ticker.as_str()), Some("BRK.B"));
        for left_out in ["TpC", "tpc", "AACTw", "A NAME WITH SPACES"] {
            assert_eq!(listed_ticker(left_out), None, "{left_out}");
        }
    }
}
