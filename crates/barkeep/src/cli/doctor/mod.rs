//! `barkeep doctor`: checks the installation for problems, and says how to fix them.

mod database;
mod machine;
mod market_data;

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use store::StoreError;

use super::output::print_line;
use crate::{
    config::{CommonOptions, Config},
    database::DatabaseHandle,
};

#[derive(Args, Debug)]
pub(super) struct Doctor {}

/// The result of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    check: &'static str,
    state: State,
    found: String,
    /// How to fix it; `None` if all is well.
    #[serde(rename = "mend")]
    fix: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    Ok,
    /// Works, but isn't as it should be, or soon won't be.
    Warning,
    Broken,
}

impl Finding {
    fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, state: State::Ok, found: found.into(), fix: None }
    }

    fn warning(check: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { check, state: State::Warning, found: found.into(), fix: Some(fix.into()) }
    }

    fn broken(check: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { check, state: State::Broken, found: found.into(), fix: Some(fix.into()) }
    }
}

impl Doctor {
    /// Status 1 where something is broken.
    pub(super) async fn run(self, common: &CommonOptions) -> anyhow::Result<ExitCode> {
        let config = Config::load(common)?;
        let mut findings = vec![machine::disk(&config), machine::clock()];
        match DatabaseHandle::open(&config, 3).await {
            Err(error) => findings.push(match error.downcast_ref() {
                Some(StoreError::OtherSchema { what, remedy }) => Finding::broken("schema", what, remedy),
                Some(error) if !error.is_unreachable() => {
                    Finding::broken("database", error.to_string(), "Check the database's role and its privileges")
                }
                _ => Finding::broken(
                    "database reachable",
                    error.to_string(),
                    "Start it, or choose another one with --database-url; for a private one check that --data-dir is writable",
                ),
            }),
            Ok(handle) => {
                findings.push(Finding::ok("database reachable", "connected"));
                let checked = check(&config, &handle, &mut findings).await;
                let closed = handle.close().await;
                checked?;
                closed?;
            }
        }
        let worst = findings.iter().map(|finding| finding.state).max().unwrap_or(State::Ok);
        if common.json {
            print_line(serde_json::to_string_pretty(&findings)?)?;
        } else {
            print(&findings)?;
        }
        Ok(if worst == State::Broken { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

async fn check(config: &Config, handle: &DatabaseHandle, findings: &mut Vec<Finding>) -> anyhow::Result<()> {
    if let Err(error) = handle.migrate_if_private().await {
        findings.push(Finding::broken("schema", error.to_string(), "Run `barkeep migrate`"));
        return Ok(());
    }
    findings.push(Finding::ok("schema", "up to date"));
    findings.extend(database::checks(&handle.database).await?);
    findings.extend(market_data::checks(config, &handle.database).await?);
    Ok(())
}

fn print(findings: &[Finding]) -> anyhow::Result<()> {
    let width = findings.iter().map(|finding| finding.check.len()).max().unwrap_or(0);
    for Finding { check, state, found, fix } in findings {
        let mark = match state {
            State::Ok => "ok     ",
            State::Warning => "warning",
            State::Broken => "BROKEN ",
        };
        print_line(format!("{mark}  {check:<width$}  {found}"))?;
        if let Some(fix) = fix {
            print_line(format!("         {:width$}  -> {fix}", ""))?;
        }
    }
    let count = |state| findings.iter().filter(|finding| finding.state == state).count();
    match (count(State::Broken), count(State::Warning)) {
        (0, 0) => print_line("No problems found"),
        (broken, warnings) => print_line(format!("{broken} broken, {warnings} warnings")),
    }
}
