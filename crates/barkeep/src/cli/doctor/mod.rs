//! `barkeep doctor`: checks each thing that can be wrong and says how to mend it.

mod database;
mod machine;
mod market_data;

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use store::StoreError;

use super::output::say;
use crate::{
    config::{Common, Config},
    home::Home,
};

#[derive(Args, Debug)]
pub(super) struct Doctor {}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    check: &'static str,
    state: State,
    found: String,
    /// What to do about it; none where all is well.
    mend: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    Ok,
    /// Not as it should be, or soon won't be; it works all the same.
    Warning,
    Broken,
}

impl Finding {
    fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, state: State::Ok, found: found.into(), mend: None }
    }

    fn warning(check: &'static str, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { check, state: State::Warning, found: found.into(), mend: Some(mend.into()) }
    }

    fn broken(check: &'static str, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { check, state: State::Broken, found: found.into(), mend: Some(mend.into()) }
    }
}

impl Doctor {
    /// Status 1 where something is broken.
    pub(super) async fn run(self, common: &Common) -> anyhow::Result<ExitCode> {
        let config = Config::load(common)?;
        let mut findings = vec![machine::disk(&config), machine::clock()];
        match Home::open(&config, 3).await {
            Err(error) => findings.push(match error.downcast_ref() {
                Some(StoreError::OtherSchema { what, remedy }) => Finding::broken("schema", what, remedy),
                _ => Finding::broken(
                    "database reachable",
                    error.to_string(),
                    "Start it, or name another with --database-url; for a private one see that --data-dir can be written",
                ),
            }),
            Ok(home) => {
                findings.push(Finding::ok("database reachable", "it answers"));
                let checked = check(&config, &home, &mut findings).await;
                let closed = home.close().await;
                checked?;
                closed?;
            }
        }
        let worst = findings.iter().map(|finding| finding.state).max().unwrap_or(State::Ok);
        if common.json {
            say(serde_json::to_string_pretty(&findings)?)?;
        } else {
            print(&findings)?;
        }
        Ok(if worst == State::Broken { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

async fn check(config: &Config, home: &Home, findings: &mut Vec<Finding>) -> anyhow::Result<()> {
    if let Err(error) = home.migrate_own().await {
        findings.push(Finding::broken("schema", error.to_string(), "Run `barkeep migrate`"));
        return Ok(());
    }
    findings.push(Finding::ok("schema", "up to date"));
    findings.extend(database::checks(&home.database).await?);
    findings.extend(market_data::checks(config, &home.database).await?);
    Ok(())
}

fn print(findings: &[Finding]) -> anyhow::Result<()> {
    let width = findings.iter().map(|finding| finding.check.len()).max().unwrap_or(0);
    for Finding { check, state, found, mend } in findings {
        let mark = match state {
            State::Ok => "ok     ",
            State::Warning => "warning",
            State::Broken => "BROKEN ",
        };
        say(format!("{mark}  {check:<width$}  {found}"))?;
        if let Some(mend) = mend {
            say(format!("         {:width$}  -> {mend}", ""))?;
        }
    }
    let count = |wanted| findings.iter().filter(|finding| finding.state == wanted).count();
    match (count(State::Broken), count(State::Warning)) {
        (0, 0) => say("All is well"),
        (broken, warnings) => say(format!("{broken} broken, {warnings} to look at")),
    }
}
