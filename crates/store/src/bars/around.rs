//! Unadjusted prices around days: what shows whether a split took effect on one of them.

use jiff::civil::Date;
use market::evidence::Around;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use crate::{StoreError, statement::query};

/// The last close before midnight in New York of each day, and the first open after it and its bar's close, within a month, of
/// the timeframe in which they lie closest together; and the median change between the closes of two successive days around it,
/// where a quarter of an hour or a longer timeframe tells it. `None` where a side is missing.
///
/// # Errors
/// If the database is unreachable or not migrated.
pub(crate) async fn around(
    connection: &mut PgConnection,
    days: &[(Uuid, Date)],
) -> Result<Vec<Option<Around>>, StoreError> {
    if days.is_empty() {
        return Ok(Vec::new());
    }
    let rows = query(
        "select d.number, chosen.before, chosen.after, chosen.settled, chosen.days, usual.change
        from unnest($1::uuid[], $2::text[]::date[]) with ordinality as d (symbol_id, day, number)
        cross join lateral (
            select
                d.day::timestamp at time zone 'America/New_York' as midnight,
                (d.day - 30)::timestamp at time zone 'America/New_York' as first,
                (d.day + 30)::timestamp at time zone 'America/New_York' as last
        ) at
        cross join lateral (
            select t.timeframe, t.length, before.close as before, after.open as after, after.close as settled, after.day - before.day as days
            from unnest('{d1,h4,h1,m30,m15,m5,m1}'::text[]) with ordinality as t (timeframe, length)
            cross join lateral (
                select b.close, (b.ts at time zone 'America/New_York')::date as day
                from barkeep.bars(d.symbol_id, t.timeframe, at.first, at.midnight) b
                where b.is_final
                order by b.ts desc
                limit 1
            ) before
            cross join lateral (
                select b.open, b.close, (b.ts at time zone 'America/New_York')::date as day
                from barkeep.bars(d.symbol_id, t.timeframe, at.midnight, at.last) b
                order by b.ts
                limit 1
            ) after
            order by days, t.length
            limit 1
        ) chosen
        left join lateral (
            select percentile_cont(0.5) within group (order by abs(ln(close / previous))) as change
            from (
                select close, lag(close) over (order by day) as previous, day,
                    lag(day) over (order by day) as previous_day
                from (
                    select distinct on (day) (b.ts at time zone 'America/New_York')::date as day, b.close
                    from barkeep.bars(d.symbol_id, chosen.timeframe, at.first, at.last) b
                    where b.is_final and b.close > 0 and chosen.length <= 5
                    order by day, b.ts desc
                ) closes
            ) changes
            where previous is not null and not (previous_day < d.day and changes.day >= d.day)
            having count(*) >= 5
        ) usual on true",
    )
    .bind(days.iter().map(|(symbol, _)| *symbol).collect::<Vec<_>>())
    .bind(days.iter().map(|(_, day)| day.to_string()).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    let mut found = vec![None; days.len()];
    for row in rows {
        let number: i64 = row.try_get(0)?;
        let index = usize::try_from(number - 1).ok();
        let Some(place) = index.and_then(|index| found.get_mut(index)) else { continue };
        *place = Some(Around {
            before: row.try_get(1)?,
            after: row.try_get(2)?,
            settled: row.try_get(3)?,
            days: u32::try_from(row.try_get::<i32, _>(4)?).unwrap_or(1),
            usual: row.try_get(5)?,
        });
    }
    Ok(found)
}
