//! The layout of all pages: head, navigation, search, banners, and the security headers.

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Redirect, Response},
};
use maud::{DOCTYPE, Markup, html};

use super::{assets, outage};
use crate::app::{App, ProviderState};

/// Nothing from other hosts, nothing inline, no framing.
const CSP: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// htmx swaps nothing for these statuses: `app.js` shows the error.
const HTMX_CONFIG: &str =
    r#"{"noSwap":[204,304,"4xx","5xx"],"history":false,"includeIndicatorCSS":false,"defaultTimeout":15000}"#;

/// Path and name.
const NAVIGATION: [(&str, &str); 4] =
    [("/", "Watchlist"), ("/jobs", "Jobs"), ("/coverage", "Coverage"), ("/health", "Health")];

/// A page for a signed-in user.
#[derive(Debug)]
pub(crate) struct Page<'a> {
    pub(crate) title: &'a str,
    /// The path of the current item in the navigation.
    pub(crate) nav: &'a str,
    /// The page's own module, besides those of all pages.
    pub(crate) script: Option<&'a str>,
    pub(crate) body: Markup,
}

impl Page<'_> {
    pub(super) async fn render(self, app: &App, csrf: &str) -> Response {
        let state = app.provider.borrow().clone();
        let outage = outage::banner(&app.database).await;
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                (head(self.title, self.script, Some(csrf)))
                body {
                    a.skip href="#main" { "Skip to content" }
                    header.top {
                        a.mark href="/" aria-label="Barkeep: your watchlist" { img src=(assets::url("icon.svg")) alt="" width="20" height="20"; " Barkeep" }
                        (search())
                        nav aria-label="Pages" {
                            @for (path, name) in NAVIGATION {
                                a href=(path) aria-current=[(path == self.nav).then_some("page")] { (name) }
                            }
                        }
                        (menu(csrf))
                    }
                    (simulated_banner(&state))
                    div #outage role="status" hx-get="/provider/now" hx-swap="innerHTML"
                        hx-trigger="barkeep:work from:body throttle:1s, every 15s" { (outage) }
                    div #connection role="status" hidden {}
                    main #main tabindex="-1" { (self.body) }
                    div #toasts role="status" aria-live="polite" {}
                    footer {
                        span { "For information only, not investment advice." }
                        a href="https://www.tradingview.com/" rel="noreferrer" { "Charts by TradingView Lightweight Charts™" }
                        a href=(assets::url("lightweight-charts.LICENSE")) { "Licence" }
                    }
                }
            }
        };
        respond(StatusCode::OK, page)
    }
}

fn head(title: &str, script: Option<&str>, csrf: Option<&str>) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            title { (title) " · Barkeep" }
            link rel="icon" type="image/svg+xml" href=(assets::url("icon.svg"));
            link rel="stylesheet" href=(assets::url("style.css"));
            @if let Some(csrf) = csrf {
                meta name="csrf" content=(csrf);
                meta name="htmx-config" content=(HTMX_CONFIG);
                script src=(assets::url("htmx.js")) defer {}
                script type="module" src=(assets::url("app.js")) {}
                @if let Some(script) = script {
                    link rel="modulepreload" href=(assets::url("lightweight-charts.js"));
                    script type="module" src=(assets::url(script)) {}
                }
            }
        }
    }
}

/// A combobox by the ARIA pattern, driven by `search.js`; without scripts it is a plain form.
fn search() -> Markup {
    html! {
        form #search role="search" action="/search" method="get" autocomplete="off" {
            label.hidden for="search-text" { "Search symbols" }
            input #search-text name="q" type="text" inputmode="search" placeholder="Search ticker or name  ( / )"
                maxlength="64" spellcheck="false" autocapitalize="characters"
                role="combobox" aria-expanded="false" aria-controls="search-options" aria-autocomplete="list"
                aria-haspopup="listbox";
            div #search-options role="listbox" aria-label="Symbols" hidden {}
        }
    }
}

fn menu(csrf: &str) -> Markup {
    html! {
        details.menu {
            summary aria-label="Settings" { "⋯" }
            div {
                label { "Theme "
                    select #theme { option value="" { "System" } option value="light" { "Light" } option value="dark" { "Dark" } }
                }
                label { "Time zone "
                    select #zone {
                        option value="exchange" { "Exchange" } option value="utc" { "UTC" } option value="local" { "Local" }
                    }
                }
                a href="/welcome" { "Market data" }
                form method="post" action="/sign-out" { (csrf_field(csrf)) button { "Sign out" } }
            }
        }
    }
}

/// The hidden field with the CSRF token, for forms sent without a script.
pub(super) fn csrf_field(csrf: &str) -> Markup {
    html! { input type="hidden" name="csrf" value=(csrf); }
}

/// Simulated prices must not be mistaken for real ones, nor stored ones for those of today.
fn simulated_banner(state: &ProviderState) -> Markup {
    html! {
        @if matches!(state, ProviderState::Missing) {
            p.simulated {
                strong { "No data provider is set up." } " Nothing new is fetched. "
                a href="/welcome" { "Connect a data provider" }
            }
        }
        @if state.is_simulated() {
            p.simulated {
                strong { "Simulated market data." } " These prices are not real. "
                a href="/welcome" { "Connect a data provider" }
            }
        }
    }
}

/// A page that needs no session.
pub(super) fn public_page(status: StatusCode, title: &str, body: &Markup) -> Response {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            (head(title, None, None))
            body {
                header.top { a.mark href="/" { img src=(assets::url("icon.svg")) alt="" width="20" height="20"; " Barkeep" } }
                main #main.narrow { (body) }
            }
        }
    };
    respond(status, page)
}

fn respond(status: StatusCode, page: Markup) -> Response {
    let mut response = (status, Html(page.into_string())).into_response();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CSP),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// A part of a page, for htmx, with the headers of a page.
pub(super) fn fragment(markup: Markup) -> Response {
    respond(StatusCode::OK, markup)
}

/// Replaces what can't be in a header value.
pub(super) fn ascii_only(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect()
}

/// The page of a build without the client.
pub(super) async fn headless() -> Response {
    let body = html! {
        h1 { "Barkeep" }
        p { "This build has no web client: it was built with the feature " code { "headless" } "." }
        p { "The API is at " code { "/api/v1" } "; see " a href="/openapi.json" { "/openapi.json" } "." }
    };
    public_page(StatusCode::OK, "Barkeep", &body)
}

/// The response to a successful write: no content for scripts, a redirect to `back` for plain forms.
pub(super) fn write_succeeded(headers: &HeaderMap, back: &str) -> Response {
    let is_script = headers.contains_key("hx-request") || headers.contains_key("x-barkeep");
    if is_script { StatusCode::NO_CONTENT.into_response() } else { Redirect::to(back).into_response() }
}
