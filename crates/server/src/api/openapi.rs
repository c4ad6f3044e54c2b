//! `GET /openapi.json`: what the addresses take and give.

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
    info(title = "Barkeep", description = "OHLC bars of what people look at: complete, correct, in PostgreSQL. \
        Instants are UTC (RFC 3339) and a bar's is its start; prices are as traded. Errors are {\"error\": \"...\"}."),
    paths(
        sync_user_symbols::sync_user_symbols, orchestrator::orchestrator, symbols_search::symbols_search,
        watchlist_sync::watchlist_sync, ensure_coverage::ensure_coverage, chart::by_query, chart::by_body, bars::bars, coverage::coverage, runs::list, runs::retry,
        symbols::search, watchlist::list, watchlist::add, watchlist::remove, events::events, health::healthz,
        health::readyz, udf::describe::config, udf::describe::time, udf::describe::search, udf::describe::symbols,
        udf::history::history,
    ),
    components(schemas(orchestrator::Status, watchlist_sync::Listed, error::Told, udf::Told)),
    modifiers(&Securing, &Refusing),
    tags(
        (name = "functions", description = "As the clients of the old system call them"),
        (name = "api", description = "Barkeep's own"),
        (name = "udf", description = "TradingView's datafeed protocol"),
        (name = "health", description = "For whoever watches over it"),
    ),
)]
struct Description;

struct Securing;

impl Modify for Securing {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let components = openapi.components.get_or_insert_default();
        let bearer = Http::builder().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        let session = ApiKey::Cookie(ApiKeyValue::new(COOKIE));
        components.add_security_scheme("session", SecurityScheme::ApiKey(session));
    }
}

/// Every refusal has the same body, and every operation a name of its own.
struct Refusing;

impl Modify for Refusing {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        for (path, item) in &mut openapi.paths.paths {
            let is_udf = path.starts_with("/udf/");
            let methods = [("get", &mut item.get), ("post", &mut item.post), ("delete", &mut item.delete)];
            for (method, operation) in methods.into_iter().filter_map(|(method, of)| Some((method, of.as_mut()?))) {
                let words = path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
                operation.operation_id = Some([method].into_iter().chain(words).collect::<Vec<_>>().join("_"));
                for (status, response) in &mut operation.responses.responses {
                    let RefOr::T(response) = response else { continue };
                    if status.starts_with(['4', '5']) && response.content.is_empty() {
                        let shape = if is_udf { "UdfError" } else { "Refusal" };
                        let content = Content::new(Some(Ref::from_schema_name(shape)));
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
