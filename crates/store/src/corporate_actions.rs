//! Splits and dividends, stored beside bars as traded.

use std::collections::{BTreeMap, HashSet};

use jiff::civil::Date;
use market::{Action, ActionKind, Ticker};
use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

use crate::{
    Database, StoreError,
    row::parsed,
    statement::{query, query_scalar},
};

/// The source of an action that was detected in bars only.
pub const NOTICED: &str = "noticed";

/// Replaces the actions of a stock from `source` between `from` and `to`, both included. Actions that `source` no
/// longer lists are deleted, as a split that was called off; a detected action is replaced by one that a provider
/// lists, and never the reverse. Returns the number of new or changed actions.
///
/// # Errors
/// If the database rejects the statement or is unreachable. Actions of unknown symbols are ignored.
pub async fn store(
    database: &Database,
    ticker: &Ticker,
    source: &str,
    (from, to): (Date, Date),
    actions: &[Action],
) -> Result<u64, StoreError> {
    let actions = by_day(actions);
    let mut tx = database.begin().await?;
    let split = |part: fn(f64, f64) -> f64| {
        let of = |action: &Action| match action.kind {
            ActionKind::Split { new, old } => Some(part(new, old)),
            ActionKind::Dividend { .. } => None,
        };
        actions.iter().map(of).collect::<Vec<Option<f64>>>()
    };
    let amounts = actions.iter().map(|action| match action.kind {
        ActionKind::Dividend { amount } => Some(amount),
        ActionKind::Split { .. } => None,
    });
    let (days, kinds): (Vec<String>, Vec<&str>) =
        actions.iter().map(|action| (action.ex_date.to_string(), kind(action))).unzip();
    // A detected split may have been dated some days off: one with the same ratio from a provider is the same split.
    let forgotten = query(
        "delete from public.corporate_actions a
        using public.symbols s
        where s.id = a.symbol_id and s.ticker = $1
            and (a.source = $2 and a.source <> $8 and a.ex_date between $3::text::date and $4::text::date
                    and not exists (
                        select from unnest($5::text[]::date[], $6::text[]) as t (ex_date, kind)
                        where t.ex_date = a.ex_date and t.kind = a.kind
                    )
                or a.source = $8 and $2 <> $8 and exists (
                    select from unnest($5::text[]::date[], $7::float8[]) as t (ex_date, ratio)
                    where abs(t.ex_date - a.ex_date) <= 30 and abs(t.ratio / (a.new_shares / a.old_shares) - 1) < 0.01
                ))",
    )
    .bind(ticker.as_str())
    .bind(source)
    .bind(from.to_string())
    .bind(to.to_string())
    .bind(&days)
    .bind(&kinds)
    .bind(split(|new, old| new / old))
    .bind(NOTICED)
    .execute(&mut *tx)
    .await?
    .rows_affected();
    let changed = query(
        "insert into public.corporate_actions as held (symbol_id, ex_date, kind, old_shares, new_shares, amount, source)
        select s.id, a.ex_date, a.kind, a.old_shares, a.new_shares, a.amount, $2
        from unnest($3::text[]::date[], $4::text[], $5::float8[], $6::float8[], $7::float8[])
            as a (ex_date, kind, old_shares, new_shares, amount)
        join public.symbols s on s.ticker = $1
        on conflict (symbol_id, ex_date, kind) do update
        set old_shares = excluded.old_shares, new_shares = excluded.new_shares, amount = excluded.amount,
            source = excluded.source, seen_at = now()
        where (held.old_shares, held.new_shares, held.amount, held.source)
                is distinct from (excluded.old_shares, excluded.new_shares, excluded.amount, excluded.source)
            and (excluded.source <> $8 or held.source = $8)",
    )
    .bind(ticker.as_str())
    .bind(source)
    .bind(&days)
    .bind(&kinds)
    .bind(split(|_, old| old))
    .bind(split(|new, _| new))
    .bind(amounts.collect::<Vec<_>>())
    .bind(NOTICED)
    .execute(&mut *tx)
    .await?
    .rows_affected();
    tx.commit().await?;
    Ok(changed + forgotten)
}

/// One valid action of each kind per day: dividends of one day add up, and splits multiply.
fn by_day(actions: &[Action]) -> Vec<Action> {
    let positive = |value: f64| value.is_finite() && value > 0.0;
    let mut days: BTreeMap<(Date, &str), Action> = BTreeMap::new();
    for action in actions {
        let sound = match action.kind {
            ActionKind::Split { new, old } => positive(new) && positive(old),
            ActionKind::Dividend { amount } => positive(amount),
        };
        if !sound {
            continue;
        }
        let held = days.entry((action.ex_date, kind(action)));
        held.and_modify(|held| match (&mut held.kind, action.kind) {
            (ActionKind::Dividend { amount }, ActionKind::Dividend { amount: more }) => *amount += more,
            (ActionKind::Split { new, old }, ActionKind::Split { new: n, old: o })
                if (*new / *old - n / o).abs() > 1e-9 =>
            {
                (*new, *old) = (*new * n, *old * o);
            }
            _ => {}
        })
        .or_insert(*action);
    }
    days.into_values().collect()
}

fn kind(action: &Action) -> &'static str {
    match action.kind {
        ActionKind::Split { .. } => "split",
        ActionKind::Dividend { .. } => "dividend",
    }
}

/// The actions of a stock, oldest first, as visible to the service or to `user`.
///
/// # Errors
/// If the database is unreachable or not migrated.
pub async fn for_symbol(database: &Database, user: Option<Uuid>, ticker: &Ticker) -> Result<Vec<Action>, StoreError> {
    let mut tx = match user {
        Some(user) => database.begin_as(user).await?.0,
        None => database.begin().await?,
    };
    let rows = query(
        "select a.ex_date::text, a.old_shares, a.new_shares, a.amount
        from public.corporate_actions a
        join public.symbols s on s.id = a.symbol_id
        where s.ticker = $1
        order by a.ex_date, a.kind desc",
    )
    .bind(ticker.as_str())
    .fetch_all(&mut *tx)
    .await?;
    rows.iter().map(action).collect()
}

/// Those of `symbols` with a split since a day: their newest bars are not all in today's shares.
///
/// # Errors
/// If the database is unreachable or not migrated.
pub async fn split_since(
    database: &Database,
    user: Uuid,
    symbols: &[Uuid],
    since: Date,
) -> Result<HashSet<Uuid>, StoreError> {
    let mut tx = database.begin_as(user).await?.0;
    let found: Vec<Uuid> = query_scalar(
        "select distinct a.symbol_id from public.corporate_actions a
        where a.symbol_id = any ($1) and a.kind = 'split' and a.ex_date >= $2::text::date",
    )
    .bind(symbols)
    .bind(since.to_string())
    .fetch_all(&mut *tx)
    .await?;
    Ok(found.into_iter().collect())
}

fn action(row: &PgRow) -> Result<Action, StoreError> {
    let kind = match (row.try_get(1)?, row.try_get(2)?, row.try_get(3)?) {
        (Some(old), Some(new), _) => ActionKind::Split { new, old },
        (_, _, Some(amount)) => ActionKind::Dividend { amount },
        _ => return Err(StoreError::Corrupt("a corporate action that is neither split nor dividend".to_owned())),
    };
    Ok(Action { ex_date: parsed(row, 0)?, kind })
}

/// Enabled stocks that were not checked within a day, the least recently checked first. The caller has five minutes
/// to check them before another process may.
///
/// # Errors
/// If the database is unreachable.
pub async fn take_due(database: &Database, limit: i64) -> Result<Vec<Ticker>, StoreError> {
    let mut tx = database.begin().await?;
    let rows = query(
        "update public.symbols s
        set actions_checked_at = now() - interval '23 hours 55 minutes'
        from (
            select l.id from public.symbols l
            where l.asset_type <> 'crypto' and l.active and l.listing <> 'unknown'
                and (l.actions_checked_at is null or l.actions_checked_at < now() - interval '1 day')
                and exists (select from public.job_definitions d where d.symbol = l.ticker and d.enabled)
            order by l.actions_checked_at nulls first, l.id
            limit $1
            for no key update skip locked
        ) due
        where s.id = due.id
        returning s.ticker",
    )
    .bind(limit)
    .fetch_all(&mut *tx)
    .await?;
    tx.commit().await?;
    rows.iter().map(|row| parsed(row, 0)).collect()
}

/// Marks these stocks as checked: they are due again in a day.
///
/// # Errors
/// If the database rejects the statement or is unreachable.
pub async fn mark_checked(database: &Database, tickers: &[Ticker]) -> Result<(), StoreError> {
    let mut tx = database.begin().await?;
    query("update public.symbols set actions_checked_at = now(), actions_known_at = now() where ticker = any ($1)")
        .bind(tickers.iter().map(Ticker::as_str).collect::<Vec<_>>())
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(())
}

/// No provider lists splits: these stocks are due again in a day, and their splits stay unknown.
///
/// # Errors
/// If the database rejects the statement or is unreachable.
pub async fn mark_unavailable(database: &Database, tickers: &[Ticker]) -> Result<(), StoreError> {
    let mut tx = database.begin().await?;
    query("update public.symbols set actions_checked_at = now() where ticker = any ($1)")
        .bind(tickers.iter().map(Ticker::as_str).collect::<Vec<_>>())
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(())
}

/// Enabled stocks whose splits and dividends were asked for and are unknown all the same: the provider failed, or none lists
/// them.
///
/// # Errors
/// If the database is unreachable or not migrated.
pub async fn unknown_though_checked(database: &Database) -> Result<Vec<Ticker>, StoreError> {
    let mut tx = database.begin().await?;
    let rows = query(
        "select s.ticker from public.symbols s
        where s.asset_type <> 'crypto' and s.active and s.listing <> 'unknown' and s.actions_checked_at is not null
            and (s.actions_known_at is null or s.actions_known_at < now() - interval '3 days')
            and exists (select from public.job_definitions d where d.symbol = s.ticker and d.enabled)
        order by s.ticker",
    )
    .fetch_all(&mut *tx)
    .await?;
    rows.iter().map(|row| parsed(row, 0)).collect()
}

/// Those of the stocks whose splits and dividends were not fetched within so many days.
///
/// # Errors
/// If the database is unreachable or not migrated.
pub async fn unknown(database: &Database, tickers: &[Ticker], days: i32) -> Result<Vec<Ticker>, StoreError> {
    let mut tx = database.begin().await?;
    let rows = query(
        "select s.ticker from public.symbols s
        where s.ticker = any ($1) and s.asset_type <> 'crypto'
            and (s.actions_known_at is null or s.actions_known_at < now() - make_interval(days => $2))
        order by s.ticker",
    )
    .bind(tickers.iter().map(Ticker::as_str).collect::<Vec<_>>())
    .bind(days)
    .fetch_all(&mut *tx)
    .await?;
    rows.iter().map(|row| parsed(row, 0)).collect()
}
