//! The banner of all pages while a provider fails: nothing new comes of it, whatever the page shows.

use maud::{Markup, html};
use store::{
    Database,
    provider_health::{self, ProviderHealth},
};

use super::format;

/// Which providers fail, and since when; empty if none does, or if that can't be read.
pub(super) async fn banner(database: &Database) -> Markup {
    let mut health = provider_health::all(database).await.unwrap_or_default();
    health.retain(ProviderHealth::is_failing_now);
    html! {
        @for health in &health {
            p.outage {
                strong { (health.provider) " has been failing" }
                @if let Some(since) = health.failing_since { " since " (format::instant(since)) }
                ". New bars are fetched as soon as it answers. "
                a href="/health" { "Details" }
            }
        }
    }
}
