//! Proof: what is stored is held against the calendar, against itself, and against the provider.
//!
//! In: a series as stored. Out: a [`Report`] with every finding. Holds: nothing stored is changed; the provider is asked
//! for a few sessions at most, within its budget, as background work.

mod sample;
mod sanity;

use std::{collections::BTreeMap, time::Duration};

use jiff::{SignedDuration, Timestamp};
use market::{Action, Bar, Calendar, Range, RangeSet, Sessions, Ticker, Timeframe, grid::Grid};
use metrics::gauge;
use serde::Serialize;
use store::{
    StoreError, bars, corporate_actions, coverage,
    coverage::SeriesCoverage,
    definitions::{self, Definition},
    verification,
};

use crate::engine::Engine;

/// Findings of one kind that a report lists; the rest is counted.
const LISTED: usize = 20;

/// What was found about one series.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub symbol: Ticker,
    pub timeframe: Timeframe,
    #[serde(flatten)]
    pub coverage: SeriesCoverage,
    /// Bars looked at: all that are stored.
    pub checked: usize,
    /// Bars that were fetched once more and compared.
    pub sampled: usize,
    pub findings: Vec<Finding>,
    /// Findings beyond those listed.
    pub more: usize,
    /// Why the provider could not be asked, where it couldn't.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_sampled: Option<String>,
}

impl Report {
    /// Nothing is wrong, and nothing is missing.
    pub fn is_good(&self) -> bool {
        self.findings.is_empty() && self.coverage.missing == 0
    }
}

impl Kind {
    /// As in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Impossible => "impossible",
            Self::OffGrid => "off_grid",
            Self::NeverFinal => "never_final",
            Self::Jump => "jump",
            Self::NotTheSum => "not_the_sum",
            Self::Differs => "differs",
            Self::Missing => "missing",
            Self::Unknown => "unknown",
        }
    }
}

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    pub kind: Kind,
    /// The start of the bar.
    pub at: Timestamp,
    pub message: String,
}

/// What kind of thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Prices or volume that can't be.
    Impossible,
    /// A start that no bar of this timeframe has.
    OffGrid,
    /// Ended long ago and still provisional.
    NeverFinal,
    /// A step that looks like a split that nobody has told of.
    Jump,
    /// Differs from the same bar made of shorter ones that are stored.
    NotTheSum,
    /// Differs from what the provider sends now.
    Differs,
    /// The provider has it, covered time has not.
    Missing,
    /// Stored, and the provider has no such bar.
    Unknown,
}

/// How thoroughly.
#[derive(Clone, Copy, Debug)]
pub struct Depth {
    /// Sessions of each series that are fetched once more.
    pub sessions: usize,
}

/// Looks at the series of `tickers`, or at all that are kept.
///
/// # Errors
/// Where the database is gone.
pub async fn verify(engine: &Engine, tickers: Option<&[Ticker]>, depth: Depth) -> Result<Vec<Report>, StoreError> {
    let mut by_symbol: BTreeMap<Ticker, Vec<Definition>> = BTreeMap::new();
    for definition in definitions::kept(&engine.database, tickers).await? {
        by_symbol.entry(definition.ticker.clone()).or_default().push(definition);
    }
    let mut reports = Vec::new();
    for (ticker, mut series) in by_symbol {
        series.sort_by_key(|definition| definition.timeframe);
        let covered = coverage::of_symbol(&engine.database, None, &ticker).await?;
        let actions = corporate_actions::for_symbol(&engine.database, None, &ticker).await?;
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
            let report = verify_series(engine, definition, coverage, &stored, &actions, depth).await?;
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
    actions: &[Action],
    depth: Depth,
) -> Result<Report, StoreError> {
    let own = stored.get(&definition.timeframe).map(Vec::as_slice).unwrap_or_default();
    let market = engine.market();
    let (sessions, now) = (&market.sessions_of(definition.calendar), market.now);
    let grace = engine.routes.grace(definition.ticker.asset_class());
    let mut findings = sanity::check_each(own, definition.timeframe, sessions, now, grace);
    findings.extend(sanity::unexplained_jumps(own, definition.calendar, actions));
    for (shorter, theirs) in stored.range(..definition.timeframe).rev() {
        if sanity::can_be_made_of(definition.timeframe, *shorter) {
            let whole = coverage::covered(&engine.database, &definition.ticker, *shorter).await?;
            findings.extend(sanity::check_sums(own, definition.timeframe, theirs, &whole, sessions));
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
        timeframe: definition.timeframe,
        coverage: coverage.clone(),
        checked: own.len(),
        sampled,
        findings: listed,
        more,
        not_sampled,
    })
}

/// Keeps what was found, for `doctor` and whoever asks later.
///
/// # Errors
/// Where the database refuses or is gone.
pub async fn store_report(engine: &Engine, report: &Report) -> Result<(), StoreError> {
    let findings = serde_json::to_value(&report.findings).unwrap_or_default();
    let Report { symbol, timeframe, checked, sampled, .. } = report;
    verification::store(&engine.database, symbol, *timeframe, *checked, *sampled, &findings).await
}

/// How often it is looked whether some series' night has come.
const LOOK_EVERY: Duration = Duration::from_secs(600);

/// Symbols looked at together.
const BATCH: i64 = 5;

/// Looks at every series once a day, at a single session of each, while nobody waits for anything.
pub async fn run_nightly(engine: Engine) {
    loop {
        tokio::select! {
            () = engine.stop.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        if let Err(error) = verify_due(&engine).await {
            tracing::warn!(%error, "What is stored could not be verified; the next look tries again");
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
            let (symbol, timeframe) = (&report.symbol, report.timeframe);
            tracing::warn!(
                %symbol, %timeframe, findings = report.findings.len() + report.more,
                "{symbol} {timeframe} is not as it should be: `barkeep verify {symbol}` says what"
            );
        }
    }
    let bad = verification::with_findings(&engine.database).await?.len();
    gauge!("barkeep_verify_series_with_findings").set(bad as f64);
    Ok(())
}

/// How `mine` differs from `theirs`, the same bar from elsewhere; `None` where it doesn't.
fn difference(mine: &Bar, theirs: &Bar) -> Option<String> {
    // Sums of volumes depend on the order in which they were added up.
    let close = |a: f64, b: f64| (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0);
    let fields = [
        ("open", mine.open, theirs.open),
        ("high", mine.high, theirs.high),
        ("low", mine.low, theirs.low),
        ("close", mine.close, theirs.close),
        ("volume", mine.volume, theirs.volume),
    ];
    let told: Vec<String> = fields
        .iter()
        .filter(|(_, a, b)| !close(*a, *b))
        .map(|(name, a, b)| format!("{name} {a} is {b} there"))
        .collect();
    (!told.is_empty()).then(|| told.join(", "))
}

/// The bucket that a bar of the series stands for.
fn bucket(sessions: &Sessions, timeframe: Timeframe, start: Timestamp) -> Option<Range> {
    Grid::Session(sessions.clone()).bucket_of(timeframe, start).filter(|bucket| bucket.from() == start)
}

/// A day and a half after it has ended a bar is final, or nobody has looked.
const FINAL_BY: SignedDuration = SignedDuration::from_hours(36);
