//! `barkeep verify [SYMBOL...]`: proof that what is stored is right.

use std::process::ExitCode;

use clap::Args;
use market::Ticker;

use super::{output::say, read_only, table};
use crate::config::Common;
use engine::verify::{Depth, Report, store_report, verify};

#[derive(Args, Debug)]
pub(super) struct Verify {
    /// Only these symbols [default: all that are kept]
    #[arg(value_name = "SYMBOL")]
    symbols: Vec<Ticker>,
    /// Sessions of each series that are fetched once more and compared; 0 asks the provider nothing
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(0..=1000))]
    sessions: u16,
}

impl Verify {
    pub(super) async fn run(self, common: &Common) -> anyhow::Result<ExitCode> {
        let of = (!self.symbols.is_empty()).then_some(self.symbols.as_slice());
        let depth = Depth { sessions: usize::from(self.sessions) };
        let reports = read_only::with_provider(common, &self.symbols, async |engine| {
            let reports = verify(engine, of, depth).await?;
            for report in &reports {
                store_report(engine, report).await?;
            }
            Ok(reports)
        })
        .await?;
        if common.json {
            say(serde_json::to_string_pretty(&reports)?)?;
        } else {
            print(&reports)?;
        }
        let good = !reports.is_empty() && reports.iter().all(Report::is_good);
        Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn print(reports: &[Report]) -> anyhow::Result<()> {
    if reports.is_empty() {
        return say("No such series is kept: `barkeep track SYMBOL` keeps it");
    }
    let rows: Vec<_> = reports
        .iter()
        .map(|report| {
            [
                report.symbol.to_string(),
                report.timeframe.to_string(),
                report.coverage.expected.to_string(),
                report.coverage.stored.to_string(),
                report.coverage.missing.to_string(),
                report.checked.to_string(),
                report.sampled.to_string(),
                (report.findings.len() + report.more).to_string(),
                if report.is_good() { "good" } else { "NOT GOOD" }.to_owned(),
            ]
        })
        .collect();
    say(table::render(
        ["symbol", "tf", "expected", "stored", "missing", "checked", "compared", "findings", ""],
        [false, false, true, true, true, true, true, true, false],
        &rows,
    ))?;
    for report in reports {
        let name = format!("{} {}", report.symbol, report.timeframe);
        for finding in &report.findings {
            say(format!("{name} at {}: {} ({})", finding.at, finding.message, finding.kind.as_str()))?;
        }
        if report.more > 0 {
            say(format!("{name}: {} more like these", report.more))?;
        }
        if let Some(why) = &report.not_sampled {
            say(format!("{name}: not compared with the provider: {why}"))?;
        }
    }
    Ok(())
}
