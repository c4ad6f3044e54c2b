//! The sessions of every calendar, as rows: what gaps and expected counts are computed from in the database.

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use market::{Calendar, Session};
use sqlx::Row;

use crate::{ServiceTx, StoreError, instant::Instant, statement::query};

/// As far back as the calendars are exact.
const FIRST_YEAR: i16 = 1990;

/// How many years beyond this one are kept; `migrate` goes on as time does.
const YEARS_AHEAD: i16 = 4;

/// Makes `barkeep.market_sessions` say what the calendars say.
///
/// # Errors
/// Where the database refuses or is gone.
pub(crate) async fn fill(tx: &mut ServiceTx) -> Result<(), StoreError> {
    let last_year = TimeZone::UTC.to_datetime(Timestamp::now()).year().max(2026) + YEARS_AHEAD;
    let (Ok(from), Ok(to)) = (Date::new(FIRST_YEAR, 1, 1), Date::new(last_year + 1, 1, 1)) else {
        return Err(StoreError::Corrupt(format!("the clock says that the year is {last_year} less {YEARS_AHEAD}")));
    };
    for calendar in Calendar::ALL {
        let sessions = calendar.sessions(from, to);
        if !is_filled(tx, calendar, &sessions).await? {
            replace(tx, calendar, &sessions).await?;
        }
    }
    Ok(())
}

/// Compares by count and by the sums of opens and closes, which no plausible change of a calendar leaves alone.
async fn is_filled(tx: &mut ServiceTx, calendar: Calendar, sessions: &[Session]) -> Result<bool, StoreError> {
    let sum = |instants: &dyn Fn(&Session) -> Timestamp| -> i64 {
        sessions.iter().map(|session| instants(session).as_second()).sum()
    };
    let row = query(
        "select count(*), coalesce(sum(extract(epoch from open_at)), 0)::bigint,
            coalesce(sum(extract(epoch from close_at)), 0)::bigint
        from barkeep.market_sessions where calendar = $1",
    )
    .bind(calendar.as_str())
    .fetch_one(&mut **tx)
    .await?;
    Ok(row.try_get::<i64, _>(0)? == sessions.len() as i64
        && row.try_get::<i64, _>(1)? == sum(&|s| s.open)
        && row.try_get::<i64, _>(2)? == sum(&|s| s.close))
}

/// Sessions that weren't there before lie in what coverage took for closed hours: they are taken out of it.
async fn replace(tx: &mut ServiceTx, calendar: Calendar, sessions: &[Session]) -> Result<(), StoreError> {
    let dates: Vec<String> = sessions.iter().map(|s| s.date.to_string()).collect();
    let opens: Vec<Instant> = sessions.iter().map(|s| Instant(s.open)).collect();
    let closes: Vec<Instant> = sessions.iter().map(|s| Instant(s.close)).collect();
    let earlies: Vec<bool> = sessions.iter().map(|s| s.early).collect();
    query(
        "with added as (
            select range_agg(tstzrange(o, c)) - (
                select coalesce(range_agg(tstzrange(m.open_at, m.close_at)), '{}')
                from barkeep.market_sessions m where m.calendar = $1
            ) as ranges
            from unnest($2::timestamptz[], $3::timestamptz[]) as s (o, c)
        )
        update public.coverage_status c
        set covered = c.covered - added.ranges, updated_at = now()
        from added, public.symbols s
        where s.ticker = c.symbol and s.calendar = $1 and c.covered && added.ranges",
    )
    .bind(calendar.as_str())
    .bind(&opens)
    .bind(&closes)
    .execute(&mut **tx)
    .await?;
    query("delete from barkeep.market_sessions where calendar = $1").bind(calendar.as_str()).execute(&mut **tx).await?;
    query(
        "insert into barkeep.market_sessions (calendar, session_date, open_at, close_at, early)
        select $1, d::date, o, c, e
        from unnest($2::text[], $3::timestamptz[], $4::timestamptz[], $5::bool[]) as s (d, o, c, e)",
    )
    .bind(calendar.as_str())
    .bind(dates)
    .bind(opens)
    .bind(closes)
    .bind(earlies)
    .execute(&mut **tx)
    .await?;
    Ok(())
}
