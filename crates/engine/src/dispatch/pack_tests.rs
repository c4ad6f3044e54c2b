//! Which runs are packed into one request, and which aren't.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use jiff::{SignedDuration, Timestamp};
use market::{Calendar, Calendars};
use proptest::prelude::*;

use super::*;

const NOW: &str = "2026-11-24T00:00:00Z";

fn instant(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn market() -> Market {
    Market { now: instant(NOW), calendars: Calendars::default() }
}

fn limits() -> Limits {
    use Timeframe::{D1, M1, M5, M15, M30};
    Limits {
        timeframes: vec![M1, M5, M15, M30, D1],
        symbols_per_request: 100,
        rows_per_page: 10_000,
        earliest: instant("2016-01-01T00:00:00Z"),
        grace: SignedDuration::from_secs(60),
        requests_per_minute: 200,
        ..Limits::nothing()
    }
}

/// From the open of the session `from` sessions ago to the close of the one `until` ago.
fn sessions(from: usize, until: usize) -> Range {
    let around = Range::new(instant("2024-06-01T00:00:00Z"), instant(NOW)).unwrap();
    let sessions = Calendar::Xnys.by_rules().sessions_in(around);
    let last = sessions.len() - 1;
    Range::new(sessions[last - from].open, sessions[last - until].close).unwrap()
}

fn run(symbol: &str, timeframe: Timeframe, slice: Range) -> QueuedRun {
    QueuedRun {
        place: Place::Next,
        id: Uuid::new_v4(),
        ticker: symbol.parse().unwrap(),
        symbol_id: Uuid::nil(),
        calendar: Calendar::Xnys,
        timeframe,
        slice,
        by_interest: false,
        priority: 100,
        failures: 0,
    }
}

/// In the order of the database: the head, runs of its symbol, runs with the same end, the rest.
fn queue(mut runs: Vec<QueuedRun>) -> Vec<QueuedRun> {
    let head = runs[0].clone();
    for run in &mut runs {
        run.place = if run.id == head.id {
            Place::Head
        } else if run.ticker == head.ticker {
            Place::Own
        } else if run.slice.to() == head.slice.to() {
            Place::Alike
        } else {
            Place::Next
        };
    }
    let place =
        |run: &QueuedRun| [Place::Head, Place::Own, Place::Alike, Place::Next].iter().position(|p| *p == run.place);
    runs.sort_by_key(place);
    runs
}

fn choose(runs: Vec<QueuedRun>) -> (Pack, Vec<QueuedRun>) {
    let candidates = queue(runs);
    let (limits, rows, market) = (limits(), Rows::default(), market());
    let packer = Packer { limits: &limits, rows: &rows, market: &market, mixed: false };
    let pack = packer.pack(&candidates).unwrap();
    let chosen = candidates.into_iter().filter(|run| pack.runs.contains(&run.id)).collect();
    (pack, chosen)
}

fn symbols(n: usize) -> Vec<String> {
    (0..n).map(|n| format!("S{n:03}")).collect()
}

#[test]
fn one_request_serves_the_newest_stretch_of_many_symbols_in_all_timeframes() {
    let newest = sessions(4, 0);
    let runs = symbols(20)
        .iter()
        .flat_map(|symbol| [Timeframe::H1, Timeframe::M15, Timeframe::H4].map(|t| run(symbol, t, newest)))
        .collect();
    let (pack, chosen) = choose(runs);
    assert_eq!((chosen.len(), pack.base, pack.tickers.len()), (60, Timeframe::M15, 20));
    assert_eq!((pack.pages, pack.rows <= 20 * 5 * 64), (1, true));
}

#[test]
fn hours_alone_are_asked_for_in_half_hours() {
    let (pack, _) = choose(vec![run("A", Timeframe::H1, sessions(9, 0)), run("A", Timeframe::H4, sessions(9, 0))]);
    assert_eq!((pack.base, pack.runs.len()), (Timeframe::M30, 2));
}

#[test]
fn what_would_cost_more_than_it_saves_goes_by_itself() {
    // A year of h4 from 15-minute bars would take two pages: as many as two requests.
    let (pack, chosen) =
        choose(vec![run("A", Timeframe::M15, sessions(20, 0)), run("A", Timeframe::H4, sessions(250, 0))]);
    assert_eq!((pack.base, chosen.len()), (Timeframe::M15, 1));
    // Ninety days take one page either way.
    let (pack, chosen) =
        choose(vec![run("A", Timeframe::M15, sessions(20, 0)), run("A", Timeframe::H1, sessions(61, 0))]);
    assert_eq!((pack.base, pack.pages, chosen.len()), (Timeframe::M15, 1, 2));
}

#[test]
fn as_many_symbols_go_along_as_fill_pages_well() {
    let old = sessions(250, 62);
    let runs: Vec<_> = symbols(20).iter().map(|symbol| run(symbol, Timeframe::H4, old)).collect();
    let (pack, _) = choose(runs);
    // 6,048 rows each: three symbols fill two pages to nine tenths, which is full enough, and leaves the rest to
    // other slots.
    assert_eq!((pack.tickers.len(), pack.pages), (3, 2), "{} rows", pack.rows);
}

#[test]
fn days_are_never_mixed_with_shorter_bars_of_stocks() {
    let (pack, chosen) = choose(vec![
        run("A", Timeframe::D1, sessions(5, 0)),
        run("A", Timeframe::W1, sessions(5, 0)),
        run("A", Timeframe::M15, sessions(5, 0)),
    ]);
    assert_eq!((pack.base, chosen.len()), (Timeframe::D1, 2));
}

#[test]
fn a_foreground_request_for_the_newest_slice_is_not_extended() {
    let asked = |mut run: QueuedRun| {
        run.by_interest = true;
        run
    };
    let (pack, chosen) = choose(vec![
        asked(run("A", Timeframe::M15, sessions(4, 0))),
        asked(run("A", Timeframe::M15, sessions(20, 5))),
        asked(run("A", Timeframe::H1, sessions(4, 0))),
    ]);
    assert_eq!((chosen.len(), pack.range.from()), (2, sessions(4, 0).from()));
    // In the background the two are one request.
    let (_, chosen) = choose(vec![run("A", Timeframe::M15, sessions(4, 0)), run("A", Timeframe::M15, sessions(20, 5))]);
    assert_eq!(chosen.len(), 2);
}

#[test]
fn background_work_rides_along_only_where_it_is_light() {
    let asked = |mut run: QueuedRun| {
        run.by_interest = true;
        run
    };
    let light = |n: usize| {
        let others = symbols(n).into_iter().map(|symbol| run(&symbol, Timeframe::M15, sessions(4, 0)));
        std::iter::once(asked(run("A", Timeframe::M15, sessions(4, 0)))).chain(others).collect()
    };
    assert_eq!(choose(light(5)).1.len(), 6);
    let (pack, _) = choose(light(50));
    assert!(pack.rows <= 2_500, "{} rows", pack.rows);
}

#[test]
fn what_failed_before_is_packed_ever_smaller_and_alone_in_the_end() {
    for (failures, symbols_at_most) in [(0, 40), (1, 25), (2, 6), (3, 1), (4, 1)] {
        let slice = sessions(0, 0);
        let runs =
            symbols(40).iter().map(|symbol| QueuedRun { failures, ..run(symbol, Timeframe::M15, slice) }).collect();
        assert_eq!(choose(runs).0.tickers.len(), symbols_at_most, "{failures} failures");
    }
}

#[test]
fn holes_of_different_days_are_asked_for_together_where_a_page_holds_them() {
    let (pack, chosen) = choose(vec![
        run("A", Timeframe::M15, sessions(30, 30)),
        run("B", Timeframe::M15, sessions(28, 28)),
        run("C", Timeframe::M15, sessions(200, 200)),
    ]);
    // The third would make the request a page of half a year for the sake of three days.
    assert_eq!((chosen.len(), pack.pages), (2, 1));
}

fn any_run() -> impl Strategy<Value = QueuedRun> {
    (0_usize..30, 0_usize..6, 0_usize..250, 0_usize..40, any::<bool>()).prop_map(
        |(symbol, which, until, length, asked)| {
            let timeframe =
                [Timeframe::M15, Timeframe::H1, Timeframe::H4, Timeframe::M30, Timeframe::M5, Timeframe::D1][which];
            QueuedRun { by_interest: asked, ..run(&format!("S{symbol}"), timeframe, sessions(until + length, until)) }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_pack_serves_all_it_took_and_costs_no_more_than_they_would_alone(
        runs in prop::collection::vec(any_run(), 1..40),
    ) {
        let head = runs[0].clone();
        let (limits, rows, market) = (limits(), Rows::default(), market());
        let (pack, chosen) = choose(runs);
        prop_assert_eq!(pack.runs[0], head.id);
        prop_assert!(pack.tickers.len() <= limits.symbols_per_request);
        let mut alone = 0;
        for run in &chosen {
            prop_assert!(bases_of(run.timeframe, &market.sessions_of(run.calendar), &limits).contains(&pack.base));
            let asked = asked_range(&market.sessions_of(run.calendar), run.timeframe, run.slice, market.now);
            prop_assert!(pack.range.encloses(&asked));
            prop_assert!(pack.tickers.contains(&run.ticker));
            let base = bases_of(run.timeframe, &market.sessions_of(run.calendar), &limits)[0];
            alone += rows.of(asked, &market.sessions_of(run.calendar), base).div_ceil(limits.rows_per_page).max(1);
        }
        prop_assert!(pack.pages <= alone, "{} pages, {alone} alone", pack.pages);
        prop_assert!(pack.pages <= MOST_PAGES.max(pack.rows.div_ceil(limits.rows_per_page)));
        prop_assert_eq!(pack.rows, pack.tickers.len() * rows.of(pack.range, &market.sessions_of(head.calendar), pack.base));
        if head.by_interest && chosen.iter().any(|run| !run.by_interest) {
            prop_assert!(pack.rows <= limits.rows_per_page / 4);
        }
    }
}
