//! `barkeep runs [SYMBOL...] [--failed]` and `barkeep retry [SYMBOL...]`.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use market::Ticker;
use serde::Serialize;
use store::{
    events, runs,
    show::{self, Run, Which},
};

use super::{read_only, table};
use crate::config::Common;
use store::directory::suggest;

#[derive(Args, Debug)]
pub(super) struct Runs {
    /// Only of these symbols
    #[arg(value_name = "SYMBOL")]
    symbols: Vec<Ticker>,
    /// Only those that have failed, with the reason: `barkeep retry` queues them again
    #[arg(long, conflicts_with = "status")]
    failed: bool,
    /// Only of that status
    #[arg(long, value_enum)]
    status: Option<StatusName>,
    /// At most so many
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
    pub(super) async fn run(self, common: &Common) -> anyhow::Result<ExitCode> {
        let status = if self.failed { Some(StatusName::Failed) } else { self.status };
        let statuses: Vec<&str> = status.iter().map(|status| status.as_str()).collect();
        read_only::at(
            common,
            async |home| {
                let tickers = (!self.symbols.is_empty()).then_some(self.symbols.as_slice());
                let which = Which { statuses: &statuses, tickers, limit: self.limit };
                Ok(show::runs(&home.database, None, &which).await?)
            },
            |runs| render(runs),
        )
        .await
    }
}

fn render(runs: &[Run]) -> String {
    if runs.is_empty() {
        return "No such runs".to_owned();
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
        ["symbol", "tf", "status", "priority", "from", "to", "rows", "tries", "failures", "reason"],
        [false, false, false, true, false, false, true, true, true, false],
        &rows,
    );
    format!("{table}\nPriorities in brackets are background work's")
}

#[derive(Args, Debug)]
pub(super) struct Retry {
    /// Only of these symbols
    #[arg(value_name = "SYMBOL")]
    symbols: Vec<Ticker>,
}

#[derive(Debug, Serialize)]
struct Retried {
    retried: u64,
}

impl Retry {
    pub(super) async fn run(self, common: &Common) -> anyhow::Result<ExitCode> {
        read_only::at(
            common,
            async |home| {
                let known = show::kept(&home.database, &self.symbols).await?;
                if let Some(unknown) = self.symbols.iter().find(|symbol| !known.contains(symbol)) {
                    let hint = suggest::sentence(&home.database, unknown).await;
                    anyhow::bail!("nobody wants {unknown}, so nothing of it has failed{hint}");
                }
                let tickers = (!self.symbols.is_empty()).then_some(self.symbols.as_slice());
                let retried = runs::retry_failed(&home.database, tickers).await?;
                if retried > 0 {
                    events::tell_queued(&home.database).await?;
                }
                Ok(Retried { retried })
            },
            |Retried { retried }| match retried {
                0 => "Nothing that failed could be queued again".to_owned(),
                n => format!("{n} runs are queued again; `barkeep runs` shows them"),
            },
        )
        .await
    }
}
