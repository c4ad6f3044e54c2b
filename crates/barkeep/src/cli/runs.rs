//! `barkeep runs [SYMBOL...] [--failed]` and `barkeep retry [SYMBOL...]`.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use market::Ticker;
use serde::Serialize;
use store::{
    events,
    overview::{self, Run, RunFilter},
    runs,
};

use super::{query, table};
use crate::config::CommonOptions;
use store::directory::suggest;

#[derive(Args, Debug)]
pub(super) struct Runs {
    /// Show only these symbols [default: all tracked symbols]
    #[arg(value_name = "SYMBOL")]
    symbols: Vec<Ticker>,
    /// Show only failed runs, with the reason (`barkeep retry` queues them again)
    #[arg(long, conflicts_with = "status")]
    failed: bool,
    /// Show only runs of this status
    #[arg(long, value_enum)]
    status: Option<StatusName>,
    /// Show at most this many runs
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=100_000))]
    limit: i64,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum StatusName {
    Queued,
    Running,
    Success,
    Failed,
    Cancelled,
}

impl StatusName {
    fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Success => "success",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl Runs {
    pub(super) async fn run(self, common: &CommonOptions) -> anyhow::Result<ExitCode> {
        let status = if self.failed { Some(StatusName::Failed) } else { self.status };
        let statuses: Vec<&str> = status.iter().map(|status| status.as_str()).collect();
        query::run(
            common,
            async |handle| {
                let tickers = (!self.symbols.is_empty()).then_some(self.symbols.as_slice());
                let which = RunFilter { statuses: &statuses, tickers, limit: self.limit };
                Ok(overview::runs(&handle.database, None, &which).await?)
            },
            |runs| render(runs),
        )
        .await
    }
}

fn render(runs: &[Run]) -> String {
    if runs.is_empty() {
        return "No matching runs".to_owned();
    }
    let rows: Vec<_> = runs
        .iter()
        .map(|run| {
            [
                run.symbol.to_string(),
                run.timeframe.to_string(),
                run.status.clone(),
                if run.by_interest { run.priority.to_string() } else { format!("({})", run.priority) },
                run.slice_from.to_string(),
                run.slice_to.to_string(),
                run.rows_written.to_string(),
                run.attempt.to_string(),
                run.failures.to_string(),
                run.error_message.clone().unwrap_or_default(),
            ]
        })
        .collect();
    let table = table::render(
        ["symbol", "tf", "status", "priority", "from", "to", "rows", "attempts", "failures", "reason"],
        [false, false, false, true, false, false, true, true, true, false],
        &rows,
    );
    format!("{table}\nPriorities in brackets are those of background runs")
}

#[derive(Args, Debug)]
pub(super) struct Retry {
    /// Retry only these symbols [default: all tracked symbols]
    #[arg(value_name = "SYMBOL")]
    symbols: Vec<Ticker>,
}

#[derive(Debug, Serialize)]
struct Retried {
    retried: u64,
}

impl Retry {
    pub(super) async fn run(self, common: &CommonOptions) -> anyhow::Result<ExitCode> {
        query::run(
            common,
            async |handle| {
                let tracked = overview::kept(&handle.database, &self.symbols).await?;
                if let Some(untracked) = self.symbols.iter().find(|symbol| !tracked.contains(symbol)) {
                    let hint = suggest::sentence(&handle.database, untracked).await;
                    anyhow::bail!("{untracked} isn't tracked, so it has no failed runs{hint}");
                }
                let tickers = (!self.symbols.is_empty()).then_some(self.symbols.as_slice());
                let retried = runs::retry_failed(&handle.database, tickers).await?;
                if retried > 0 {
                    events::notify_queued(&handle.database).await?;
                }
                Ok(Retried { retried })
            },
            |Retried { retried }| match retried {
                0 => "No failed runs to retry".to_owned(),
                n => format!("Queued {n} failed runs again; `barkeep runs` lists them"),
            },
        )
        .await
    }
}
