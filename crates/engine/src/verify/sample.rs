//! Fetches a few sessions again and compares them with the stored bars.

use std::collections::BTreeMap;

use market::{Bar, Range, RangeSet, Sessions, Timeframe};
use providers::{BarsRequest, FetchError, budget::Urgency};
use store::{bars::StoredBar, definitions::Definition};

use super::{Finding, Kind, bucket, difference};
use crate::{
    bases::base_of,
    engine::Engine,
    fetch::asked_range,
    shape::{CheckedBars, ShapeContext, shape},
};

/// Result of a comparison.
#[derive(Debug, Default)]
pub(super) struct Compared {
    pub(super) bars: usize,
    pub(super) findings: Vec<Finding>,
}

/// Up to `count` sessions (weeks for weekly bars) with stored bars, the newest among them, spread over the whole
/// history.
pub(super) fn sessions(stored: &[StoredBar], timeframe: Timeframe, calendar: &Sessions, count: usize) -> Vec<Range> {
    let mut all: Vec<Range> = stored
        .iter()
        .filter(|bar| bar.is_final)
        .filter_map(|bar| {
            let own = bucket(calendar, timeframe, bar.bar.start)?;
            match timeframe {
                Timeframe::D1 | Timeframe::W1 => Some(own),
                _ => calendar.session_at(own.from()).map(|session| session.range()),
            }
        })
        .collect();
    all.dedup();
    let last = all.len().saturating_sub(1);
    let mut chosen: Vec<Range> = match count.min(all.len()) {
        0 => Vec::new(),
        1 => all.last().copied().into_iter().collect(),
        count => (0..count).filter_map(|n| all.get(n * last / (count - 1)).copied()).collect(),
    };
    chosen.dedup();
    chosen
}

/// Fetches the bars of `session` as the provider has them today and compares them. Bars from another feed are not
/// compared: they may differ.
pub(super) async fn compare(
    engine: &Engine,
    definition: &Definition,
    stored: &[StoredBar],
    covered: &RangeSet,
    session: Range,
) -> Result<Compared, FetchError> {
    let market = engine.market();
    let (sessions, timeframe) = (market.sessions_of(definition.calendar), definition.timeframe);
    let class = definition.ticker.asset_class();
    let asked_at = market.now;
    // The feed that the session's bars came from.
    let feed = stored.iter().find(|bar| session.contains(bar.bar.start)).map_or("", |bar| bar.provider.as_str());
    let found = engine.routes.serving(class).find_map(|source| {
        let limits = source.limits(class);
        let base = base_of(timeframe, &sessions, &limits)?;
        let has = session.from() >= limits.earliest_of(base, asked_at) && !limits.split_adjusted.contains(&base);
        (has && feed.starts_with(&source.endpoint().provider)).then_some((source, limits, base))
    });
    let Some((source, limits, base)) = found else { return Ok(Compared::default()) };
    let range = asked_range(&sessions, timeframe, session, asked_at);
    let request = BarsRequest {
        asset_class: class,
        tickers: vec![definition.ticker.clone()],
        timeframe: base,
        range,
        urgency: Urgency::Background,
    };
    let fetched = source.bars(&request).await?;
    let Some(answered) = fetched.answered else { return Ok(Compared::default()) };
    let sent = fetched.bars.get(&definition.ticker).map(Vec::as_slice).unwrap_or_default();
    let frame = ShapeContext { sessions: sessions.clone(), timeframe, answered, asked_at, grace: limits.grace };
    let theirs: BTreeMap<_, Bar> = shape(&CheckedBars::new(sent, &sessions, base, asked_at), &frame)
        .bars
        .into_iter()
        .filter(|shaped| shaped.is_final && session.contains(shaped.bar.start))
        .map(|shaped| (shaped.bar.start, shaped.bar))
        .collect();
    let mine: BTreeMap<_, &StoredBar> = stored
        .iter()
        .filter(|bar| bar.is_final && session.contains(bar.bar.start))
        .map(|bar| (bar.bar.start, bar))
        .collect();
    let mut compared = Compared { bars: theirs.len(), findings: Vec::new() };
    let mut find = |kind, at, message| compared.findings.push(Finding { kind, at, message });
    for (start, theirs) in &theirs {
        match mine.get(start) {
            Some(mine) if mine.provider == fetched.provenance => {
                if let Some(difference) = difference(&mine.bar, theirs) {
                    find(
                        Kind::Differs,
                        *start,
                        format!("{} sends a different bar now: {difference}", fetched.provenance),
                    );
                }
            }
            Some(_) => {}
            None if bucket(&sessions, timeframe, *start).is_some_and(|bucket| covered.encloses(&bucket)) => {
                find(Kind::Missing, *start, format!("{} has this bar, and its range is covered", fetched.provenance));
            }
            None => {}
        }
    }
    for (start, mine) in &mine {
        if !theirs.contains_key(start) && mine.provider == fetched.provenance {
            find(Kind::Unknown, *start, format!("{} has no such bar", fetched.provenance));
        }
    }
    Ok(compared)
}
