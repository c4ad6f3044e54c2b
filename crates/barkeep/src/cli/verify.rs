//! `barkeep verify [SYMBOL...]`: checks stored bars against the calendar, one another and the provider.

use std::process::ExitCode;

use clap::Args;
use market::Ticker;

use super::{output::print_line, query, table};
use crate::config::CommonOptions;
use engine::verify::{Depth, Report, store_report, verify};

#[derive(Args, Debug)]
pub(super) struct Verify {
    /// Verify only these symbols [default: all tracked symbols]
    #[arg(value_name = "SYMBOL")]
    symbols: Vec<Ticker>,
    /// Fetch this many sessions of each series again and compare them; 0 sends no requests
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(0..=1000))]
    sessions: u16,
}

impl Verify {
    pub(super) async fn run(self, common: &CommonOptions) -> anyhow::Result<ExitCode> {
        let symbols = (!self.symbols.is_empty()).then_some(self.symbols.as_slice());
        let depth = Depth { sessions: usize::from(self.sessions) };
        let reports = query::with_engine(common, &self.symbols, async |engine| {
            let reports = verify(engine, symbols, depth).await?;
            for report in &reports {
                store_report(engine, report).await?;
            }
            Ok(reports)
        })
        .await?;
        if common.json {
            print_line(serde_json::to_string_pretty(&reports)?)?;
        } else {
            print(&reports)?;
        }
        let all_good = !reports.is_empty() && reports.iter().all(Report::is_good);
        Ok(if all_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn print(reports: &[Report]) -> anyhow::Result<()> {
    if reports.is_empty() {
        return print_line("No series to verify: add symbols with `barkeep track SYMBOL`");
    }
    let rows: Vec<_> = reports
        .iter()
        .map(|report| {
            [
                report.symbol.to_string(),
                report.coverage.timeframe.to_string(),
                report.coverage.expected.to_string(),
                report.coverage.stored.to_string(),
                report.coverage.missing.to_string(),
                report.checked.to_string(),
                report.sampled.to_string(),
                (report.findings.len() + report.more).to_string(),
                if report.is_good() { "ok" } else { "PROBLEMS" }.to_owned(),
            ]
        })
        .collect();
    print_line(table::render(
        ["symbol", "tf", "expected", "stored", "missing", "checked", "compared", "findings", "result"],
        [false, false, true, true, true, true, true, true, false],
        &rows,
    ))?;
    for report in reports {
        let name = format!("{} {}", report.symbol, report.coverage.timeframe);
        for finding in &report.findings {
            print_line(format!("{name} at {}: {} ({})", finding.at, finding.message, finding.kind.as_str()))?;
        }
        if report.more > 0 {
            print_line(format!("{name}: {} more findings", report.more))?;
        }
        if let Some(reason) = &report.not_sampled {
            print_line(format!("{name}: not compared with the provider: {reason}"))?;
        }
    }
    Ok(())
}
