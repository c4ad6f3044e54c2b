//! `/welcome`: which market data is in use, and how to set one up. The first page of somebody who has asked for nothing yet.

use axum::{extract::State, response::Response};
use maud::{Markup, html};

use super::{
    layout::{Page, csrf_field},
    visitor::Visitor,
};
use crate::app::{App, ProviderState};

/// Provider, what it has, and the variables that set it up.
const SOURCES: [(&str, &str, &str); 7] = [
    ("Alpaca", "US stocks and crypto; a free account is enough", "APCA_API_KEY_ID=… APCA_API_SECRET_KEY=…"),
    ("Massive (Polygon)", "US stocks", "MASSIVE_API_KEY=…"),
    ("Tradier", "US stocks, 40 days of m15", "TRADIER_TOKEN=…"),
    ("Finnhub", "US stocks, on a paid plan", "FINNHUB_API_KEY=…"),
    ("Yahoo", "US stocks, for personal use only", "BARKEEP_YAHOO=on"),
    ("Binance", "Crypto, without a key", "BARKEEP_CRYPTO=binance"),
    ("Coinbase", "Crypto, without a key", "BARKEEP_CRYPTO=coinbase"),
];

/// Well known, so that there is something to begin with.
const EXAMPLES: [&str; 6] = ["AAPL", "MSFT", "NVDA", "SPY", "BTC-USD", "ETH-USD"];

pub(super) async fn page(State(app): State<App>, visitor: Visitor) -> Response {
    let state = app.provider.borrow().clone();
    let body = html! {
        h1 { "Welcome to Barkeep" }
        (in_use(&state))
        (begin(&visitor.csrf))
        section {
            h2 { "Setting up a source" }
            p { "Put the key into the environment, or into " code { "barkeep.toml" } ", and start " code { "barkeep up" }
                " again. Your watchlists come along. " code { "barkeep providers" } " shows what was found, and "
                code { "barkeep doctor" } " checks it." }
            div.scroll tabindex="0" role="region" aria-label="Sources" { table {
                thead { tr { th scope="col" { "Source" } th scope="col" { "What it has" } th scope="col" { "Setting" } } }
                tbody {
                    @for (name, has, setting) in SOURCES {
                        tr { th scope="row" { (name) } td { (has) } td { code { (setting) } } }
                    }
                }
            } }
        }
    };
    Page { title: "Market data", place: "/welcome", script: None, body }.shown(&app, &visitor.csrf)
}

fn in_use(state: &ProviderState) -> Markup {
    html! {
        section {
            h2 { "Market data in use" }
            @match state {
                ProviderState::Connected(_) if state.is_simulated() => {
                    p.loud {
                        strong { "Simulated." } " No provider is set up, so Barkeep runs a market of its own with made-up prices: good for "
                        "looking round, worth nothing for trading. Real and simulated bars never share a database."
                    }
                },
                ProviderState::Connected(endpoints) => ul {
                    @for endpoint in endpoints { li { strong { (endpoint.provider) } } }
                },
                ProviderState::Connecting(why) => p.loud { "The provider can't be reached: " (why) },
                ProviderState::Elsewhere => p { "Other processes on this database talk to the providers: " a href="/health" { "Health" } " shows them." },
            }
        }
    }
}

/// Something to click on for somebody who watches nothing.
pub(super) fn begin(csrf: &str) -> Markup {
    html! {
        section {
            h2 { "Begin with a symbol" }
            p { "Type a ticker or a name anywhere to look at it, put several on your watchlist, or open one of these. Bars are here a moment later." }
            form #add method="post" action="/watchlist" {
                (csrf_field(csrf))
                label for="symbols" { "Watch" }
                input #symbols name="symbols" placeholder="AAPL BRK.B BTC-USD" autocomplete="off" spellcheck="false"
                    autocapitalize="characters" required;
                button { "Add" }
            }
            form.examples method="post" action="/search/pick" {
                (csrf_field(csrf))
                @for symbol in EXAMPLES { button name="symbol" value=(symbol) { (symbol) } }
            }
        }
    }
}
