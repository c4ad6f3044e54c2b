//! `GET /openapi.json`: the OpenAPI description.

use axum::Json;
use utoipa::{
    Modify, OpenApi,
    openapi::{
        Content, Ref, RefOr,
        security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme},
    },
};

use super::{bars, coverage, events, health, runs, symbols, watchlist};
use crate::{
    auth::COOKIE,
    error,
    functions::{chart, ensure_coverage, orchestrator, symbols_search, sync_user_symbols, watchlist_sync},
    udf,
};

#[derive(OpenApi)]
#[openapi(
    info(title = "Barkeep", description = "OHLC bars of the symbols that users track: complete, correct, in PostgreSQL. \
        Times are UTC (RFC 3339), a bar's time is its start. Errors are {\"error\": \"...\"}."),
    paths(
        sync_user_symbols::sync_user_symbols, orchestrator::orchestrator, symbols_search::symbols_search,
        watchlist_sync::watchlist_sync, ensure_coverage::ensure_coverage, chart::by_query, chart::by_body, bars::bars, coverage::coverage, runs::list, runs::retry,
        symbols::search, watchlist::list, watchlist::add, watchlist::remove, events::events, health::healthz,
        health::readyz, udf::symbols::config, udf::symbols::time, udf::symbols::search, udf::symbols::symbols,
        udf::history::history,
    ),
    components(schemas(orchestrator::Status, watchlist_sync::WatchlistListing, error::ErrorBody, udf::UdfErrorBody)),
    modifiers(&SecuritySchemes, &ErrorResponses),
    tags(
        (name = "functions", description = "Compatible with the clients of the old system"),
        (name = "api", description = "Barkeep's own API"),
        (name = "udf", description = "TradingView's datafeed protocol"),
        (name = "health", description = "Health checks"),
    ),
)]
struct Description;

struct SecuritySchemes;

impl Modify for SecuritySchemes {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let components = openapi.components.get_or_insert_default();
        let bearer = Http::builder().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        let session = ApiKey::Cookie(ApiKeyValue::new(COOKIE));
        components.add_security_scheme("session", SecurityScheme::ApiKey(session));
    }
}

/// Adds the error body to every error response, and an id to every operation.
struct ErrorResponses;

impl Modify for ErrorResponses {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        for (path, item) in &mut openapi.paths.paths {
            let is_udf = path.starts_with("/udf/");
            let methods = [("get", &mut item.get), ("post", &mut item.post), ("delete", &mut item.delete)];
            for (method, operation) in
                methods.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
            {
                let words = path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
                operation.operation_id = Some([method].into_iter().chain(words).collect::<Vec<_>>().join("_"));
                for (status, response) in &mut operation.responses.responses {
                    let RefOr::T(response) = response else { continue };
                    if status.starts_with(['4', '5']) && response.content.is_empty() {
                        let schema = if is_udf { "UdfError" } else { "Refusal" };
                        let content = Content::new(Some(Ref::from_schema_name(schema)));
                        response.content.insert("application/json".to_owned(), RefOr::T(content));
                    }
                }
            }
        }
    }
}

pub(crate) async fn openapi() -> Json<utoipa::openapi::OpenApi> {
    Json(Description::openapi())
}
