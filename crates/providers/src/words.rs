//! A provider's error message, fit to be shown.
//!
//! In: a body. Out: text. Holds: it is on one line, shortened, and without our keys.

use serde_json::Value;

/// The maximum length of a shown message.
const LONGEST_MESSAGE: usize = 200;

/// Where the providers' JSON contains the message.
const WORDS_AT: [&str; 7] =
    ["/message", "/msg", "/error", "/errors/0", "/chart/error/description", "/fault/faultstring", "/errors/error"];

/// What a body that isn't what was asked for says: its message, or all of it if it is a short text; `None` if it has no words.
pub(crate) fn said(body: &[u8], secrets: &[&str]) -> Option<String> {
    if let Ok(json) = serde_json::from_slice::<Value>(body) {
        let message = WORDS_AT.iter().find_map(|place| json.pointer(place).and_then(Value::as_str));
        return message.or(json.as_str()).map(|message| presentable(message, secrets));
    }
    let is_text = !body.is_empty() && body.len() <= LONGEST_MESSAGE && !is_html(body) && !body.contains(&b'{');
    is_text.then(|| presentable(&String::from_utf8_lossy(body), secrets))
}

/// The message of a refusal's body: the provider's own if it is JSON, else its beginning.
pub(crate) fn words(body: &[u8], secrets: &[&str]) -> String {
    if let Ok(json) = serde_json::from_slice::<Value>(body) {
        let message = WORDS_AT.iter().find_map(|place| json.pointer(place).and_then(Value::as_str));
        if let Some(message) = message.or(json.as_str()) {
            return presentable(message, secrets);
        }
    }
    match body {
        [] => "no message".to_owned(),
        body if is_html(body) => "an HTML page".to_owned(),
        body => presentable(&String::from_utf8_lossy(body), secrets),
    }
}

pub(crate) fn is_html(body: &[u8]) -> bool {
    body.trim_ascii_start().first() == Some(&b'<')
}

/// One line of at most 200 characters, without control characters and without `secrets`.
pub(crate) fn presentable(text: &str, secrets: &[&str]) -> String {
    let mut text = text.to_owned();
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        text = text.replace(secret, "[key]");
    }
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST_MESSAGE) {
        Some((cut, _)) => format!("{}...", &line[..cut]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests may panic")]

    use super::*;

    #[test]
    fn a_providers_words_are_short_on_one_line_and_without_our_keys() {
        let body = format!("{{\"message\":\"no\\u0000\\u001b[31m\\nentry for KEY1 {}\"}}", "é".repeat(300));
        let words = words(body.as_bytes(), &["KEY1", ""]);
        assert!(words.starts_with("no [31m entry for [key] é"), "{words}");
        assert!(words.ends_with("..."));
        assert_eq!(words.chars().count(), LONGEST_MESSAGE + 3);
    }

    #[test]
    fn an_answer_that_is_no_answer_is_quoted_where_it_has_words() {
        let said = |body: &str| said(body.as_bytes(), &["KEY1"]);
        assert_eq!(said(r#"{"error":"Unknown API Key KEY1"}"#).as_deref(), Some("Unknown API Key [key]"));
        assert_eq!(said("\"maintenance\"").as_deref(), Some("maintenance"));
        assert_eq!(said("Too many requests").as_deref(), Some("Too many requests"));
        for silent in ["{}", "[]", "", "<html>", r#"{"bars":{"AMZN":[{"t""#] {
            assert_eq!(said(silent), None, "{silent}");
        }
    }

    #[test]
    fn a_body_that_is_no_json_speaks_for_itself() {
        assert_eq!(words(b"Invalid Access Token", &[]), "Invalid Access Token");
        assert_eq!(words(b"  <!doctype html><p>502", &[]), "an HTML page");
        assert_eq!(words(b"", &[]), "no message");
        assert_eq!(words(b"\xff\xfe", &[]), "\u{fffd}\u{fffd}");
    }
}
