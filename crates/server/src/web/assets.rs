//! The client's own files and its libraries, embedded, under addresses that change with their content: a browser keeps them for
//! good.

use std::sync::LazyLock;

use axum::{
    extract::Path,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use sha2::{Digest as _, Sha256};

use crate::error::ApiError;

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

macro_rules! own {
    ($name:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../web/", $name))
    };
}

macro_rules! library {
    ($name:literal) => {
        include_str!(concat!(env!("OUT_DIR"), "/libraries/", $name))
    };
}

/// Name, kind and content.
const FILES: [(&str, &str, &str); 12] = [
    ("style.css", "text/css; charset=utf-8", own!("style.css")),
    ("app.js", JAVASCRIPT, own!("app.js")),
    ("chart.js", JAVASCRIPT, own!("chart.js")),
    ("live.js", JAVASCRIPT, own!("live.js")),
    ("lists.js", JAVASCRIPT, own!("lists.js")),
    ("search.js", JAVASCRIPT, own!("search.js")),
    ("time.js", JAVASCRIPT, own!("time.js")),
    ("icon.svg", "image/svg+xml", own!("icon.svg")),
    ("htmx.js", JAVASCRIPT, library!("htmx.js")),
    ("htmx.LICENSE", TEXT, library!("htmx.LICENSE")),
    ("lightweight-charts.js", JAVASCRIPT, library!("lightweight-charts.js")),
    ("lightweight-charts.LICENSE", TEXT, library!("lightweight-charts.LICENSE")),
];

/// Of all files together: modules name one another by their names alone, so they change as one.
static EDITION: LazyLock<String> = LazyLock::new(|| {
    let mut digest = Sha256::new();
    for (name, _, content) in FILES {
        digest.update(name);
        digest.update([0]);
        digest.update(content);
    }
    digest.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
});

/// Where a file is.
pub(super) fn address(name: &str) -> String {
    format!("/assets/{}/{name}", *EDITION)
}

pub(super) async fn file(Path((edition, name)): Path<(String, String)>) -> Response {
    let Some((_, kind, content)) = FILES.iter().find(|(of, _, _)| *of == name) else {
        return ApiError::new(StatusCode::NOT_FOUND, "There is no such file").into_response();
    };
    // A page from before an update asks for the old edition and gets the new one, but doesn't keep it.
    let keep = if edition == *EDITION { "public, max-age=31536000, immutable" } else { "no-store" };
    (
        [(header::CONTENT_TYPE, *kind), (header::CACHE_CONTROL, keep), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")],
        *content,
    )
        .into_response()
}

/// Browsers ask for it where no page has said where it is.
pub(super) async fn icon() -> Response {
    file(Path((String::new(), "icon.svg".to_owned()))).await
}
