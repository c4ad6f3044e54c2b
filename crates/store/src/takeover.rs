//! Copies users and their interest from one database to another: from simulated bars to real ones.

use sqlx::{Row, types::Json};
use uuid::Uuid;

use crate::{Database, ServiceTx, StoreError, statement::query};

/// Copies users, their interest and their watchlists from `from` to `to`; existing rows there are kept. Symbols and
/// definitions follow from it. Returns the number of copied rows of interest.
///
/// # Errors
/// If one of the databases rejects a statement or is unreachable; nothing is written then.
pub async fn copy_interest(from: &Database, to: &Database) -> Result<u64, StoreError> {
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
    let lists = lists(&mut old).await?;
    let mut new = to.begin().await?;
    // Before the interest, whose trigger would create a list for users without one.
    for list in &lists {
        query("insert into auth.users (id, email) values ($1, $2) on conflict do nothing")
            .bind(list.user)
            .bind(&list.email)
            .execute(&mut *new)
            .await?;
        query(
            "insert into barkeep.watchlists (user_id, name, position)
            select $1, $2, $3 where exists (select from auth.users where id = $1)
            on conflict (user_id, name) do nothing",
        )
        .bind(list.user)
        .bind(&list.name)
        .bind(list.position)
        .execute(&mut *new)
        .await?;
    }
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
    for list in &lists {
        let own = lists.iter().filter(|other| other.user == list.user);
        let held: Vec<String> =
            own.flat_map(|of| of.tickers.iter().map(move |ticker| format!("{} {ticker}", of.name))).collect();
        list.arrange(&mut new, &held).await?;
    }
    new.commit().await?;
    Ok(taken)
}

struct List {
    user: Uuid,
    email: Option<String>,
    name: String,
    position: i32,
    tickers: Vec<String>,
}

async fn lists(tx: &mut ServiceTx) -> Result<Vec<List>, StoreError> {
    let rows = query(
        "select l.user_id, u.email, l.name, l.position, array(
            select s.ticker
            from barkeep.watchlist_items i
            join public.symbols s on s.id = i.symbol_id
            where i.watchlist_id = l.id and s.listing <> 'unknown'
            order by i.position, s.ticker
        )
        from barkeep.watchlists l
        join auth.users u on u.id = l.user_id
        order by l.user_id, l.position",
    )
    .fetch_all(&mut **tx)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(List {
                user: row.try_get(0)?,
                email: row.try_get(1)?,
                name: row.try_get(2)?,
                position: row.try_get(3)?,
                tickers: row.try_get(4)?,
            })
        })
        .collect()
}

impl List {
    /// Adds the list's symbols in their order. `held`: the contents of the user's lists, as `NAME TICKER`.
    async fn arrange(&self, tx: &mut ServiceTx, held: &[String]) -> Result<(), StoreError> {
        query(
            "insert into barkeep.watchlist_items as held (watchlist_id, symbol_id, position)
            select l.id, s.id, n.n
            from barkeep.watchlists l
            cross join unnest($3::text[]) with ordinality as n (ticker, n)
            join public.symbols s on s.ticker = n.ticker
            join public.user_symbol_tracking t on t.user_id = l.user_id and t.symbol_id = s.id and t.source = 'watchlist'
            where l.user_id = $1 and l.name = $2
            on conflict (watchlist_id, symbol_id) do update set position = excluded.position",
        )
        .bind(self.user)
        .bind(&self.name)
        .bind(&self.tickers)
        .execute(&mut **tx)
        .await?;
        // The trigger added it to the first list, for lack of another one; it is removed there if that isn't this
        // list.
        query(
            "delete from barkeep.watchlist_items i
            using barkeep.watchlists l, public.symbols s
            where l.user_id = $1 and l.name <> $2 and i.watchlist_id = l.id and s.id = i.symbol_id
                and s.ticker = any ($3) and i.added_at = now() and l.name || ' ' || s.ticker <> all ($4)",
        )
        .bind(self.user)
        .bind(&self.name)
        .bind(&self.tickers)
        .bind(held)
        .execute(&mut **tx)
        .await?;
        Ok(())
    }
}
