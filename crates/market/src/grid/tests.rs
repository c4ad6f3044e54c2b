#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails may panic")]

use jiff::civil::date;
use proptest::prelude::*;

use super::*;
use crate::RangeSet;

fn grids() -> Vec<Grid> {
    vec![Grid::by_rules(Calendar::Xnys), Grid::by_rules(Calendar::AlwaysOpen), Grid::ClockNewYork, Grid::Epoch]
}

const INTRADAY: [Timeframe; 6] =
    [Timeframe::M1, Timeframe::M5, Timeframe::M15, Timeframe::M30, Timeframe::H1, Timeframe::H4];

fn at(text: &str) -> Timestamp {
    text.parse().expect("an instant")
}

fn range(from: &str, to: &str) -> Range {
    Range::new(at(from), at(to)).expect("a range")
}

fn session(year: i16, month: i8, day: i8) -> Session {
    Calendar::Xnys.by_rules().session_on(date(year, month, day)).expect("a trading day")
}

fn counts(session: &Session) -> [usize; 6] {
    INTRADAY.map(|timeframe| Grid::by_rules(Calendar::Xnys).buckets(timeframe, session.range()).len())
}

#[test]
fn a_full_day_has_26_quarter_hours_7_hours_and_2_h4() {
    assert_eq!(counts(&session(2026, 11, 24)), [390, 78, 26, 13, 7, 2]);
}

#[test]
fn a_half_day_has_14_quarter_hours_4_hours_and_1_h4() {
    assert_eq!(counts(&session(2026, 11, 27)), [210, 42, 14, 7, 4, 1]);
}

#[test]
fn a_half_day_before_1993_has_an_hour_more_than_a_later_one() {
    assert_eq!(counts(&session(1992, 11, 27)), [270, 54, 18, 9, 5, 2]);
}

#[test]
fn the_last_bucket_of_a_session_is_cut_at_its_close() {
    let full_day = Grid::by_rules(Calendar::Xnys).buckets(Timeframe::H4, session(2026, 11, 24).range());
    assert_eq!(
        full_day,
        [range("2026-11-24T14:30:00Z", "2026-11-24T18:30:00Z"), range("2026-11-24T18:30:00Z", "2026-11-24T21:00:00Z")]
    );
}

#[test]
fn days_begin_at_midnight_in_new_york_and_end_at_the_close() {
    let grid = Grid::by_rules(Calendar::Xnys);
    let around_the_change_of_clocks = range("2026-03-06T00:00:00Z", "2026-03-10T00:00:00Z");
    assert_eq!(
        grid.buckets(Timeframe::D1, around_the_change_of_clocks),
        [range("2026-03-06T05:00:00Z", "2026-03-06T21:00:00Z"), range("2026-03-09T04:00:00Z", "2026-03-09T20:00:00Z")]
    );
}

#[test]
fn weeks_begin_on_monday_also_where_monday_is_a_holiday() {
    let grid = Grid::by_rules(Calendar::Xnys);
    let labor_day = at("2026-09-07T04:00:00Z");
    let week = range("2026-09-07T04:00:00Z", "2026-09-11T20:00:00Z");
    assert_eq!(grid.buckets(Timeframe::W1, range("2026-09-07T00:00:00Z", "2026-09-14T00:00:00Z")), [week]);
    assert_eq!(grid.bucket_of(Timeframe::W1, labor_day), Some(week));
    assert_eq!(grid.bucket_of(Timeframe::D1, labor_day), None);
}

#[test]
fn what_happens_outside_the_session_belongs_to_no_bucket() {
    let grid = Grid::by_rules(Calendar::Xnys);
    for (instant, what) in [
        ("2026-11-24T14:29:59.999Z", "pre-market"),
        ("2026-11-24T21:00:00Z", "after the close"),
        ("2026-11-26T15:00:00Z", "Thanksgiving"),
        ("2026-11-28T15:00:00Z", "a Saturday"),
    ] {
        for timeframe in Timeframe::ALL {
            assert_eq!(grid.bucket_of(timeframe, at(instant)), None, "{what} {timeframe}");
        }
    }
}

#[test]
fn a_daily_bar_belongs_to_its_day_and_week() {
    let grid = Grid::by_rules(Calendar::Xnys);
    let wednesday = at("2026-11-25T05:00:00Z");
    let day = range("2026-11-25T05:00:00Z", "2026-11-25T21:00:00Z");
    assert_eq!(grid.bucket_of(Timeframe::D1, wednesday), Some(day));
    let week = range("2026-11-23T05:00:00Z", "2026-11-27T18:00:00Z");
    assert_eq!(grid.bucket_of(Timeframe::W1, wednesday), Some(week));
    assert_eq!(grid.bucket_of(Timeframe::H1, wednesday), None);
}

#[test]
fn weeks_of_a_market_that_never_closes_begin_on_monday_utc() {
    for grid in [Grid::by_rules(Calendar::AlwaysOpen), Grid::Epoch] {
        let week = range("2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z");
        assert_eq!(grid.bucket_of(Timeframe::W1, at("2026-11-29T23:59:59Z")), Some(week));
        assert_eq!(
            grid.bucket_of(Timeframe::W1, at("1969-12-31T00:00:00Z")).map(|w| w.from()),
            Some(at("1969-12-29T00:00:00Z"))
        );
    }
}

#[test]
fn clock_buckets_stay_on_new_yorks_hours_when_clocks_change() {
    let hours = |from: &str, to: &str| -> Vec<(i8, i64)> {
        let buckets = Grid::ClockNewYork.buckets(Timeframe::H4, range(from, to));
        let hour = |b: &Range| Calendar::Xnys.zone().to_datetime(b.from()).hour();
        buckets.iter().map(|b| (hour(b), b.duration().as_hours())).collect()
    };
    assert_eq!(
        hours("2026-03-08T05:00:00Z", "2026-03-09T04:00:00Z"),
        [(0, 3), (4, 4), (8, 4), (12, 4), (16, 4), (20, 4)]
    );
    assert_eq!(
        hours("2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"),
        [(0, 5), (4, 4), (8, 4), (12, 4), (16, 4), (20, 4)]
    );
}

#[test]
fn the_first_and_last_instants_that_jiff_knows_are_no_panic() {
    for grid in grids() {
        for timeframe in Timeframe::ALL {
            grid.bucket_of(timeframe, Timestamp::MIN);
            grid.bucket_of(timeframe, Timestamp::MAX);
        }
    }
}

fn any_grid() -> impl Strategy<Value = Grid> {
    prop::sample::select(grids())
}

fn any_timeframe() -> impl Strategy<Value = Timeframe> {
    prop::sample::select(&Timeframe::ALL[..])
}

/// From 1990 to 2030, to the nanosecond.
fn any_instant() -> impl Strategy<Value = Timestamp> {
    (631_152_000i64..1_900_000_000, 0i32..1_000_000_000).prop_map(|(s, n)| Timestamp::new(s, n).expect("an instant"))
}

/// Up to some 23 days, so that a week fits.
fn any_range() -> impl Strategy<Value = Range> {
    (any_instant(), 1i64..2_000_000)
        .prop_map(|(from, s)| Range::new(from, from + SignedDuration::from_secs(s)).expect("a range"))
}

proptest! {
    #[test]
    fn buckets_tile_every_session_exactly(
        calendar in prop::sample::select(&Calendar::ALL[..]),
        timeframe in prop::sample::select(&INTRADAY[..]),
        range in any_range(),
    ) {
        let step = timeframe.step().expect("a step");
        for session in calendar.by_rules().sessions_in(range) {
            let buckets = Grid::by_rules(calendar).buckets(timeframe, session.range());
            prop_assert_eq!(buckets.first().map(|b| b.from()), Some(session.open));
            prop_assert_eq!(buckets.last().map(|b| b.to()), Some(session.close));
            prop_assert!(buckets.windows(2).all(|pair| pair[0].to() == pair[1].from()));
            let (last, whole) = buckets.split_last().expect("a bucket");
            prop_assert!(whole.iter().all(|b| b.duration() == step) && last.duration() <= step);
        }
    }

    #[test]
    fn days_and_weeks_enclose_their_sessions(range in any_range()) {
        let grid = Grid::by_rules(Calendar::Xnys);
        for session in Calendar::Xnys.by_rules().sessions_in(range) {
            for timeframe in [Timeframe::D1, Timeframe::W1] {
                let bucket = grid.bucket_of(timeframe, session.open).expect("a bucket");
                prop_assert!(bucket.encloses(&session.range()));
            }
        }
    }

    #[test]
    fn a_bucket_is_the_one_of_its_own_start(grid in any_grid(), timeframe in any_timeframe(), at in any_instant()) {
        if let Some(bucket) = grid.bucket_of(timeframe, at) {
            prop_assert!(bucket.contains(at));
            prop_assert_eq!(grid.bucket_of(timeframe, bucket.from()), Some(bucket));
            prop_assert_eq!(grid.buckets(timeframe, bucket), vec![bucket]);
        }
    }

    #[test]
    fn a_place_answers_for_all_of_its_stretch(
        grid in any_grid(), timeframe in any_timeframe(), at in any_instant(), share in 0.0f64..1.0,
    ) {
        if let Some(Place { bucket, stretch: Some(stretch) }) = grid.place(timeframe, at) {
            prop_assert!(stretch.contains(at) && bucket.encloses(&stretch));
            let elsewhere = stretch.from() + stretch.duration().mul_f64(share);
            prop_assert_eq!(grid.bucket_of(timeframe, elsewhere), Some(bucket));
        }
    }

    #[test]
    fn buckets_are_disjoint_in_order_and_start_within_the_range(
        grid in any_grid(), timeframe in any_timeframe(), range in any_range(),
    ) {
        let buckets = grid.buckets(timeframe, range);
        prop_assert!(buckets.windows(2).all(|pair| pair[0].to() <= pair[1].from()));
        prop_assert!(buckets.iter().all(|b| range.contains(b.from())));
        for bucket in buckets.iter().take(50) {
            prop_assert_eq!(grid.bucket_of(timeframe, bucket.from()), Some(*bucket));
        }
    }

    #[test]
    fn a_range_cut_in_two_has_the_same_buckets(
        grid in any_grid(), timeframe in any_timeframe(), range in any_range(), share in 0.01f64..0.99,
    ) {
        let cut = range.from() + range.duration().mul_f64(share);
        let (left, right) = (Range::new(range.from(), cut).expect("left"), Range::new(cut, range.to()).expect("right"));
        let parts = [grid.buckets(timeframe, left), grid.buckets(timeframe, right)].concat();
        prop_assert_eq!(parts, grid.buckets(timeframe, range));
    }

    #[test]
    fn no_open_instant_is_without_a_bucket(timeframe in any_timeframe(), range in any_range()) {
        let calendar = Calendar::Xnys;
        let monday = monday_of(calendar.date_of(range.from())).expect("a Monday");
        let from_monday = Range::new(calendar.midnight(monday).expect("midnight"), range.to()).expect("a range");
        let buckets: RangeSet = Grid::by_rules(calendar).buckets(timeframe, from_monday).into_iter().collect();
        let sessions = calendar.by_rules().sessions_in(range);
        let open: RangeSet = sessions.iter().filter_map(|s| s.range().intersection(&range)).collect();
        prop_assert_eq!(open.subtract(&buckets), RangeSet::new());
    }
}
