//! The client's own files and its libraries, embedded. Their URLs change with their content, so browsers cache them for good.

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

macro_rules! client_file {
    ($name:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../web/", $name))
    };
}

macro_rules! library {
    ($name:literal) => {
        include_str!(concat!(env!("OUT_DIR"), "/libraries/", $name))
    };
}

/// Name, content type and content.
const FILES: [(&str, &str, &str); 12] = [
    ("style.css", "text/css; charset=utf-8", client_file!("style.css")),
    ("app.js", JAVASCRIPT, client_file!("app.js")),
    ("chart.js", JAVASCRIPT, client_file!("chart.js")),
    ("live.js", JAVASCRIPT, client_file!("live.js")),
    ("lists.js", JAVASCRIPT, client_file!("lists.js")),
    ("search.js", JAVASCRIPT, client_file!("search.js")),
    ("time.js", JAVASCRIPT, client_file!("time.js")),
    ("icon.svg", "image/svg+xml", client_file!("icon.svg")),
    ("htmx.js", JAVASCRIPT, library!("htmx.js")),
    ("htmx.LICENSE", TEXT, library!("htmx.LICENSE")),
    ("lightweight-charts.js", JAVASCRIPT, library!("lightweight-charts.js")),
    ("lightweight-charts.LICENSE", TEXT, library!("lightweight-charts.LICENSE")),
];

/// A digest of all files together: modules import one another by relative names, so they change as one.
static DIGEST: LazyLock<String> = LazyLock::new(|| {
    let mut digest = Sha256::new();
    for (name, _, content) in FILES {
        digest.update(name);
        digest.update([0]);
        digest.update(content);
    }
    digest.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
});

/// The URL of a file.
pub(super) fn url(name: &str) -> String {
    format!("/assets/{}/{name}", *DIGEST)
}

pub(super) async fn file(Path((digest, name)): Path<(String, String)>) -> Response {
    let Some((_, content_type, content)) = FILES.iter().find(|(file, _, _)| *file == name) else {
        return ApiError::new(StatusCode::NOT_FOUND, "No such file").into_response();
    };
    // A page from before an update requests the old digest; it gets the new file, but must not cache it.
    let cache_control = if digest == *DIGEST { "public, max-age=31536000, immutable" } else { "no-store" };
    (
        [
            (header::CONTENT_TYPE, *content_type),
            (header::CACHE_CONTROL, cache_control),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ],
        *content,
    )
        .into_response()
}

/// `/favicon.ico`, which browsers request by themselves.
pub(super) async fn icon() -> Response {
    file(Path((String::new(), "icon.svg".to_owned()))).await
}
