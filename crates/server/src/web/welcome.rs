//! `/welcome`: which data provider is in use, and how to connect one. The first page of users who track nothing yet.

use axum::{extract::State, response::Response};
use maud::{Markup, html};

use super::{
    layout::{Page, csrf_field},
    visitor::Visitor,
};
use crate::app::{App, ProviderState};

/// Provider, its data, and the variables that connect it.
const PROVIDERS: [(&str, &str, &str); 7] = [
    ("Alpaca", "US stocks and crypto; a free account is enough", "APCA_API_KEY_ID=… APCA_API_SECRET_KEY=…"),
    ("Massive (Polygon)", "US stocks", "MASSIVE_API_KEY=…"),
    ("Tradier", "US stocks, 40 days of m15", "TRADIER_TOKEN=…"),
    ("Finnhub", "US stocks, on a paid plan", "FINNHUB_API_KEY=…"),
    ("Yahoo", "US stocks, for personal use only", "BARKEEP_YAHOO=on"),
    ("Binance", "Crypto, without a key", "BARKEEP_CRYPTO=binance"),
    ("Coinbase", "Crypto, without a key", "BARKEEP_CRYPTO=coinbase"),
];

/// Well-known symbols to start with.
const EXAMPLES: [&str; 6] = ["AAPL", "MSFT", "NVDA", "SPY", "BTC-USD", "ETH-USD"];

pub(super) async fn page(State(app): State<App>, visitor: Visitor) -> Response {
    let state = app.provider.borrow().clone();
    let body = html! {
        h1 { "Welcome to Barkeep" }
        (current_provider(&state))
        (first_symbols(&visitor.csrf))
        section {
            h2 { "Connect a data provider" }
            p { "Set the API key as an environment variable or in " code { "barkeep.toml" } ", then restart " code { "barkeep up" }
                ". Your watchlists are kept. " code { "barkeep providers" } " lists the providers found, and "
                code { "barkeep doctor" } " tests them." }
            div.scroll tabindex="0" role="region" aria-label="Data providers" { table {
                thead { tr { th scope="col" { "Provider" } th scope="col" { "Data" } th scope="col" { "Setting" } } }
                tbody {
                    @for (name, data, setting) in PROVIDERS {
                        tr { th scope="row" { (name) } td { (data) } td { code { (setting) } } }
                    }
                }
            } }
        }
    };
    Page { title: "Market data", nav: "/welcome", script: None, body }.render(&app, &visitor.csrf).await
}

fn current_provider(state: &ProviderState) -> Markup {
    html! {
        section {
            h2 { "Current data provider" }
            @match state {
                ProviderState::Connected(_) if state.is_simulated() => {
                    p.loud {
                        strong { "Simulated." } " No data provider is connected, so Barkeep generates its own prices: fine for exploring, useless for "
                        "trading. Real and simulated bars never share a database."
                    }
                },
                ProviderState::Connected(endpoints) => ul {
                    @for endpoint in endpoints { li { strong { (endpoint.provider) } } }
                },
                ProviderState::Missing => p.loud { "No data provider is set up: nothing is fetched, and what is stored is shown." },
                ProviderState::Connecting(error) => p.loud { "Can't reach the data provider: " (error) },
                ProviderState::Elsewhere => p { "Other processes on this database connect to the providers: see " a href="/health" { "Health" } "." },
            }
        }
    }
}

/// A form and examples for users who watch nothing yet.
fn first_symbols(csrf: &str) -> Markup {
    html! {
        section {
            h2 { "Add your first symbols" }
            p { "Start typing anywhere to search, add symbols to your watchlist, or open one of these." }
            form #add method="post" action="/watchlist" {
                (csrf_field(csrf))
                label for="symbols" { "Symbols" }
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
