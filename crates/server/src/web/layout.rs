//! What all pages share: head, navigation, search, banners, and what a browser may load.

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Redirect, Response},
};
use maud::{DOCTYPE, Markup, html};

use super::assets;
use crate::app::{App, ProviderState};

/// Nothing from elsewhere, nothing inline, in nobody's frame.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Statuses that htmx leaves the page alone with: `app.js` says what went wrong.
const HTMX: &str =
    r#"{"noSwap":[204,304,"4xx","5xx"],"history":false,"includeIndicatorCSS":false,"defaultTimeout":15000}"#;

/// Address, name.
const PLACES: [(&str, &str); 4] =
    [("/", "Watchlist"), ("/jobs", "Jobs"), ("/coverage", "Coverage"), ("/health", "Health")];

/// A page of somebody who is signed in.
#[derive(Debug)]
pub(crate) struct Page<'a> {
    pub(crate) title: &'a str,
    /// The address that is lit up in the navigation.
    pub(crate) place: &'a str,
    /// A module of its own, besides those that all pages have.
    pub(crate) script: Option<&'a str>,
    pub(crate) body: Markup,
}

impl Page<'_> {
    pub(super) fn shown(self, app: &App, csrf: &str) -> Response {
        let state = app.provider.borrow().clone();
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                (head(self.title, self.script, Some(csrf)))
                body {
                    a.skip href="#main" { "To the content" }
                    header.top {
                        a.mark href="/" aria-label="Barkeep, to your watchlist" { img src=(assets::address("icon.svg")) alt="" width="20" height="20"; " Barkeep" }
                        (search())
                        nav aria-label="Pages" {
                            @for (address, name) in PLACES {
                                a href=(address) aria-current=[(address == self.place).then_some("page")] { (name) }
                            }
                        }
                        (menu(csrf))
                    }
                    (simulated(&state))
                    div #connection role="status" hidden {}
                    main #main tabindex="-1" { (self.body) }
                    div #toasts role="status" aria-live="polite" {}
                    footer {
                        span { "Bars are as their exchange timed them; nothing here is advice." }
                        a href="https://www.tradingview.com/" rel="noreferrer" { "Charts by TradingView Lightweight Charts™" }
                        a href=(assets::address("lightweight-charts.LICENSE")) { "Licence" }
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
            link rel="icon" type="image/svg+xml" href=(assets::address("icon.svg"));
            link rel="stylesheet" href=(assets::address("style.css"));
            @if let Some(csrf) = csrf {
                meta name="csrf" content=(csrf);
                meta name="htmx-config" content=(HTMX);
                script src=(assets::address("htmx.js")) defer {}
                script type="module" src=(assets::address("app.js")) {}
                @if let Some(script) = script {
                    link rel="modulepreload" href=(assets::address("lightweight-charts.js"));
                    script type="module" src=(assets::address(script)) {}
                }
            }
        }
    }
}

/// A combobox by the ARIA pattern; `search.js` brings it to life, and without it the form finds what was typed.
fn search() -> Markup {
    html! {
        form #search role="search" action="/search" method="get" autocomplete="off" {
            label.hidden for="search-text" { "Search symbols" }
            input #search-text name="q" type="text" inputmode="search" placeholder="Search: ticker or name  ( / )"
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
                    select #theme { option value="" { "As the system" } option value="light" { "Light" } option value="dark" { "Dark" } }
                }
                label { "Times "
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

/// Of a form that is sent without a script.
pub(super) fn csrf_field(csrf: &str) -> Markup {
    html! { input type="hidden" name="csrf" value=(csrf); }
}

/// Nobody may take made-up prices for real ones.
fn simulated(state: &ProviderState) -> Markup {
    html! {
        @if state.is_simulated() {
            p.simulated {
                strong { "Simulated market data." } " These prices are made up. "
                a href="/welcome" { "Set up a real source" }
            }
        }
    }
}

/// A page for whoever comes, signed in or not.
pub(super) fn shown_to_strangers(status: StatusCode, title: &str, body: &Markup) -> Response {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            (head(title, None, None))
            body {
                header.top { a.mark href="/" { img src=(assets::address("icon.svg")) alt="" width="20" height="20"; " Barkeep" } }
                main #main.narrow { (body) }
            }
        }
    };
    respond(status, page)
}

fn respond(status: StatusCode, page: Markup) -> Response {
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

/// A part of a page, for htmx. Whoever opens it by itself may do no more there than on a page.
pub(super) fn fragment(part: Markup) -> Response {
    respond(StatusCode::OK, part)
}

/// What of a text may stand in a header.
pub(super) fn ascii(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect()
}

/// Of a build without the client.
pub(super) async fn headless() -> Response {
    let body = html! {
        h1 { "Barkeep" }
        p { "This build has no web client: it was made with the feature " code { "headless" } "." }
        p { "The API is at " code { "/api/v1" } "; " a href="/openapi.json" { "/openapi.json" } " describes it." }
    };
    shown_to_strangers(StatusCode::OK, "Barkeep", &body)
}

/// What was asked for is done: scripts go on where they are, a plain form to `back`.
pub(super) fn done(headers: &HeaderMap, back: &str) -> Response {
    let is_script = headers.contains_key("hx-request") || headers.contains_key("x-barkeep");
    if is_script { StatusCode::NO_CONTENT.into_response() } else { Redirect::to(back).into_response() }
}
