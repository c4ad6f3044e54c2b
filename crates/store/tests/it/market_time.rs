//! The database's market time agrees with the calendar and the grid.

use jiff::{
    SignedDuration, Timestamp, ToSpan,
    civil::{Date, date},
};
use market::{Calendar, Grid, Range, Timeframe};
use sqlx::Row;
use store::{Database, clock};
use testkit::Owner;

use crate::site::{Site, at, range_of};

for_every_owner! {
    the_market_clock_runs_on_from_where_it_was_set,
}

for_one_owner! {
    a_change_of_grace_makes_its_calendar_due_again,
    final_until_is_the_end_of_the_last_bar_that_has_ended,
    the_next_bar_is_due_when_its_end_and_grace_have_passed,
    expected_bars_are_the_buckets_of_the_grid,
    a_range_runs_on_through_closed_hours_on_both_sides,
    a_window_is_whole_sessions_up_to_the_last_final_bar,
}

/// Of the sessions that are in the database, forty years: without their first weeks, before which there is nothing.
const YEARS: (Date, Date) = (date(1990, 2, 1), date(2030, 2, 1));

/// Instants in and around sessions of all those years: of each that is short, or beside a holiday or a change of clocks, and
/// of every so many others. At, just before and just after opens and closes, within bars, and at night.
fn instants_of_forty_years(calendar: Calendar) -> Vec<Timestamp> {
    let sessions = calendar.by_rules().sessions(YEARS.0, YEARS.1);
    let mut instants = Vec::new();
    for (n, of) in sessions.windows(3).enumerate() {
        let [before, session, after] = of else { continue };
        let days = |a: &market::Session, b: &market::Session| (b.date - a.date).get_days();
        let (since, until) = (days(before, session), days(session, after));
        let beside_a_holiday = [since, until].iter().any(|days| *days == 2 || *days > 3);
        let clocks = session.open.duration_since(before.open) != SignedDuration::from_hours(24 * i64::from(since));
        if !(session.early || beside_a_holiday || clocks || n % 37 == 0) {
            continue;
        }
        let (open, close) = (session.open, session.close);
        let places = [
            open,
            close - 1.minute(),
            open + 47.minutes(),
            close,
            open - 1.minute(),
            open + 1.minute(),
            close + 16.minutes(),
            open + 4.hours(),
            close + 3.hours(),
        ];
        // Two of each: over the years every position occurs with every special case.
        instants.extend([places[n % 9], places[(n * 2 + 5) % 9]]);
    }
    instants
}

/// The end of the last bar that had ended by `at`, according to the grid; at the start of a session its open.
fn final_by_the_grid(calendar: Calendar, timeframe: Timeframe, at: Timestamp) -> Timestamp {
    let grid = Grid::by_rules(calendar);
    if timeframe.minutes().is_some() && calendar.by_rules().session_at(at).is_some() {
        return grid.bucket_of(timeframe, at).unwrap().from();
    }
    let mut before = at;
    loop {
        let session = calendar.by_rules().previous_session(before).unwrap();
        let last = grid.bucket_of(timeframe, session.close - 1.second()).unwrap();
        if last.to() <= at {
            return last.to();
        }
        before = session.open;
    }
}

/// The end of the first bar that had not ended by `at`, according to the grid.
fn next_by_the_grid(calendar: Calendar, timeframe: Timeframe, at: Timestamp) -> Timestamp {
    let within = match calendar.by_rules().session_at(at) {
        Some(_) => at,
        None => calendar.by_rules().next_session(at).unwrap().open,
    };
    Grid::by_rules(calendar).bucket_of(timeframe, within).unwrap().to()
}

/// Where bars begin and when they are final is defined twice: in `market::Grid`, which resamples fetched bars, and in
/// the database (`barkeep.final_until`, `barkeep.next_bar_due`, `barkeep.expected_bars`), which plans. This test
/// ensures that they agree.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grid_and_database_agree_on_every_timeframe_over_forty_years() {
    let site = Site::new(Owner::Superuser).await;
    let grace = SignedDuration::from_mins(16);
    for calendar in Calendar::ALL {
        assert!(clock::set_grace(&site.database, calendar, grace, false).await.unwrap());
    }
    for calendar in Calendar::ALL {
        let instants = instants_of_forty_years(calendar);
        assert!(instants.len() > 700, "{}", instants.len());
        for timeframe in Timeframe::ALL {
            let told =
                asked(&site.database, "barkeep.final_until(c, t, i::timestamptz)", calendar, timeframe, &instants)
                    .await;
            let next =
                asked(&site.database, "barkeep.next_bar_due(c, t, i::timestamptz)", calendar, timeframe, &instants)
                    .await;
            for ((at, told), next) in instants.iter().zip(told).zip(next) {
                assert_eq!(told, final_by_the_grid(calendar, timeframe, *at), "{calendar} {timeframe} at {at}");
                let expected = next_by_the_grid(calendar, timeframe, *at - grace) + grace;
                assert_eq!(next, expected, "{calendar} {timeframe} after {at}");
            }
            // In each session: as many as in the grid.
            let Some(minutes) = timeframe.minutes().filter(|minutes| *minutes >= 15) else { continue };
            let sessions: Vec<_> = instants.iter().filter_map(|at| calendar.by_rules().session_at(*at)).collect();
            let counts: Vec<i64> = sqlx::query_scalar(
                "select barkeep.expected_bars($1, $2, o::timestamptz, c::timestamptz)
                from unnest($3::text[], $4::text[]) with ordinality as u (o, c, n) order by n",
            )
            .bind(calendar.as_str())
            .bind(timeframe.as_str())
            .bind(sessions.iter().map(|session| session.open.to_string()).collect::<Vec<_>>())
            .bind(sessions.iter().map(|session| session.close.to_string()).collect::<Vec<_>>())
            .fetch_all(&mut *site.database.begin().await.unwrap())
            .await
            .unwrap();
            for (session, count) in sessions.iter().zip(counts) {
                let buckets = Grid::by_rules(calendar).buckets(timeframe, session.range()).len();
                assert_eq!(count, buckets as i64, "{calendar} {minutes} minutes on {}", session.date);
            }
        }
    }
}

/// Instants around every special case, and many others.
fn instants() -> Vec<Timestamp> {
    let mut instants: Vec<Timestamp> = [
        // A half day: before, at and after its close.
        "2026-11-27T14:30:00Z",
        "2026-11-27T17:59:00Z",
        "2026-11-27T18:00:00Z",
        "2026-11-27T19:00:00Z",
        // Thanksgiving, the weekend after, a holiday on Monday, Good Friday.
        "2026-11-26T15:00:00Z",
        "2026-11-28T12:00:00Z",
        "2026-11-29T23:59:00Z",
        "2026-09-07T15:00:00Z",
        "2026-04-03T15:00:00Z",
        // New York's clocks change.
        "2026-03-08T06:30:00Z",
        "2026-03-08T07:30:00Z",
        "2026-03-09T13:30:00Z",
        "2026-11-01T05:30:00Z",
        "2026-11-01T06:30:00Z",
        "2026-11-02T14:30:00Z",
        // Opens, ends of bars, the short last bar.
        "2026-11-24T14:30:00Z",
        "2026-11-24T14:31:00Z",
        "2026-11-24T14:44:00Z",
        "2026-11-24T14:45:00Z",
        "2026-11-24T20:30:00Z",
        "2026-11-24T20:59:00Z",
        "2026-11-24T21:00:00Z",
        "2026-11-25T00:00:00Z",
        "2027-01-01T00:00:00Z",
        "2025-01-09T16:00:00Z",
    ]
    .into_iter()
    .map(at)
    .collect();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..100 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        // 2019 to 2027, whole minutes.
        instants.push(Timestamp::from_second(1_546_300_800 + (state % 4_730_000) as i64 * 60).unwrap());
    }
    instants
}

fn series() -> impl Iterator<Item = (Calendar, Timeframe)> {
    Calendar::ALL.into_iter().flat_map(|calendar| Timeframe::ALL.map(|timeframe| (calendar, timeframe)))
}

/// The buckets around an instant, oldest first.
fn around(calendar: Calendar, timeframe: Timeframe, at: Timestamp) -> Vec<Range> {
    let range = range_of(at - (20 * 24).hours(), at + (20 * 24).hours());
    Grid::by_rules(calendar).buckets(timeframe, range)
}

fn ended(calendar: Calendar, timeframe: Timeframe, at: Timestamp) -> Timestamp {
    let ended = around(calendar, timeframe, at).iter().map(Range::to).filter(|to| *to <= at).max().unwrap();
    // At the start of a session its open, which is equivalent to the last close.
    match calendar.by_rules().session_at(at) {
        Some(session) if timeframe.minutes().is_some() => ended.max(session.open),
        _ => ended,
    }
}

/// The value of an expression over `i` (text, an instant), for each of `instants`, as an instant.
async fn asked(
    database: &Database,
    expression: &str,
    calendar: Calendar,
    timeframe: Timeframe,
    instants: &[Timestamp],
) -> Vec<Timestamp> {
    let sql = format!(
        "select extract(epoch from {expression})::bigint
        from unnest($1::text[]) with ordinality u (i, n), (select $2::text as c, $3::text as t) k order by n"
    );
    // Released while the calendar is computed: idle transactions are ended after a while.
    let mut tx = database.begin().await.unwrap();
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(instants.iter().map(ToString::to_string).collect::<Vec<_>>())
        .bind(calendar.as_str())
        .bind(timeframe.as_str())
        .fetch_all(&mut *tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    rows.iter().map(|row| Timestamp::from_second(row.get(0)).unwrap()).collect()
}

async fn final_until_is_the_end_of_the_last_bar_that_has_ended(owner: Owner) {
    let site = Site::new(owner).await;
    let instants = instants();
    for (calendar, timeframe) in series() {
        let told =
            asked(&site.database, "barkeep.final_until(c, t, i::timestamptz)", calendar, timeframe, &instants).await;
        for (at, told) in instants.iter().zip(told) {
            assert_eq!(told, ended(calendar, timeframe, *at), "{calendar} {timeframe} at {at}");
        }
    }
}

async fn the_next_bar_is_due_when_its_end_and_grace_have_passed(owner: Owner) {
    let site = Site::new(owner).await;
    let grace = SignedDuration::from_mins(16);
    for calendar in Calendar::ALL {
        assert!(clock::set_grace(&site.database, calendar, grace, false).await.unwrap());
    }
    let instants = instants();
    for (calendar, timeframe) in series() {
        let told =
            asked(&site.database, "barkeep.next_bar_due(c, t, i::timestamptz)", calendar, timeframe, &instants).await;
        for (at, told) in instants.iter().zip(told) {
            let ends = around(calendar, timeframe, *at).into_iter().map(|b| b.to()).filter(|to| *to > *at - grace);
            assert_eq!(told, ends.min().unwrap() + grace, "{calendar} {timeframe} at {at}");
        }
    }
}

async fn expected_bars_are_the_buckets_of_the_grid(owner: Owner) {
    let site = Site::new(owner).await;
    let instants = instants();
    for (calendar, timeframe) in series() {
        for pair in instants.chunks(2) {
            let [a, b] = *pair else { continue };
            // At most some days: the whole of 2019 to 2027 in minutes takes its time.
            let (from, to) = (a.min(b), a.max(b).min(a.min(b) + (24 * 40).hours()));
            let (from, to) = (ended(calendar, timeframe, from), ended(calendar, timeframe, to));
            let Ok(range) = Range::new(from, to) else { continue };
            let expected = match timeframe {
                Timeframe::D1 => calendar.by_rules().sessions_in(range).len(),
                Timeframe::W1 => {
                    let sessions = calendar.by_rules().sessions_in(range);
                    let mut weeks: Vec<_> = sessions.iter().map(|s| s.date.iso_week_date().week()).collect();
                    weeks.dedup();
                    weeks.len()
                }
                _ => Grid::by_rules(calendar).buckets(timeframe, range).len(),
            };
            let mut tx = site.database.begin().await.unwrap();
            let told: i64 = sqlx::query_scalar(
                "select barkeep.expected_bars($1, $2, $3::text::timestamptz, $4::text::timestamptz)",
            )
            .bind(calendar.as_str())
            .bind(timeframe.as_str())
            .bind(from.to_string())
            .bind(to.to_string())
            .fetch_one(&mut *tx)
            .await
            .unwrap();
            assert_eq!(told, expected as i64, "{calendar} {timeframe} in {range}");
        }
    }
}

async fn a_range_runs_on_through_closed_hours_on_both_sides(owner: Owner) {
    let site = Site::new(owner).await;
    let instants = instants();
    for calendar in Calendar::ALL {
        let inside = |at: Timestamp| calendar.by_rules().session_at(at).is_some_and(|session| session.open < at);
        let m1 = Timeframe::M1;
        let lower = "lower(barkeep.through_closed_hours(c, tstzrange(i::timestamptz, '2028-01-01')))";
        for (at, told) in instants.iter().zip(asked(&site.database, lower, calendar, m1, &instants).await) {
            let expected = if inside(*at) { *at } else { calendar.by_rules().previous_session(*at).unwrap().close };
            assert_eq!(told, expected, "{calendar} from {at}");
        }
        let upper = "upper(barkeep.through_closed_hours(c, tstzrange('2018-01-01', i::timestamptz)))";
        for (at, told) in instants.iter().zip(asked(&site.database, upper, calendar, m1, &instants).await) {
            let expected = if inside(*at) { *at } else { calendar.by_rules().next_session(*at).unwrap().open };
            assert_eq!(told, expected, "{calendar} to {at}");
        }
    }
}

async fn a_window_is_whole_sessions_up_to_the_last_final_bar(owner: Owner) {
    let site = Site::new(owner).await;
    let grace = SignedDuration::from_mins(1);
    for now in instants() {
        let mut tx = site.database.begin().await.unwrap();
        // In one transaction now() doesn't advance, and neither does the market's clock.
        sqlx::query("update barkeep.market_clock set as_of = $1::text::timestamptz, set_at = now()")
            .bind(now.to_string())
            .execute(&mut *tx)
            .await
            .unwrap();
        for ((calendar, timeframe), days) in series().zip([7, 30, 90, 365].into_iter().cycle()) {
            let mut day = calendar.date_of(now) - days.days();
            if timeframe == Timeframe::W1 {
                day -= i64::from(day.weekday().to_monday_zero_offset()).days();
            }
            let from = calendar.by_rules().next_session(calendar.midnight(day).unwrap()).unwrap().open;
            let to = ended(calendar, timeframe, now - grace);
            let row = sqlx::query(
                "select extract(epoch from lower(w))::bigint, extract(epoch from upper(w))::bigint
                from barkeep.window_of($1, $2, $3) w",
            )
            .bind(calendar.as_str())
            .bind(timeframe.as_str())
            .bind(days)
            .fetch_one(&mut *tx)
            .await
            .unwrap();
            let told = row.get::<Option<i64>, _>(0).zip(row.get(1));
            let expected = (from < to).then(|| (from.as_second(), to.as_second()));
            assert_eq!(told, expected, "{calendar} {timeframe}, {days} days at {now}");
        }
    }
}

async fn the_market_clock_runs_on_from_where_it_was_set(owner: Owner) {
    let site = Site::new(owner).await;
    let wall = clock::read(&site.database).await.unwrap();
    assert_eq!(wall, clock::MarketClock::wall());
    let begun = at("2024-07-03T15:00:00Z");
    let before = Timestamp::now();
    let set = clock::start(&site.database, Some(begun)).await.unwrap();
    assert_eq!(set.as_of, Some(begun));
    let (first, later) = (set.now(), clock::read(&site.database).await.unwrap().now());
    let passed = Timestamp::now().duration_since(before);
    assert!(begun <= first && first <= later && later <= begun + passed, "{first} {later}");
    assert_eq!(clock::start(&site.database, None).await.unwrap(), wall);
}

async fn a_change_of_grace_makes_its_calendar_due_again(owner: Owner) {
    let site = Site::new(owner).await;
    site.run("update job_definitions set next_due_at = '2100-01-01'").await;
    let (xnys, grace) = (Calendar::Xnys, SignedDuration::from_mins(16));
    assert!(clock::set_grace(&site.database, Calendar::AlwaysOpen, grace, false).await.unwrap());
    assert_eq!(site.value("select count(*) from job_definitions where next_due_at < now()").await, "0");
    assert!(clock::set_grace(&site.database, xnys, grace, true).await.unwrap());
    assert_eq!(site.value("select count(*) from job_definitions where next_due_at < now()").await, "60");
    assert!(!clock::set_grace(&site.database, xnys, grace, false).await.unwrap());
    let less = SignedDuration::from_mins(2);
    assert!(!clock::set_grace(&site.database, xnys, less, true).await.unwrap(), "less is no more");
    assert!(clock::set_grace(&site.database, xnys, less, false).await.unwrap());
}
