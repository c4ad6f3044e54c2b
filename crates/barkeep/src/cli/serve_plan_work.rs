//! `barkeep serve`, `plan` and `work`: the parts of `up`, for several processes or machines on one database.

use std::process::ExitCode;

use clap::Args;
use market::Ticker;
use serde_json::json;

use super::{
    output::{announce, say},
    read_only, table, up,
};
use crate::{
    config::{Common, Config},
    supervisor::{Parts, Started},
};
use engine::dry_run::{DryRun, dry_run};

/// HTTP alone.
#[derive(Args, Debug)]
pub(super) struct Serve {}

#[derive(Args, Debug)]
pub(super) struct Plan {
    /// Prints the requests that would be sent, why, and how few they could be; sends and writes nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Only these symbols' requests
    #[arg(value_name = "SYMBOL", requires = "dry_run")]
    symbols: Vec<Ticker>,
}

#[derive(Args, Debug)]
pub(super) struct Work {
    /// Requests under way at a time
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=64))]
    concurrency: u16,
}

impl Serve {
    pub(super) async fn run(self, common: &Common) -> anyhow::Result<ExitCode> {
        let parts = Parts { serve: true, plan: false, work: None };
        let json = common.json;
        let told = async move |started: Started<'_>| up::print_start(started, json).await;
        parts.run(Config::load(common)?, None, told).await
    }
}

impl Work {
    pub(super) async fn run(self, common: &Common) -> anyhow::Result<ExitCode> {
        let parts = Parts { serve: false, plan: false, work: Some(self.concurrency) };
        let slots = self.concurrency;
        let told = async |started: Started<'_>| {
            announce(format!("Working, {slots} requests at a time{}", simulated(&started)))
        };
        parts.run(Config::load(common)?, None, told).await
    }
}

impl Plan {
    pub(super) async fn run(self, common: &Common) -> anyhow::Result<ExitCode> {
        if self.dry_run {
            return self.look(common).await;
        }
        let parts = Parts { serve: false, plan: true, work: None };
        let json = common.json;
        let told = async move |started: Started<'_>| match json {
            true => announce(json!({ "planning": true, "simulated": started.simulated })),
            false => announce(format!("Planning{}", simulated(&started))),
        };
        parts.run(Config::load(common)?, None, told).await
    }

    async fn look(self, common: &Common) -> anyhow::Result<ExitCode> {
        let of = (!self.symbols.is_empty()).then_some(self.symbols.as_slice());
        let found =
            read_only::with_provider(common, &self.symbols, async |engine| Ok(dry_run(engine, of).await?)).await?;
        if common.json {
            say(serde_json::to_string_pretty(&found)?)?;
        } else {
            print(&found)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn simulated(started: &Started<'_>) -> &'static str {
    if started.simulated { "; market data: SIMULATED" } else { "" }
}

fn print(found: &DryRun) -> anyhow::Result<()> {
    if found.requests.is_empty() {
        return say("Nothing is missing: no request would be sent");
    }
    let rows: Vec<_> = found
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
    say(table::render(
        ["#", "provider", "bars", "symbols", "from", "to", "rows", "pages", "for", "wanted by", "because"],
        [true, false, false, false, false, false, true, true, false, false, false],
        &rows,
    ))?;
    say(format!(
        "{} requests to {} (pages counted) for {} runs, {} of them queued already; {} are the minimum",
        found.total,
        found.providers.join(", "),
        found.queued + found.to_be_queued,
        found.queued,
        found.minimum
    ))
}
