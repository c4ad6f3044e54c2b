//! A dry run: the requests that the queue and the gaps would lead to, why, and the fewest that could do.
//!
//! In: all enabled series, and the queued runs. Out: [`DryRun`]. Writes nothing and sends no request for bars.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use market::{AssetClass, Range, RangeSet, Ticker, Timeframe};
use providers::Limits;
use serde::Serialize;
use store::{
    StoreError, coverage, definitions,
    definitions::Definition,
    runs::{self, Place, QueuedRun},
};
use uuid::Uuid;

use crate::{
    bases::{Rows, base_of},
    dispatch::{Pack, Packer},
    engine::Engine,
    fetch::asked_range,
    plan::{by_symbol, plan_symbol},
};

/// A longer list would be of no use.
const MOST_RUNS: i64 = 20_000;

/// The requests that would be sent.
#[derive(Debug, Serialize)]
pub struct DryRun {
    /// The configured providers.
    pub providers: Vec<String>,
    /// In the order in which a single worker would send them.
    pub requests: Vec<PlannedRequest>,
    /// HTTP requests, counting pages, if every possible bar had traded.
    pub total: usize,
    /// A lower bound: the missing rows in full pages, for each kind of request.
    pub minimum: usize,
    /// Runs that the requests serve: queued ones, and those that planning would queue.
    pub queued: usize,
    pub to_be_queued: usize,
}

/// One request, and the runs it serves.
#[derive(Debug, Serialize)]
pub struct PlannedRequest {
    pub provider: String,
    /// The base timeframe of the request.
    pub timeframe: Timeframe,
    pub symbols: Vec<Ticker>,
    pub from: Timestamp,
    pub to: Timestamp,
    /// At most.
    pub rows: usize,
    pub pages: usize,
    /// Timeframes resampled from it.
    pub serves: Vec<Timeframe>,
    pub runs: usize,
    /// Whose interest the head run serves, and why its slice is missing.
    pub wanted_by: &'static str,
    pub priority: i32,
    pub because: &'static str,
}

/// Computes what would be sent for the series of `tickers`, or for all.
pub async fn dry_run(engine: &Engine, tickers: Option<&[Ticker]>) -> Result<DryRun, StoreError> {
    let kept = definitions::kept(&engine.database, tickers).await?;
    let market = engine.market();
    let mut tx = engine.database.begin().await?;
    let gaps = coverage::gaps(&mut tx, &kept, None).await?;
    let windows = coverage::windows(&mut tx, &kept).await?;
    drop(tx);
    let mut queued = runs::all_queued(&engine.database, MOST_RUNS).await?;
    queued.retain(|run| tickers.is_none_or(|tickers| tickers.contains(&run.ticker)));
    let already = queued.len();
    let mut runs = queued;
    for series in by_symbol(&kept) {
        let class = series[0].ticker.asset_class();
        let (limits, name) = (engine.routes.limits(class), engine.routes.name(class));
        let plan = plan_symbol(&series, &gaps, None, &limits, &name, &market);
        for (definition, slices) in plan.slices {
            let taken: RangeSet = runs[..already]
                .iter()
                .filter(|run| run.ticker == definition.ticker && run.timeframe == definition.timeframe)
                .map(|run| run.slice)
                .collect();
            for slice in slices {
                let fresh = RangeSet::from(slice).subtract(&taken);
                runs.extend(fresh.iter().map(|slice| to_be_queued(definition, slice)));
            }
        }
    }
    runs.sort_by_key(|run| {
        let first_come = (!run.by_interest, -run.priority, std::cmp::Reverse(run.slice.to()));
        (first_come, run.ticker.clone(), run.timeframe)
    });
    let minimum = minimum(engine, &runs);
    let count = runs.len();
    let is_missing =
        |d: &&Definition| gaps.get(&d.id).is_some_and(|gaps| windows.get(&d.id).is_some_and(|w| gaps == &[*w]));
    let history = History {
        fresh: kept.iter().filter(is_missing).map(|d| (&d.ticker, d.timeframe)).collect(),
        ends: kept.iter().filter_map(|d| Some(((&d.ticker, d.timeframe), windows.get(&d.id)?.to()))).collect(),
    };
    let requests = packed(engine, runs, &history);
    Ok(DryRun {
        providers: engine.routes.all().map(|source| source.endpoint().provider.clone()).collect(),
        total: requests.iter().map(|request| request.pages).sum(),
        requests,
        minimum,
        queued: already,
        to_be_queued: count - already,
    })
}

fn to_be_queued(definition: &Definition, slice: Range) -> QueuedRun {
    QueuedRun {
        place: Place::Next,
        id: Uuid::new_v4(),
        ticker: definition.ticker.clone(),
        symbol_id: Uuid::nil(),
        calendar: definition.calendar,
        timeframe: definition.timeframe,
        slice,
        by_interest: definition.by_interest,
        priority: definition.priority,
        failures: 0,
    }
}

/// The state of the series before anything is fetched.
struct History<'a> {
    /// Series whose whole window is missing.
    fresh: BTreeSet<(&'a Ticker, Timeframe)>,
    /// The ends of the windows.
    ends: BTreeMap<(&'a Ticker, Timeframe), Timestamp>,
}

impl History<'_> {
    /// Why a run's slice is missing.
    fn because(&self, run: &QueuedRun) -> &'static str {
        let series = (&run.ticker, run.timeframe);
        if self.fresh.contains(&series) {
            "never fetched"
        } else if self.ends.get(&series).is_some_and(|end| run.slice.to() >= *end) {
            "new bars"
        } else {
            "interior gap"
        }
    }
}

/// Packs runs as workers would, until none are left.
fn packed(engine: &Engine, mut runs: Vec<QueuedRun>, history: &History<'_>) -> Vec<PlannedRequest> {
    let (rows, market) = (Rows::default(), engine.market());
    let mut requests = Vec::new();
    while !runs.is_empty() {
        let candidates = candidates(&runs);
        let head = candidates[0].clone();
        let chosen = engine.routes.first_capable(&head, &market).and_then(|source| {
            let limits = source.limits(head.ticker.asset_class());
            let packer = Packer { limits: &limits, rows: &rows, market: &market, mixed: false };
            Some((source, packer.pack(&candidates)?))
        });
        let Some((source, pack)) = chosen else {
            runs.retain(|run| run.id != head.id);
            continue;
        };
        let chosen: BTreeSet<Uuid> = pack.runs.iter().copied().collect();
        let serves: BTreeSet<Timeframe> =
            candidates.iter().filter(|run| chosen.contains(&run.id)).map(|run| run.timeframe).collect();
        let provider = source.endpoint().provider.clone();
        requests.push(planned_request(provider, pack, &head, serves, history.because(&head)));
        runs.retain(|run| !chosen.contains(&run.id));
    }
    requests
}

/// The head of the queue and the other candidates, in the order of the database.
fn candidates(runs: &[QueuedRun]) -> Vec<QueuedRun> {
    let head = &runs[0];
    let ends: BTreeSet<Timestamp> = runs
        .iter()
        .filter(|run| run.ticker == head.ticker && run.slice.intersection(&head.slice).is_some())
        .map(|run| run.slice.to())
        .collect();
    let mut candidates: Vec<QueuedRun> = runs
        .iter()
        .enumerate()
        .filter(|(_, run)| run.calendar == head.calendar && run.failures == head.failures)
        .map(|(index, run)| {
            let place = match run {
                _ if index == 0 => Place::Head,
                run if run.ticker == head.ticker => Place::Own,
                run if ends.contains(&run.slice.to()) => Place::Alike,
                _ => Place::Next,
            };
            QueuedRun { place, ..run.clone() }
        })
        .collect();
    candidates.sort_by_key(|run| match run.place {
        Place::Head => 0,
        Place::Own => 1,
        Place::Alike => 2,
        Place::Next => 3,
    });
    candidates
}

fn planned_request(
    provider: String,
    pack: Pack,
    head: &QueuedRun,
    serves: BTreeSet<Timeframe>,
    because: &'static str,
) -> PlannedRequest {
    let wanted_by = match (head.by_interest, head.priority) {
        (false, _) => "background",
        (true, 300..) => "watchlist",
        (true, 200..) => "chart view",
        (true, _) => "search",
    };
    PlannedRequest {
        provider,
        timeframe: pack.base,
        symbols: pack.tickers.into_iter().collect(),
        from: pack.range.from(),
        to: pack.range.to(),
        rows: pack.rows,
        pages: pack.pages,
        serves: serves.into_iter().collect(),
        runs: pack.runs.len(),
        wanted_by,
        priority: head.priority,
        because,
    }
}

/// A lower bound for any packing: all missing rows, each counted once in the finest base timeframe that needs it, in
/// full pages; and no more symbols per request than the provider accepts. Stocks and crypto, and daily bars of
/// stocks, take separate requests.
fn minimum(engine: &Engine, runs: &[QueuedRun]) -> usize {
    let (counter, market) = (Rows::default(), engine.market());
    let mut kinds: BTreeMap<(AssetClass, bool), (usize, BTreeSet<&Ticker>)> = BTreeMap::new();
    let first = |class| engine.routes.limits(class).into_iter().next().unwrap_or_else(Limits::nothing);
    let mut by_symbol: BTreeMap<&Ticker, Vec<(Timeframe, &QueuedRun)>> = BTreeMap::new();
    for run in runs {
        let limits = first(run.ticker.asset_class());
        if let Some(base) = base_of(run.timeframe, &market.sessions_of(run.calendar), &limits) {
            by_symbol.entry(&run.ticker).or_default().push((base, run));
        }
    }
    for (ticker, mut symbol_runs) in by_symbol {
        symbol_runs.sort_by_key(|(base, _)| *base);
        let (mut intraday, mut days) = (RangeSet::new(), RangeSet::new());
        for (base, run) in symbol_runs {
            let taken = if base == Timeframe::D1 { &mut days } else { &mut intraday };
            let sessions = market.sessions_of(run.calendar);
            let asked = asked_range(&sessions, run.timeframe, run.slice, market.now);
            let fresh = RangeSet::from(asked).subtract(taken);
            let rows: usize = fresh.iter().map(|range| counter.of(range, &sessions, base)).sum();
            taken.insert(asked);
            let kind = kinds.entry((ticker.asset_class(), base == Timeframe::D1)).or_default();
            kind.0 += rows;
            kind.1.insert(ticker);
        }
    }
    kinds
        .into_iter()
        .map(|((class, _), (rows, symbols))| {
            let limits = first(class);
            rows.div_ceil(limits.rows_per_page.max(1)).max(symbols.len().div_ceil(limits.symbols_per_request.max(1)))
        })
        .sum()
}
