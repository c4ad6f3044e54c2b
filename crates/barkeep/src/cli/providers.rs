//! `barkeep providers`: which market data providers are set up, what they allow, and how they fare.

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use store::{
    budget::{self, Standing},
    providers::{self as health, Health},
};

use super::{read_only, table};
use crate::config::{Common, Config};

#[derive(Args, Debug)]
pub(super) struct Providers {}

#[derive(Debug, Serialize)]
struct Found {
    /// Every provider there is, those that are set up first, in the order in which they are asked.
    providers: Vec<Provider>,
    /// What accounts allow that were used within a day.
    budgets: Vec<Standing>,
    health: Vec<Health>,
}

#[derive(Debug, Serialize)]
struct Provider {
    name: &'static str,
    set_up: bool,
    /// What is to be set for it.
    variables: Vec<&'static str>,
}

impl Providers {
    pub(super) async fn run(self, common: &Common) -> anyhow::Result<ExitCode> {
        let config = Config::load(common)?;
        let mut providers: Vec<Provider> = config
            .known_providers
            .iter()
            .map(|(name, variables, set_up)| Provider { name, set_up: *set_up, variables: variables.to_vec() })
            .collect();
        let place = |name: &str| config.providers.iter().position(|p| p.name() == name).unwrap_or(usize::MAX);
        providers.sort_by_key(|provider| place(provider.name));
        read_only::at(
            common,
            async |home| {
                let (budgets, health) = (budget::standings(&home.database).await?, health::all(&home.database).await?);
                Ok(Found { providers, budgets, health })
            },
            render,
        )
        .await
    }
}

fn render(found: &Found) -> String {
    let rows: Vec<_> = found
        .providers
        .iter()
        .map(|provider| {
            [
                provider.name.to_owned(),
                if provider.set_up { "set up" } else { "not set up" }.to_owned(),
                provider.variables.join(", "),
            ]
        })
        .collect();
    let mut lines = vec![table::render(["provider", "", "variables"], [false, false, false], &rows)];
    if !found.providers.iter().any(|provider| provider.set_up) {
        lines.push("None is set up: bars are SIMULATED".to_owned());
    }
    if !found.budgets.is_empty() {
        let rows: Vec<_> = found.budgets.iter().map(|standing| account(standing, &found.health)).collect();
        lines.push(String::new());
        lines.push(table::render(
            ["account", "a minute", "left", "health", "last good answer"],
            [false, true, true, false, false],
            &rows,
        ));
    }
    lines.join("\n")
}

fn account(standing: &Standing, health: &[Health]) -> [String; 5] {
    let health = health.iter().find(|health| health.account == standing.account);
    let told = match (health, &standing.blocked_until) {
        (_, Some(until)) => {
            let why = standing.blocked_message.as_deref().unwrap_or("as it told us");
            format!("nothing before {until:.0}: {why}")
        }
        (Some(health), None) if health.failures > 0 => {
            let error = health.last_error.as_deref().unwrap_or_default();
            format!("{} failures in a row: {error}", health.failures)
        }
        _ => "good".to_owned(),
    };
    let good = health.and_then(|health| health.last_good_at).map_or_else(String::new, |at| format!("{at:.0}"));
    [standing.account.clone(), standing.requests_per_minute.to_string(), standing.left.to_string(), told, good]
}
