//! A plain page at `/`: what the user watches, how far it has come, and what is going on.

use axum::{
    Form,
    extract::State,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Redirect, Response},
};
use jiff::Timestamp;
use market::Ticker;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde::Deserialize;
use store::{
    budget::{self, Standing},
    coverage::SeriesCoverage,
    health,
    show::{self, Run, Totals, Which},
    tracking::{self, Source},
};
use uuid::Uuid;

use super::{
    App, ProviderState,
    auth::{Session, User},
    coverage::{Coverage, of_tracked},
    error::ApiError,
};
use crate::interest::{self, USUAL_TIMEFRAMES, Wanted};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Nothing from elsewhere, nothing inline, in nobody's frame.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; \
                      base-uri 'none'; frame-ancestors 'none'";

pub(super) async fn page(State(app): State<App>, Session(user): Session) -> Result<Response, ApiError> {
    let body = match user {
        None => html! {
            p { "You are not signed in here." }
            p { "Open the link that " code { "barkeep up" } " printed, or print a new one:" }
            pre { "barkeep sign-in" }
        },
        Some(user) => html! {
            form method="post" action="/watchlist" class="add" {
                label for="symbols" { "Watch" }
                input id="symbols" name="symbols" placeholder="AAPL BRK.B BTC-USD" autocomplete="off" required;
                button { "Add" }
            }
            section id="progress" aria-live="off" { (progress(&app, user).await?) }
            noscript { meta http-equiv="refresh" content="5"; }
            form method="post" action="/sign-out" class="out" { button { "Sign out" } }
        },
    };
    Ok(shown(StatusCode::OK, "Barkeep", body))
}

/// The part of the page that changes, for the page's script.
pub(super) async fn fragment(State(app): State<App>, User(user): User) -> Result<Response, ApiError> {
    let fragment = progress(&app, user).await?.into_string();
    Ok(([(header::CACHE_CONTROL, "no-store")], Html(fragment)).into_response())
}

#[derive(Debug, Deserialize)]
pub(super) struct Named {
    #[serde(default)]
    symbols: String,
}

impl Named {
    /// As people write lists: with spaces, commas or both.
    fn tickers(&self) -> Result<Vec<Ticker>, market::InvalidTicker> {
        let words = self.symbols.split(|c: char| c == ',' || c.is_whitespace()).filter(|word| !word.is_empty());
        words.map(str::parse).collect()
    }
}

pub(super) async fn add(
    State(app): State<App>,
    User(user): User,
    Form(named): Form<Named>,
) -> Result<Response, ApiError> {
    let taken = async {
        let tickers = named.tickers().map_err(ApiError::invalid)?;
        if tickers.is_empty() {
            return Err(ApiError::bad_request("No symbols provided"));
        }
        let wanted = Wanted { tickers, source: Source::Watchlist, timeframes: USUAL_TIMEFRAMES.to_vec() };
        Ok(interest::take(&app.database, user, &wanted).await?)
    };
    match taken.await {
        Ok(_) => {
            app.signals.wake_here();
            Ok(Redirect::to("/").into_response())
        }
        Err(error) => Ok(told(&error)),
    }
}

pub(super) async fn remove(
    State(app): State<App>,
    User(user): User,
    Form(named): Form<Named>,
) -> Result<Response, ApiError> {
    let tickers = named.tickers().map_err(ApiError::invalid)?;
    tracking::untrack(&app.database, user, &tickers, None).await?;
    Ok(Redirect::to("/").into_response())
}

pub(super) async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE)
}

pub(super) async fn script() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], SCRIPT)
}

pub(super) fn link_is_used_up() -> Response {
    let body = html! {
        p { "This link has been used, or its hour is over. Each is good once." }
        p { "Print a new one:" }
        pre { "barkeep sign-in" }
    };
    shown(StatusCode::UNAUTHORIZED, "Sign in", body)
}

fn told(error: &ApiError) -> Response {
    let body = html! {
        p role="alert" { (error.message()) }
        p { a href="/" { "Back" } }
    };
    shown(error.status(), "Not done", body)
}

fn shown(status: StatusCode, title: &str, body: Markup) -> Response {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                link rel="stylesheet" href="/page.css";
                script type="module" src="/page.js" {}
            }
            body { header { h1 { a href="/" { "Barkeep" } } } main { (body) } }
        }
    };
    let mut response = (status, Html(page.into_string())).into_response();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn progress(app: &App, user: Uuid) -> Result<Markup, ApiError> {
    let totals = show::totals(&app.database, Some(user)).await?;
    let tracked = of_tracked(app, user).await?;
    let ready = health::readiness(&app.database).await?;
    let budgets = budget::standings(&app.database).await?;
    let failed = Which { statuses: &["failed"], tickers: None, limit: 10 };
    let failures = show::runs(&app.database, Some(user), &failed).await?;
    Ok(html! {
        (provider(&app.provider.borrow()))
        @if !super::health::is_alive(&ready) {
            p class="bad" { "The scheduler is not running: nothing new is planned. Start " code { "barkeep up" } "." }
        }
        (queue(&totals, budgets.first()))
        @if tracked.is_empty() {
            p { "You watch nothing yet. Add a symbol above, and its bars are here a moment later." }
        } @else {
            table {
                thead { tr {
                    th { "Symbol" } th { "" } th class="n" { "Stored" } th class="n" { "Expected" } th { "Newest bar" } th { "" }
                    th { "" }
                } }
                @for coverage in &tracked { (symbol(coverage)) }
            }
        }
        @if !failures.is_empty() {
            h2 { "Failed" }
            ul { @for run in &failures { (failure(run)) } }
        }
    })
}

fn provider(state: &ProviderState) -> Markup {
    match state {
        ProviderState::Connected(endpoints) if endpoints.iter().any(|endpoint| endpoint.simulated) => html! {
            p class="loud" {
                "Market data: SIMULATED. Set " code { "APCA_API_KEY_ID" } " and " code { "APCA_API_SECRET_KEY" }
                " and start again for real bars."
            }
        },
        ProviderState::Connected(endpoints) => {
            let names: Vec<&str> = endpoints.iter().map(|endpoint| endpoint.provider.as_str()).collect();
            html! { p { "Market data: " (names.join(", ")) } }
        }
        ProviderState::Connecting(why) => html! { p class="bad" { "The provider can't be reached: " (why) } },
        ProviderState::Elsewhere => html! {},
    }
}

fn queue(totals: &Totals, budget: Option<&Standing>) -> Markup {
    html! {
        p {
            (totals.running) " fetching, " (totals.queued) " queued, " (totals.failed) " failed of yours; "
            (totals.rows_last_hour) " bars within the hour."
            @if let Some(budget) = budget {
                " " (budget.provider) " allows " (budget.left) " of " (budget.requests_per_minute) " requests now"
                @if let Some(until) = budget.blocked_until {
                    ", nothing before " (short(until))
                    @if let Some(message) = &budget.blocked_message { ": " (message) }
                }
                "."
            }
        }
    }
}

fn symbol(coverage: &Coverage) -> Markup {
    let kept: Vec<&SeriesCoverage> = coverage.series.iter().filter(|s| s.state != "not tracked").collect();
    html! {
        tbody {
            @for (n, series) in kept.iter().enumerate() {
                tr {
                    @if n == 0 { th scope="rowgroup" rowspan=(kept.len()) { (coverage.symbol) } }
                    td { (series.timeframe) }
                    td class="n" { (series.stored) }
                    td class="n" { (series.expected) }
                    td { @if let Some(latest) = series.latest { (short(latest)) } }
                    td class={ "state " (series.state.replace(' ', "-")) } {
                        progress max=(series.expected.max(1)) value=(series.expected - series.missing) {}
                        " " (series.state)
                        @if let Some(reason) = &series.reason { ": " (reason) }
                    }
                    @if n == 0 {
                        td rowspan=(kept.len()) {
                            form method="post" action="/watchlist/remove" {
                                input type="hidden" name="symbols" value=(coverage.symbol);
                                button aria-label={ "Stop watching " (coverage.symbol) } { "Remove" }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn failure(run: &Run) -> Markup {
    html! {
        li {
            (run.symbol) " " (run.timeframe) " from " (short(run.slice_from)) ": "
            (run.error_message.as_deref().unwrap_or("no reason given"))
        }
    }
}

/// To the minute.
fn short(at: Timestamp) -> PreEscaped<String> {
    PreEscaped(at.strftime("%Y-%m-%d %H:%MZ").to_string())
}
