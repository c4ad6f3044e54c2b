//! Verification: stored bars are checked against the calendar, against one another, and against the provider.
//!
//! In: a series as stored. Out: a [`Report`] with every finding. Holds: stored bars are not changed; a few sessions
//! at most are fetched again, within the provider's budget, with background priority.

mod sample;
mod sanity;
mod splits;

use std::{collections::BTreeMap, time::Duration};

use jiff::{SignedDuration, Timestamp};
use market::{Bar, Calendar, Range, RangeSet, Sessions, Ticker, Timeframe, evidence::Judged, grid::Grid};
use metrics::gauge;
use serde::Serialize;
use store::{
    StoreError, bars, corporate_actions, coverage,
    coverage::SeriesCoverage,
    definitions::{self, Definition},
    verification,
};

use crate::engine::Engine;

/// Findings of each kind that a report lists; the rest is only counted.
const LISTED: usize = 20;

/// Findings about one series.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub symbol: Ticker,
    /// The timeframe among them.
    #[serde(flatten)]
    pub coverage: SeriesCoverage,
    /// Bars checked: all that are stored.
    pub checked: usize,
    /// Bars that were fetched again and compared.
    pub sampled: usize,
    pub findings: Vec<Finding>,
    /// Findings beyond those listed.
    pub more: usize,
    /// Why the provider's bars could not be compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_sampled: Option<String>,
}

impl Report {
    /// No findings and nothing missing.
    pub fn is_good(&self) -> bool {
        self.findings.is_empty() && self.coverage.missing == 0
    }
}

impl Kind {
    /// The name of the kind in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Impossible => "impossible",
            Self::OffGrid => "off_grid",
            Self::NeverFinal => "never_final",
            Self::Jump => "jump",
            Self::Contradicted => "contradicted",
            Self::Withdrawn => "withdrawn",
            Self::NotTheSum => "not_the_sum",
            Self::Differs => "differs",
            Self::Missing => "missing",
            Self::Unknown => "unknown",
        }
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    pub kind: Kind,
    /// The start of the bar.
    pub at: Timestamp,
    pub message: String,
}

/// The kind of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Impossible prices or volume.
    Impossible,
    /// A start that no bar of this timeframe has.
    OffGrid,
    /// Ended long ago and still provisional.
    NeverFinal,
    /// A price change like that of a split, in bars that are adjusted for all splits.
    Jump,
    /// A listed split that the bars don't show: it is not applied.
    Contradicted,
    /// A split or dividend that is no longer listed and still applied.
    Withdrawn,
    /// Differs from the same bar resampled from stored shorter bars.
    NotTheSum,
    /// Differs from what the provider sends now.
    Differs,
    /// The provider has the bar; it is not stored, though its range is covered.
    Missing,
    /// Stored, but the provider has no such bar.
    Unknown,
}

/// How thorough the verification is.
#[derive(Clone, Copy, Debug)]
pub struct Depth {
    /// Sessions of each series that are fetched again.
    pub sessions: usize,
}

/// Verifies the series of `tickers`, or all enabled ones.
///
/// # Errors
/// If the database is unreachable.
pub async fn verify(engine: &Engine, tickers: Option<&[Ticker]>, depth: Depth) -> Result<Vec<Report>, StoreError> {
    let mut by_symbol: BTreeMap<Ticker, Vec<Definition>> = BTreeMap::new();
    for definition in definitions::kept(&engine.database, tickers).await? {
        by_symbol.entry(definition.ticker.clone()).or_default().push(definition);
    }
    let mut reports = Vec::new();
    for (ticker, mut series) in by_symbol {
        series.sort_by_key(|definition| definition.timeframe);
        let covered = coverage::of_symbol(&engine.database, None, &ticker).await?;
        let judged = corporate_actions::judged(&engine.database, None, &ticker).await?;
        let mut stored: BTreeMap<Timeframe, Vec<bars::StoredBar>> = BTreeMap::new();
        for definition in &series {
            let found = bars::read(&engine.database, None, &ticker, definition.timeframe, None, i64::MAX).await?;
            stored.insert(definition.timeframe, found.unwrap_or_default());
        }
        for definition in &series {
            if engine.stop.is_cancelled() {
                return Ok(reports);
            }
            let Some(coverage) = covered.iter().find(|c| c.timeframe == definition.timeframe) else { continue };
            let report = verify_series(engine, definition, coverage, &stored, &judged, depth).await?;
            reports.push(report);
        }
    }
    Ok(reports)
}

async fn verify_series(
    engine: &Engine,
    definition: &Definition,
    coverage: &SeriesCoverage,
    stored: &BTreeMap<Timeframe, Vec<bars::StoredBar>>,
    judged: &[Judged],
    depth: Depth,
) -> Result<Report, StoreError> {
    let own = stored.get(&definition.timeframe).map(Vec::as_slice).unwrap_or_default();
    let market = engine.market();
    let (sessions, now) = (&market.sessions_of(definition.calendar), market.now);
    let grace = engine.routes.grace(definition.ticker.asset_class());
    let mut findings = sanity::check_each(own, definition.timeframe, sessions, now, grace);
    findings.extend(splits::check(
        own,
        definition.timeframe,
        definition.calendar,
        judged,
        definition.calendar.date_of(now),
    ));
    for (shorter, theirs) in stored.range(..definition.timeframe).rev() {
        if sanity::can_be_made_of(definition.timeframe, *shorter) {
            let shorter_covered = coverage::covered(&engine.database, &definition.ticker, *shorter).await?;
            findings.extend(sanity::check_sums(own, definition.timeframe, theirs, &shorter_covered, sessions));
        }
    }
    let (mut sampled, mut not_sampled) = (0, None);
    let known: RangeSet = coverage::covered(&engine.database, &definition.ticker, definition.timeframe).await?;
    for session in sample::sessions(own, definition.timeframe, sessions, depth.sessions) {
        match sample::compare(engine, definition, own, &known, session).await {
            Ok(compared) => {
                sampled += compared.bars;
                findings.extend(compared.findings);
            }
            Err(error) => {
                not_sampled = Some(error.to_string());
                break;
            }
        }
    }
    findings.sort_by_key(|finding| (finding.kind, finding.at));
    let mut listed: Vec<Finding> = Vec::new();
    let mut more = 0;
    for finding in findings {
        if listed.iter().filter(|other| other.kind == finding.kind).count() < LISTED {
            listed.push(finding);
        } else {
            more += 1;
        }
    }
    Ok(Report {
        symbol: definition.ticker.clone(),
        coverage: coverage.clone(),
        checked: own.len(),
        sampled,
        findings: listed,
        more,
        not_sampled,
    })
}

/// Stores the findings, for `doctor` and later queries.
///
/// # Errors
/// If the database rejects them or is unreachable.
pub async fn store_report(engine: &Engine, report: &Report) -> Result<(), StoreError> {
    let findings = serde_json::to_value(&report.findings).unwrap_or_default();
    let Report { symbol, coverage, checked, sampled, .. } = report;
    verification::store(&engine.database, symbol, coverage.timeframe, *checked, *sampled, &findings).await
}

/// How often the process checks whether series are due for verification.
const CHECK_EVERY: Duration = Duration::from_secs(600);

/// Symbols verified together.
const BATCH: i64 = 5;

/// Verifies every series once a day, with a single session of each fetched again, while the queue is empty and the
/// market closed.
pub async fn run_nightly(engine: Engine) {
    loop {
        tokio::select! {
            () = engine.stop.cancelled() => return,
            () = tokio::time::sleep(CHECK_EVERY) => {}
        }
        if let Err(error) = verify_due(&engine).await {
            tracing::warn!(%error, "Stored bars could not be verified; the next round tries again");
        }
    }
}

async fn verify_due(engine: &Engine) -> Result<(), StoreError> {
    let open = {
        let market = engine.market();
        market.sessions_of(Calendar::Xnys).session_at(market.now).is_some()
    };
    let totals = store::overview::totals(&engine.database, None).await?;
    if open || totals.queued + totals.running > 0 {
        return Ok(());
    }
    let due = verification::due(&engine.database, BATCH).await?;
    if due.is_empty() {
        return Ok(());
    }
    for report in verify(engine, Some(&due), Depth { sessions: 1 }).await? {
        store_report(engine, &report).await?;
        if !report.findings.is_empty() {
            let (symbol, timeframe) = (&report.symbol, report.coverage.timeframe);
            tracing::warn!(
                %symbol, %timeframe, findings = report.findings.len() + report.more,
                "Verification found problems in {symbol} {timeframe}: run `barkeep verify {symbol}` for details"
            );
        }
    }
    let bad = verification::with_findings(&engine.database).await?.len();
    gauge!("barkeep_verify_series_with_findings").set(bad as f64);
    Ok(())
}

/// The difference of `mine` and `theirs`, the same bar from another source; `None` if they agree.
fn difference(mine: &Bar, theirs: &Bar) -> Option<String> {
    // Sums of volumes depend on the order of summation.
    let close = |a: f64, b: f64| (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0);
    let fields = [
        ("open", mine.open, theirs.open),
        ("high", mine.high, theirs.high),
        ("low", mine.low, theirs.low),
        ("close", mine.close, theirs.close),
        ("volume", mine.volume, theirs.volume),
    ];
    let differences: Vec<String> = fields
        .iter()
        .filter(|(_, a, b)| !close(*a, *b))
        .map(|(name, a, b)| format!("{name} {a} is {b} there"))
        .collect();
    (!differences.is_empty()).then(|| differences.join(", "))
}

/// The bucket of a bar of the series.
fn bucket(sessions: &Sessions, timeframe: Timeframe, start: Timestamp) -> Option<Range> {
    Grid::Session(sessions.clone()).bucket_of(timeframe, start).filter(|bucket| bucket.from() == start)
}

/// Bars should be final a day and a half after their end.
const FINAL_BY: SignedDuration = SignedDuration::from_hours(36);
