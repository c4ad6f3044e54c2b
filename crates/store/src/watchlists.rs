//! Watchlists: lists of a user, and the order in each.
//!
//! In: a user's changes of the lists. Out: the user's rows, and interest that follows them. Holds: a symbol on a list
//! is tracked, and a symbol tracked from a watchlist is on a list (ensured by triggers of `user_symbol_tracking`,
//! whatever writes there).

use jiff::Timestamp;
use market::{Ticker, Timeframe};
use serde::Serialize;
use sqlx::{Row, types::Json};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    Database, StoreError, UserTx,
    row::{instant, parsed},
    statement::{query, query_scalar},
    tracking::{self, Source, Synced},
};

/// The maximum number of lists.
const MOST_LISTS: i64 = 50;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Watchlist {
    pub id: Uuid,
    pub name: String,
    /// Number of symbols on it.
    pub symbols: i64,
}

/// A symbol on a list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Item {
    pub symbol_id: Uuid,
    pub symbol: Ticker,
    pub name: String,
    pub asset_type: String,
    pub added_at: Timestamp,
}

/// The user's lists, in their order; none before the first symbol.
///
/// # Errors
/// If the database is unreachable or not migrated.
pub async fn of(database: &Database, user: Uuid) -> Result<Vec<Watchlist>, StoreError> {
    let mut tx = database.begin_as(user).await?.0;
    let rows = query(
        "select l.id, l.name, (select count(*) from barkeep.watchlist_items i where i.watchlist_id = l.id)
        from barkeep.watchlists l
        where l.user_id = $1
        order by l.position, l.created_at, l.id",
    )
    .bind(user)
    .fetch_all(&mut *tx)
    .await?;
    rows.iter()
        .map(|row| Ok(Watchlist { id: row.try_get(0)?, name: row.try_get(1)?, symbols: row.try_get(2)? }))
        .collect()
}

/// The symbols of a user's list, in its order, from the `skip`th on and at most `limit`.
///
/// # Errors
/// If the database is unreachable or not migrated.
pub async fn items(
    database: &Database,
    user: Uuid,
    list: Uuid,
    skip: i64,
    limit: i64,
) -> Result<Vec<Item>, StoreError> {
    let mut tx = database.begin_as(user).await?.0;
    let rows = query(
        "select s.id, s.ticker, s.description, s.asset_type, i.added_at
        from barkeep.watchlist_items i
        join public.symbols s on s.id = i.symbol_id
        where i.watchlist_id = $1
        order by i.position, s.ticker
        offset $2 limit $3",
    )
    .bind(list)
    .bind(skip)
    .bind(limit)
    .fetch_all(&mut *tx)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Item {
                symbol_id: row.try_get(0)?,
                symbol: parsed(row, 1)?,
                name: row.try_get(2)?,
                asset_type: row.try_get(3)?,
                added_at: instant(row, 4)?,
            })
        })
        .collect()
}

/// The user's first list, created if there is none.
///
/// # Errors
/// If the database rejects the statement or is unreachable.
pub async fn first(database: &Database, user: Uuid) -> Result<Uuid, StoreError> {
    let mut tx = database.begin_as(user).await?;
    query(
        "insert into barkeep.watchlists (user_id, name)
        select $1, 'Watchlist' where not exists (select from barkeep.watchlists where user_id = $1)
        on conflict (user_id, name) do nothing",
    )
    .bind(user)
    .execute(&mut *tx.0)
    .await?;
    let id = query_scalar(
        "select l.id from barkeep.watchlists l where l.user_id = $1 order by l.position, l.created_at, l.id limit 1",
    )
    .bind(user)
    .fetch_one(&mut *tx.0)
    .await?;
    tx.commit().await?;
    Ok(id)
}

/// A hash that changes whenever the user's lists do.
///
/// # Errors
/// If the database is unreachable or not migrated.
pub async fn state(database: &Database, user: Uuid) -> Result<String, StoreError> {
    let mut tx = database.begin_as(user).await?.0;
    Ok(query_scalar(
        "select md5(coalesce(string_agg(l.text, ';' order by l.text), ''))
        from (
            select concat_ws(',', l.id, l.name, l.position, string_agg(concat(i.symbol_id, ' ', i.position), ','
                order by i.symbol_id)) as text
            from barkeep.watchlists l
            left join barkeep.watchlist_items i on i.watchlist_id = l.id
            where l.user_id = $1
            group by l.id
        ) l",
    )
    .bind(user)
    .fetch_one(&mut *tx)
    .await?)
}

/// Adds `tickers` to `list`, or to the first list if they are on none. A symbol that is on another list is then on
/// both.
///
/// # Errors
/// [`StoreError::Refused`] if the user would track too many symbols, or has no such list; then nothing is written.
pub async fn add(
    database: &Database,
    user: Uuid,
    list: Option<Uuid>,
    tickers: &[Ticker],
    timeframes: &[Timeframe],
) -> Result<Synced, StoreError> {
    let mut tx = database.begin_as(user).await?;
    if let Some(list) = list {
        own(&mut tx, user, list).await?;
        query("select set_config('barkeep.watchlist', $1, true)").bind(list.to_string()).execute(&mut *tx.0).await?;
    }
    let names: Vec<&str> = tickers.iter().map(Ticker::as_str).collect();
    let Json(synced) = query_scalar::<Json<Synced>>("select public.sync_user_symbols($1, $2, $3)")
        .bind(&names)
        .bind(Source::Watchlist.as_str())
        .bind(timeframes.iter().map(|t| t.as_str()).collect::<Vec<_>>())
        .fetch_one(&mut *tx.0)
        .await?;
    if let Some(list) = list {
        query(
            "insert into barkeep.watchlist_items (watchlist_id, symbol_id, position)
            select $1, s.id, l.last + row_number() over (order by n.n)
            from unnest($2::text[]) with ordinality as n (ticker, n)
            join public.symbols s on s.ticker = n.ticker
            cross join (
                select coalesce(max(i.position), 0) as last from barkeep.watchlist_items i where i.watchlist_id = $1
            ) l
            on conflict (watchlist_id, symbol_id) do nothing",
        )
        .bind(list)
        .bind(&names)
        .execute(&mut *tx.0)
        .await?;
    }
    tx.commit().await?;
    Ok(synced)
}

/// Removes a symbol from a user's list; one that is on no list any more is not tracked any more. `false`: it wasn't
/// there.
///
/// # Errors
/// If the database rejects the statement or is unreachable.
pub async fn remove(database: &Database, user: Uuid, list: Uuid, ticker: &Ticker) -> Result<bool, StoreError> {
    let mut tx = database.begin_as(user).await?;
    let gone = query(
        "delete from barkeep.watchlist_items i
        using public.symbols s
        where i.watchlist_id = $1 and s.id = i.symbol_id and s.ticker = $2",
    )
    .bind(list)
    .bind(ticker.as_str())
    .execute(&mut *tx.0)
    .await?
    .rows_affected();
    let names = [ticker.as_str()];
    untrack_unlisted(&mut tx, user, &names).await?;
    tx.commit().await?;
    Ok(gone > 0)
}

/// Removes a symbol from all of the user's lists: it is not tracked any more. `false`: it was on none.
///
/// # Errors
/// If the database rejects the statement or is unreachable.
pub async fn remove_everywhere(database: &Database, user: Uuid, ticker: &Ticker) -> Result<bool, StoreError> {
    let gone = tracking::untrack(database, user, std::slice::from_ref(ticker), Some(Source::Watchlist)).await?;
    Ok(gone > 0)
}

/// Puts the symbols of a list in the given order, before those that aren't given.
///
/// # Errors
/// If the database rejects the statement or is unreachable.
pub async fn reorder(database: &Database, user: Uuid, list: Uuid, order: &[Ticker]) -> Result<(), StoreError> {
    let mut tx = database.begin_as(user).await?;
    query(
        "update barkeep.watchlist_items i
        set position = o.position
        from (
            select k.symbol_id, row_number() over (order by n.n nulls last, k.position, s.ticker) as position
            from barkeep.watchlist_items k
            join public.symbols s on s.id = k.symbol_id
            left join unnest($2::text[]) with ordinality as n (ticker, n) on n.ticker = s.ticker
            where k.watchlist_id = $1
        ) o
        where i.watchlist_id = $1 and i.symbol_id = o.symbol_id and i.position <> o.position",
    )
    .bind(list)
    .bind(order.iter().map(Ticker::as_str).collect::<Vec<_>>())
    .execute(&mut *tx.0)
    .await?;
    tx.commit().await
}

/// Creates a list, behind the others.
///
/// # Errors
/// [`StoreError::Refused`] if the name is empty, too long or taken, or there are 50 lists.
pub async fn create(database: &Database, user: Uuid, name: &str) -> Result<Uuid, StoreError> {
    let name = named(name)?;
    let mut tx = database.begin_as(user).await?;
    // A user who creates a second list has a first one, even if it is empty.
    query(
        "insert into barkeep.watchlists (user_id, name)
        select $1, 'Watchlist' where not exists (select from barkeep.watchlists where user_id = $1) and $2 <> 'Watchlist'
        on conflict (user_id, name) do nothing",
    )
    .bind(user)
    .bind(name)
    .execute(&mut *tx.0)
    .await?;
    let lists: i64 = query_scalar("select count(*) from barkeep.watchlists where user_id = $1")
        .bind(user)
        .fetch_one(&mut *tx.0)
        .await?;
    if lists >= MOST_LISTS {
        return Err(StoreError::Refused(format!("At most {MOST_LISTS} lists: remove one first")));
    }
    let id: Option<Uuid> = query_scalar(
        "insert into barkeep.watchlists (user_id, name, position)
        select $1, $2, coalesce(max(position), -1) + 1 from barkeep.watchlists where user_id = $1
        on conflict (user_id, name) do nothing
        returning id",
    )
    .bind(user)
    .bind(name)
    .fetch_optional(&mut *tx.0)
    .await?;
    tx.commit().await?;
    id.ok_or_else(|| StoreError::Refused(format!("You already have a list '{name}'")))
}

/// Renames a list.
///
/// # Errors
/// As [`create`], or if there is no such list.
pub async fn rename(database: &Database, user: Uuid, list: Uuid, name: &str) -> Result<(), StoreError> {
    let name = named(name)?;
    let mut tx = database.begin_as(user).await?;
    own(&mut tx, user, list).await?;
    let renamed = query(
        "update barkeep.watchlists l set name = $2
        where l.id = $1
            and not exists (select from barkeep.watchlists o where o.user_id = $3 and o.name = $2 and o.id <> $1)",
    )
    .bind(list)
    .bind(name)
    .bind(user)
    .execute(&mut *tx.0)
    .await?
    .rows_affected();
    if renamed == 0 {
        return Err(StoreError::Refused(format!("You already have a list '{name}'")));
    }
    tx.commit().await
}

/// Removes a list; symbols that are on no other list are not tracked any more.
///
/// # Errors
/// [`StoreError::Refused`] if there is no such list.
pub async fn delete(database: &Database, user: Uuid, list: Uuid) -> Result<(), StoreError> {
    let mut tx = database.begin_as(user).await?;
    own(&mut tx, user, list).await?;
    let tickers: Vec<String> = query_scalar(
        "select s.ticker from barkeep.watchlist_items i
        join public.symbols s on s.id = i.symbol_id
        where i.watchlist_id = $1
        order by s.ticker",
    )
    .bind(list)
    .fetch_all(&mut *tx.0)
    .await?;
    query("delete from barkeep.watchlists where id = $1").bind(list).execute(&mut *tx.0).await?;
    let names: Vec<&str> = tickers.iter().map(String::as_str).collect();
    untrack_unlisted(&mut tx, user, &names).await?;
    tx.commit().await
}

/// Removes the interest in those of `tickers` that are on none of the user's lists.
async fn untrack_unlisted(tx: &mut UserTx, user: Uuid, tickers: &[&str]) -> Result<(), StoreError> {
    query(
        "select public.untrack_user_symbols(array_agg(s.ticker), 'watchlist')
        from public.symbols s
        where s.ticker = any ($2)
            and not exists (
                select from barkeep.watchlist_items i
                join barkeep.watchlists l on l.id = i.watchlist_id
                where i.symbol_id = s.id and l.user_id = $1
            )
        having count(*) > 0",
    )
    .bind(user)
    .bind(tickers)
    .execute(&mut *tx.0)
    .await?;
    Ok(())
}

async fn own(tx: &mut UserTx, user: Uuid, list: Uuid) -> Result<(), StoreError> {
    let is_own: bool = query_scalar("select exists (select from barkeep.watchlists where id = $1 and user_id = $2)")
        .bind(list)
        .bind(user)
        .fetch_one(&mut *tx.0)
        .await?;
    if is_own { Ok(()) } else { Err(StoreError::Refused("This list no longer exists".to_owned())) }
}

fn named(name: &str) -> Result<&str, StoreError> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > 60 || name.chars().any(char::is_control) {
        return Err(StoreError::Refused("A list's name has 1 to 60 characters".to_owned()));
    }
    Ok(name)
}
