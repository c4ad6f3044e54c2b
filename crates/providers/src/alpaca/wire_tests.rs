//! What is read from JSON, and what is rejected.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests may panic")]

use market::Bar;

use super::*;

fn page(json: &str) -> Result<BarsPage, String> {
    serde_json::from_str(json).map_err(|error| error.to_string())
}

const BAR: &str = r#"{"t":"2021-10-15T16:00:00Z","o":3378.14,"h":3380.815,"l":3376.3001,"c":3379.72,"v":211689}"#;

#[test]
fn count_and_average_may_be_left_out_and_bars_may_be_null() {
    let read = page(&format!(r#"{{"bars":{{"AMZN":[{BAR}]}},"next_page_token":"x","currency":"USD"}}"#)).unwrap();
    let bar = Bar::from(read.bars.unwrap().remove("AMZN").unwrap().remove(0));
    assert_eq!((bar.trade_count, bar.vwap), (None, None));
    assert_eq!((bar.start, bar.low), ("2021-10-15T16:00:00Z".parse().unwrap(), 3376.3001));
    assert!(page(r#"{"bars":null,"next_page_token":null}"#).unwrap().bars.is_none());
}

#[test]
fn a_missing_field_is_an_error_that_names_it() {
    for field in ["t", "o", "h", "l", "c", "v"] {
        let bar = BAR.replace(&format!("\"{field}\":"), "\"was\":");
        let error = page(&format!(r#"{{"bars":{{"AMZN":[{bar}]}},"next_page_token":null}}"#)).expect_err(field);
        assert!(error.contains(&format!("missing field `{field}`")), "{error}");
    }
    assert!(page(r#"{"next_page_token":null}"#).unwrap_err().contains("`bars`"));
    assert!(page(r#"{"bars":{}}"#).unwrap_err().contains("`next_page_token`"));
}

#[test]
fn what_is_no_time_or_no_number_is_an_error() {
    for (good, bad) in [
        ("\"2021-10-15T16:00:00Z\"", "\"2021-10-15T25:00:00Z\""),
        ("\"2021-10-15T16:00:00Z\"", "\"2021-10-15 16:00:00\""),
        ("\"2021-10-15T16:00:00Z\"", "1634313600"),
        ("211689", "[211689]"),
        ("3379.72", "1e999"),
        ("3379.72", "NaN"),
    ] {
        let bar = BAR.replace(good, bad);
        assert!(page(&format!(r#"{{"bars":{{"AMZN":[{bar}]}},"next_page_token":null}}"#)).is_err(), "{bad}");
    }
}

#[test]
fn the_end_that_is_sent_excludes_our_end_and_nothing_before() {
    let range = |from: &str, to: &str| Range::new(from.parse().unwrap(), to.parse().unwrap()).unwrap();
    assert_eq!(
        inclusive(range("2026-11-20T14:30:00Z", "2026-11-20T21:00:00Z")),
        ("2026-11-20T14:30:00Z".to_owned(), "2026-11-20T20:59:59.999999999Z".to_owned())
    );
    let (start, end) = inclusive(range("2026-11-20T14:30:00Z", "2026-11-20T14:30:00.000000001Z"));
    assert_eq!(start, end);
}

#[test]
fn pairs_go_out_with_a_slash_and_stocks_as_they_are() {
    for (canonical, sent) in [("BTC-USD", "BTC/USD"), ("BRK.B", "BRK.B"), ("AAPL", "AAPL")] {
        assert_eq!(symbol(&canonical.parse().unwrap()), sent);
    }
}

#[test]
fn every_timeframe_has_alpacas_name() {
    let names = Timeframe::ALL.map(timeframe);
    assert_eq!(names, ["1Min", "5Min", "15Min", "30Min", "1Hour", "4Hour", "1Day", "1Week"]);
}
