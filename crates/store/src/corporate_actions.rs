//! Records of splits and dividends, stored beside bars as traded, and which of them are applied.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use jiff::civil::Date;
use market::{
    Action, ActionKind, Ticker,
    evidence::{self, Around, Judged, Record, Verdict},
};
use sqlx::{PgConnection, Row, postgres::PgRow};
use uuid::Uuid;

pub use market::evidence::NOTICED;

use crate::{
    Database, StoreError,
    bars::around::around,
    row::parsed,
    statement::{query, query_scalar},
};

/// What a source's list differs in from the one before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// New records, changed ones, and those that are listed again.
    pub listed: u64,
    /// Records that are no longer listed.
    pub withdrawn: u64,
}

/// Stores what `source` lists of a stock between `from` and `to`, both included, on the day `today` of the market's clock.
/// Records that it no longer lists are kept and marked.
///
/// # Errors
/// If the database rejects the statement or is unreachable. Actions of unknown symbols are ignored.
pub async fn store(
    database: &Database,
    ticker: &Ticker,
    source: &str,
    (from, to): (Date, Date),
    today: Date,
    actions: &[Action],
) -> Result<Changes, StoreError> {
    let actions = sound(actions);
    let mut tx = database.begin().await?;
    let mut withdrawn = 0;
    let mut actions = actions;
    for kind in ["split", "dividend"] {
        if kind == "dividend"
            && let Some(day) = last_withdrawn_split(&mut tx, ticker, source).await?
        {
            // Some sources list dividends in the shares after all splits that they list: without one of these the amounts
            // before it are wrong, and those that are held stay.
            actions.retain(|action| matches!(action.kind, ActionKind::Split { .. }) || action.ex_date >= day);
            withdrawn += withdraw(&mut tx, ticker, source, (from.max(day), to), kind, &actions).await?;
            continue;
        }
        withdrawn += withdraw(&mut tx, ticker, source, (from, to), kind, &actions).await?;
    }
    let columns = Columns::of(&actions);
    let listed: i64 = query_scalar(
        "with before as (
            select a.ex_date, a.kind, a.new_shares / a.old_shares as ratio, a.amount
            from public.corporate_actions a
            join public.symbols s on s.id = a.symbol_id
            where s.ticker = $1 and a.source = $2 and a.listed
        ),
        stored as (
            insert into public.corporate_actions
                (symbol_id, ex_date, kind, old_shares, new_shares, amount, source, last_listed)
            select s.id, a.ex_date, a.kind, a.old_shares, a.new_shares, a.amount, $2, $8::text::date
            from unnest($3::text[]::date[], $4::text[], $5::float8[], $6::float8[], $7::float8[])
                as a (ex_date, kind, old_shares, new_shares, amount)
            join public.symbols s on s.ticker = $1
            on conflict (symbol_id, ex_date, kind, source, coalesce(new_shares / old_shares, 0)) do update
            set amount = excluded.amount, listed = true, last_listed = excluded.last_listed, seen_at = now()
            returning ex_date, kind, new_shares / old_shares as ratio, amount
        )
        select count(*)
        from stored s
        where not exists (
            select from before b
            where (b.ex_date, b.kind) = (s.ex_date, s.kind)
                and (b.ratio, b.amount) is not distinct from (s.ratio, s.amount)
        )",
    )
    .bind(ticker.as_str())
    .bind(source)
    .bind(columns.days)
    .bind(columns.kinds)
    .bind(columns.old_shares)
    .bind(columns.new_shares)
    .bind(columns.amounts)
    .bind(today.to_string())
    .fetch_one(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(Changes { listed: listed.unsigned_abs(), withdrawn })
}

/// Actions by column.
struct Columns {
    days: Vec<String>,
    kinds: Vec<&'static str>,
    old_shares: Vec<Option<f64>>,
    new_shares: Vec<Option<f64>>,
    amounts: Vec<Option<f64>>,
}

impl Columns {
    fn of(actions: &[Action]) -> Self {
        let shares = |action: &Action| match action.kind {
            ActionKind::Split { new, old } => (Some(old), Some(new)),
            ActionKind::Dividend { .. } => (None, None),
        };
        let amount = |action: &Action| match action.kind {
            ActionKind::Dividend { amount } => Some(amount),
            ActionKind::Split { .. } => None,
        };
        Self {
            days: actions.iter().map(|action| action.ex_date.to_string()).collect(),
            kinds: actions.iter().map(kind).collect(),
            old_shares: actions.iter().map(|action| shares(action).0).collect(),
            new_shares: actions.iter().map(|action| shares(action).1).collect(),
            amounts: actions.iter().map(amount).collect(),
        }
    }
}

/// Marks the source's records of a kind that are not among `actions`. Returns their number.
async fn withdraw(
    connection: &mut PgConnection,
    ticker: &Ticker,
    source: &str,
    (from, to): (Date, Date),
    kind: &str,
    actions: &[Action],
) -> Result<u64, StoreError> {
    let Columns { days, kinds, old_shares, new_shares, .. } = Columns::of(actions);
    let withdrawn = query(
        "update public.corporate_actions a
        set listed = false
        from public.symbols s
        where s.id = a.symbol_id and s.ticker = $1 and a.source = $2 and a.listed and a.kind = $9
            and a.ex_date between $3::text::date and $4::text::date
            and not exists (
                select from unnest($5::text[]::date[], $6::text[], $7::float8[], $8::float8[])
                    as t (ex_date, kind, old_shares, new_shares)
                where t.ex_date = a.ex_date and t.kind = a.kind
                    and t.new_shares / t.old_shares is not distinct from a.new_shares / a.old_shares
            )",
    )
    .bind(ticker.as_str())
    .bind(source)
    .bind(from.to_string())
    .bind(to.to_string())
    .bind(days)
    .bind(kinds)
    .bind(old_shares)
    .bind(new_shares)
    .bind(kind)
    .execute(connection)
    .await?
    .rows_affected();
    Ok(withdrawn)
}

/// The day of the last split that `source` no longer lists and that is applied all the same.
async fn last_withdrawn_split(
    connection: &mut PgConnection,
    ticker: &Ticker,
    source: &str,
) -> Result<Option<Date>, StoreError> {
    let is_one = |judged: &&Judged| {
        judged.verdict == Verdict::Withdrawn
            && judged.record.source == source
            && matches!(judged.record.action.kind, ActionKind::Split { .. })
    };
    let judged = judged_on(connection, ticker).await?;
    Ok(judged.iter().filter(is_one).map(|judged| judged.record.action.ex_date).max())
}

/// Those that make sense: the sum of a day's dividends, and the splits of a day with different ratios.
fn sound(actions: &[Action]) -> Vec<Action> {
    let positive = |value: f64| value.is_finite() && value > 0.0;
    let mut dividends: BTreeMap<Date, f64> = BTreeMap::new();
    let mut sound: Vec<Action> = Vec::new();
    for action in actions {
        match action.kind {
            ActionKind::Dividend { amount } if positive(amount) => {
                *dividends.entry(action.ex_date).or_default() += amount;
            }
            ActionKind::Split { new, old } if positive(new) && positive(old) && positive(new / old) => {
                let same = |held: &Action| {
                    held.ex_date == action.ex_date
                        && matches!(held.kind, ActionKind::Split { new: n, old: o } if n / o == new / old)
                };
                if !sound.iter().any(same) {
                    sound.push(*action);
                }
            }
            _ => {}
        }
    }
    let dividends =
        dividends.into_iter().map(|(ex_date, amount)| Action { ex_date, kind: ActionKind::Dividend { amount } });
    sound.extend(dividends);
    sound
}

fn kind(action: &Action) -> &'static str {
    match action.kind {
        ActionKind::Split { .. } => "split",
        ActionKind::Dividend { .. } => "dividend",
    }
}

/// The actions of a stock that are applied, oldest first, as visible to the service or to `user`.
///
/// # Errors
/// If the database is unreachable or not migrated.
pub async fn applied(database: &Database, user: Option<Uuid>, ticker: &Ticker) -> Result<Vec<Action>, StoreError> {
    Ok(evidence::applied(&judged(database, user, ticker).await?))
}

/// All records of a stock with their verdicts, oldest first, as visible to the service or to `user`.
///
/// # Errors
/// If the database is unreachable or not migrated.
pub async fn judged(database: &Database, user: Option<Uuid>, ticker: &Ticker) -> Result<Vec<Judged>, StoreError> {
    let mut tx = match user {
        Some(user) => database.begin_as(user).await?.0,
        None => database.begin().await?,
    };
    judged_on(&mut tx, ticker).await
}

async fn judged_on(connection: &mut PgConnection, ticker: &Ticker) -> Result<Vec<Judged>, StoreError> {
    let rows = query(
        "select a.ex_date::text, a.old_shares, a.new_shares, a.amount, a.source, a.listed, a.last_listed::text, s.id
        from public.corporate_actions a
        join public.symbols s on s.id = a.symbol_id
        where s.ticker = $1
        order by a.ex_date, a.kind desc, a.source, a.id",
    )
    .bind(ticker.as_str())
    .fetch_all(&mut *connection)
    .await?;
    let Some(first) = rows.first() else { return Ok(Vec::new()) };
    let symbol: Uuid = first.try_get(7)?;
    let records: Vec<Record> = rows.iter().map(record).collect::<Result<_, _>>()?;
    let mut by_symbol = judge_all(connection, BTreeMap::from([(symbol, records)])).await?;
    Ok(by_symbol.remove(&symbol).unwrap_or_default())
}

/// The splits of enabled stocks that the bars contradict, and the actions that are applied though no longer listed.
///
/// # Errors
/// If the database is unreachable or not migrated.
pub async fn disputed(database: &Database) -> Result<Vec<(Ticker, Judged)>, StoreError> {
    let mut tx = database.begin().await?;
    let rows = query(
        "select a.ex_date::text, a.old_shares, a.new_shares, a.amount, a.source, a.listed, a.last_listed::text, s.id,
            s.ticker
        from public.corporate_actions a
        join public.symbols s on s.id = a.symbol_id
        where exists (select from public.job_definitions d where d.symbol = s.ticker and d.enabled)
            and exists (
                select from public.corporate_actions b
                where b.symbol_id = s.id and (b.kind = 'split' or not b.listed)
            )
        order by a.ex_date, a.kind desc, a.source, a.id",
    )
    .fetch_all(&mut *tx)
    .await?;
    let mut tickers: BTreeMap<Uuid, Ticker> = BTreeMap::new();
    let mut by_symbol: BTreeMap<Uuid, Vec<Record>> = BTreeMap::new();
    for row in &rows {
        let symbol: Uuid = row.try_get(7)?;
        tickers.insert(symbol, parsed(row, 8)?);
        by_symbol.entry(symbol).or_default().push(record(row)?);
    }
    let judged = judge_all(&mut tx, by_symbol).await?;
    let mut disputed: Vec<(Ticker, Judged)> = judged
        .into_iter()
        .filter_map(|(symbol, judged)| Some((tickers.get(&symbol)?.clone(), judged)))
        .flat_map(|(ticker, judged)| judged.into_iter().map(move |judged| (ticker.clone(), judged)))
        .filter(|(_, judged)| matches!(judged.verdict, Verdict::Contradicted | Verdict::Withdrawn))
        .collect();
    disputed.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(disputed)
}

/// Judges the records of each symbol by its bars.
async fn judge_all(
    connection: &mut PgConnection,
    by_symbol: BTreeMap<Uuid, Vec<Record>>,
) -> Result<BTreeMap<Uuid, Vec<Judged>>, StoreError> {
    let is_split = |record: &&Record| matches!(record.action.kind, ActionKind::Split { .. });
    let days: BTreeSet<(Uuid, Date)> = by_symbol
        .iter()
        .flat_map(|(symbol, records)| records.iter().filter(is_split).map(|record| (*symbol, record.action.ex_date)))
        .collect();
    let days: Vec<(Uuid, Date)> = days.into_iter().collect();
    let found = around(connection, &days).await?;
    let around: HashMap<(Uuid, Date), Around> =
        days.into_iter().zip(found).filter_map(|(day, around)| Some((day, around?))).collect();
    let judged = by_symbol
        .into_iter()
        .map(|(symbol, records)| (symbol, evidence::judge(records, |day| around.get(&(symbol, day)).copied())));
    Ok(judged.collect())
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

fn record(row: &PgRow) -> Result<Record, StoreError> {
    let kind = match (row.try_get(1)?, row.try_get(2)?, row.try_get(3)?) {
        (Some(old), Some(new), _) => ActionKind::Split { new, old },
        (_, _, Some(amount)) => ActionKind::Dividend { amount },
        _ => return Err(StoreError::Corrupt("a corporate action that is neither split nor dividend".to_owned())),
    };
    Ok(Record {
        action: Action { ex_date: parsed(row, 0)?, kind },
        source: row.try_get(4)?,
        listed: row.try_get(5)?,
        seen: parsed(row, 6)?,
    })
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
