//! `barkeep providers`: market data providers with their settings, budgets and health.

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use store::{
    budget::{self, AccountBudget},
    provider_health::{self, ProviderHealth},
};

use super::{query, table};
use crate::config::{CommonOptions, Config};

#[derive(Args, Debug)]
pub(super) struct Providers {}

#[derive(Debug, Serialize)]
struct ProvidersReport {
    /// All supported providers; those that are configured come first, in the order in which they are asked.
    providers: Vec<Provider>,
    /// The request budgets of accounts that were used within a day.
    budgets: Vec<AccountBudget>,
    health: Vec<ProviderHealth>,
}

#[derive(Debug, Serialize)]
struct Provider {
    name: &'static str,
    set_up: bool,
    /// The variables that configure it.
    variables: Vec<&'static str>,
}

impl Providers {
    pub(super) async fn run(self, common: &CommonOptions) -> anyhow::Result<ExitCode> {
        let config = Config::load(common)?;
        let mut providers: Vec<Provider> = config
            .known_providers
            .iter()
            .map(|(name, variables, set_up)| Provider { name, set_up: *set_up, variables: variables.to_vec() })
            .collect();
        let position = |name: &str| config.providers.iter().position(|p| p.name() == name).unwrap_or(usize::MAX);
        providers.sort_by_key(|provider| position(provider.name));
        query::run(
            common,
            async |handle| {
                let (budgets, health) =
                    (budget::account_budgets(&handle.database).await?, provider_health::all(&handle.database).await?);
                Ok(ProvidersReport { providers, budgets, health })
            },
            render,
        )
        .await
    }
}

fn render(report: &ProvidersReport) -> String {
    let rows: Vec<_> = report
        .providers
        .iter()
        .map(|provider| {
            [
                provider.name.to_owned(),
                if provider.set_up { "configured" } else { "not configured" }.to_owned(),
                provider.variables.join(", "),
            ]
        })
        .collect();
    let mut lines = vec![table::render(["provider", "status", "settings"], [false, false, false], &rows)];
    if !report.providers.iter().any(|provider| provider.set_up) {
        lines.push("No provider is configured: bars are SIMULATED".to_owned());
    }
    if !report.budgets.is_empty() {
        let rows: Vec<_> = report.budgets.iter().map(|standing| account_row(standing, &report.health)).collect();
        lines.push(String::new());
        lines.push(table::render(
            ["account", "requests/min", "left", "health", "last success"],
            [false, true, true, false, false],
            &rows,
        ));
    }
    lines.join("\n")
}

fn account_row(standing: &AccountBudget, health: &[ProviderHealth]) -> [String; 5] {
    let health = health.iter().find(|health| health.account == standing.account);
    let state = match (health, &standing.blocked_until) {
        (_, Some(until)) => {
            let reason = standing.blocked_message.as_deref().unwrap_or("the provider asked to wait");
            format!("paused until {until:.0}: {reason}")
        }
        (Some(health), None) if health.failures > 0 => {
            let error = health.last_error.as_deref().unwrap_or_default();
            format!("{} failures in a row: {error}", health.failures)
        }
        _ => "ok".to_owned(),
    };
    let last_success = health.and_then(|health| health.last_good_at).map_or_else(String::new, |at| format!("{at:.0}"));
    [standing.account.clone(), standing.requests_per_minute.to_string(), standing.left.to_string(), state, last_success]
}
