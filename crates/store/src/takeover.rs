//! People and their interest, taken from one database to another: from the simulated bars' to the real ones'.

use sqlx::{Row, types::Json};
use uuid::Uuid;

use crate::{Database, StoreError, statement::query};

/// Copies users and what they track from `from` to `to`, where what is there already stays. Symbols and definitions
/// follow from it. Returns how many rows of interest came along.
///
/// # Errors
/// Where one of the databases refuses or is gone; nothing is written then.
pub async fn take_interest_along(from: &Database, to: &Database) -> Result<u64, StoreError> {
    let mut old = from.begin().await?;
    let rows = query(
        "select u.id, u.email, s.ticker, t.source, t.priority, to_jsonb(t.timeframes)
        from public.user_symbol_tracking t
        join public.symbols s on s.id = t.symbol_id
        join auth.users u on u.id = t.user_id
        where s.listing <> 'unknown'
        order by u.id, s.ticker",
    )
    .fetch_all(&mut *old)
    .await?;
    let mut new = to.begin().await?;
    let mut taken = 0;
    for row in &rows {
        query("insert into auth.users (id, email) values ($1, $2) on conflict do nothing")
            .bind(row.try_get::<Uuid, _>(0)?)
            .bind(row.try_get::<Option<String>, _>(1)?)
            .execute(&mut *new)
            .await?;
        let ticker: String = row.try_get(2)?;
        query(
            "insert into public.symbols (ticker, asset_type, calendar)
            values ($1, barkeep.asset_type_of($1), barkeep.calendar_of(barkeep.asset_type_of($1)))
            on conflict (ticker) do nothing",
        )
        .bind(&ticker)
        .execute(&mut *new)
        .await?;
        let Json(timeframes): Json<Vec<String>> = row.try_get(5)?;
        taken += query(
            "insert into public.user_symbol_tracking (user_id, symbol_id, source, priority, timeframes)
            select $1, s.id, $3, $4, $5
            from public.symbols s
            where s.ticker = $2 and exists (select from auth.users where id = $1)
            on conflict (user_id, symbol_id, source) do nothing",
        )
        .bind(row.try_get::<Uuid, _>(0)?)
        .bind(&ticker)
        .bind(row.try_get::<String, _>(3)?)
        .bind(row.try_get::<i32, _>(4)?)
        .bind(timeframes)
        .execute(&mut *new)
        .await?
        .rows_affected();
    }
    new.commit().await?;
    Ok(taken)
}
