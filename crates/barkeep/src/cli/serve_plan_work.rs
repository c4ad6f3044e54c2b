//! `barkeep serve`, `plan` and `work`: the roles of `up` as separate processes, also on several machines, on one database.

use std::process::ExitCode;

use clap::Args;
use market::Ticker;
use serde_json::json;

use super::{
    output::{print_line, print_status},
    query, table, up,
};
use crate::{
    config::{CommonOptions, Config},
    supervisor::{Roles, StartupInfo},
};
use engine::dry_run::{DryRun, dry_run};

#[derive(Args, Debug)]
pub(super) struct Serve {}

#[derive(Args, Debug)]
pub(super) struct Plan {
    /// Print the requests that would be sent, the reasons, and the minimum number; send and write nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Print only requests of these symbols [default: all tracked symbols]
    #[arg(value_name = "SYMBOL", requires = "dry_run")]
    symbols: Vec<Ticker>,
}

#[derive(Args, Debug)]
pub(super) struct Work {
    /// Send at most this many requests at a time
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=64))]
    concurrency: u16,
}

impl Serve {
    pub(super) async fn run(self, common: &CommonOptions) -> anyhow::Result<ExitCode> {
        let roles = Roles { serve: true, plan: false, work: None };
        let json = common.json;
        let on_start = async move |started: StartupInfo<'_>| up::print_start(started, json).await;
        roles.run(Config::load(common)?, None, on_start).await
    }
}

impl Work {
    pub(super) async fn run(self, common: &CommonOptions) -> anyhow::Result<ExitCode> {
        let roles = Roles { serve: false, plan: false, work: Some(self.concurrency) };
        let slots = self.concurrency;
        let on_start = async |started: StartupInfo<'_>| {
            print_status(format!("Workers started, {slots} requests at a time{}", simulated(&started)))
        };
        roles.run(Config::load(common)?, None, on_start).await
    }
}

impl Plan {
    pub(super) async fn run(self, common: &CommonOptions) -> anyhow::Result<ExitCode> {
        if self.dry_run {
            return self.dry_run(common).await;
        }
        let roles = Roles { serve: false, plan: true, work: None };
        let json = common.json;
        let on_start = async move |started: StartupInfo<'_>| match json {
            true => print_status(json!({ "planning": true, "simulated": started.simulated })),
            false => print_status(format!("Planner started{}", simulated(&started))),
        };
        roles.run(Config::load(common)?, None, on_start).await
    }

    async fn dry_run(self, common: &CommonOptions) -> anyhow::Result<ExitCode> {
        let symbols = (!self.symbols.is_empty()).then_some(self.symbols.as_slice());
        let report =
            query::with_engine(common, &self.symbols, async |engine| Ok(dry_run(engine, symbols).await?)).await?;
        if common.json {
            print_line(serde_json::to_string_pretty(&report)?)?;
        } else {
            print(&report)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn simulated(started: &StartupInfo<'_>) -> &'static str {
    if started.simulated { "; market data: SIMULATED" } else { "" }
}

fn print(report: &DryRun) -> anyhow::Result<()> {
    if report.requests.is_empty() {
        return print_line("Nothing is missing: no request would be sent");
    }
    let rows: Vec<_> = report
        .requests
        .iter()
        .enumerate()
        .map(|(n, request)| {
            let symbols = match request.symbols.as_slice() {
                [one] => one.to_string(),
                [first, ..] => format!("{first} and {} others", request.symbols.len() - 1),
                [] => String::new(),
            };
            let serves: Vec<&str> = request.serves.iter().map(|timeframe| timeframe.as_str()).collect();
            [
                (n + 1).to_string(),
                request.provider.clone(),
                request.timeframe.to_string(),
                symbols,
                request.from.to_string(),
                request.to.to_string(),
                request.rows.to_string(),
                request.pages.to_string(),
                serves.join(","),
                format!("{} ({})", request.wanted_by, request.priority),
                request.because.to_owned(),
            ]
        })
        .collect();
    print_line(table::render(
        ["#", "provider", "bars", "symbols", "from", "to", "rows", "pages", "for", "requested by", "reason"],
        [true, false, false, false, false, false, true, true, false, false, false],
        &rows,
    ))?;
    print_line(format!(
        "{} requests (one per page) to {} for {} runs, of which {} are already queued; the minimum is {}",
        report.total,
        report.providers.join(", "),
        report.queued + report.to_be_queued,
        report.queued,
        report.minimum
    ))
}
