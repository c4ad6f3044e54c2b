//! Asset lists as rows of the directory.

use std::collections::HashMap;

use market::{AssetClass, Ticker};
use sqlx::{Row, postgres::PgRow};

use super::Entry;
use crate::{
    Database, ServiceTx, StoreError, definitions,
    row::{instant_or_none, parsed},
    statement::query,
};

/// Well-known US stocks, funds and crypto pairs, the best known first, and former tickers of some of them.
pub(crate) const BUILT_IN: &str = include_str!("../../data/directory.csv");

/// The `source` of entries that no provider has listed yet.
const BUILT_IN_SOURCE: &str = "built-in";

/// Result of [`replace`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replaced {
    /// New or changed entries.
    pub written: usize,
    /// Tickers that were listed before and no longer are.
    pub delisted: Vec<Ticker>,
    /// Old tickers and new ones.
    pub renamed: Vec<(Ticker, Ticker)>,
    /// Delisted symbols that trade again.
    pub relisted: Vec<Ticker>,
    /// `false`: the list lacked too many known entries to conclude that they are delisted.
    pub complete: bool,
}

/// Writes the built-in list, except where a provider's list has an entry.
///
/// # Errors
/// If the database rejects the statement or is unreachable.
pub(crate) async fn fill_built_in(tx: &mut ServiceTx) -> Result<(), StoreError> {
    let lines: Vec<[&str; 5]> = built_in().collect();
    let column = |n: usize| lines.iter().map(|line| line[n]).collect::<Vec<_>>();
    query(
        "insert into barkeep.directory as held (ticker, asset_type, exchange, renamed_to, name, active, rank, source)
        select l.ticker, l.asset_type, l.exchange, nullif(l.renamed_to, ''), l.name, l.renamed_to = '',
            case when l.renamed_to = '' then l.n end, $6
        from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])
            with ordinality as l (ticker, asset_type, exchange, renamed_to, name, n)
        on conflict (ticker) do update
        set rank = excluded.rank,
            asset_type = case when held.source = $6 then excluded.asset_type else held.asset_type end,
            exchange = case when held.source = $6 then excluded.exchange else held.exchange end,
            name = case when held.source = $6 then excluded.name else held.name end,
            active = case when held.source = $6 then excluded.active else held.active end,
            renamed_to = case
                when held.source = $6 then excluded.renamed_to
                when not held.active then coalesce(held.renamed_to, excluded.renamed_to)
            end,
            updated_at = now()
        where held.rank is distinct from excluded.rank
            or held.source = $6
                and (held.asset_type, held.exchange, held.name, held.renamed_to)
                    is distinct from (excluded.asset_type, excluded.exchange, excluded.name, excluded.renamed_to)",
    )
    .bind(column(0))
    .bind(column(1))
    .bind(column(2))
    .bind(column(3))
    .bind(column(4))
    .bind(BUILT_IN_SOURCE)
    .execute(&mut **tx)
    .await?;
    update_symbols(tx).await?;
    Ok(())
}

/// Ticker, asset type, exchange, new ticker, name: the name last, since it may contain commas.
fn built_in() -> impl Iterator<Item = [&'static str; 5]> {
    BUILT_IN.lines().skip(1).filter_map(|line| line.splitn(5, ',').collect::<Vec<_>>().try_into().ok())
}

/// Whether the list of a class from `source` is due: a day after the last, or at once if the last came from another
/// source. If so, the caller has five minutes to fetch it before another process may.
///
/// # Errors
/// If the database rejects the statement or is unreachable.
pub async fn claim_refresh(database: &Database, source: &str, class: AssetClass) -> Result<bool, StoreError> {
    let mut tx = database.begin().await?;
    let turn = query(
        "insert into barkeep.directory_lists as held (asset_class, source, asked_at)
        values ($1, $2, now() - interval '23 hours 55 minutes')
        on conflict (asset_class) do update
        set source = excluded.source, asked_at = excluded.asked_at
        where held.source <> excluded.source or held.asked_at < now() - interval '1 day'",
    )
    .bind(class_name(class))
    .bind(source)
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(turn.rows_affected() == 1)
}

/// The list could not be fetched: it is due again in an hour; in a day if the provider has none.
///
/// # Errors
/// If the database rejects the statement or is unreachable.
pub async fn postpone_refresh(database: &Database, class: AssetClass, for_a_day: bool) -> Result<(), StoreError> {
    let mut tx = database.begin().await?;
    query(
        "update barkeep.directory_lists
        set asked_at = case when $2 then now() else now() - interval '23 hours' end
        where asset_class = $1",
    )
    .bind(class_name(class))
    .bind(for_a_day)
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(())
}

/// Replaces the list of a class by a provider's whole list: new, changed, delisted and renamed entries (renamed
/// according to the list, or where one ticker disappeared and one appeared with the same name). Symbols are updated
/// from their entries in the same transaction.
///
/// # Errors
/// If the database rejects the statement or is unreachable; nothing is changed then.
pub async fn replace(
    database: &Database,
    source: &str,
    class: AssetClass,
    list: &[Entry],
) -> Result<Replaced, StoreError> {
    // A ticker that would be routed to the other class's endpoint can't be fetched. The last of duplicates counts.
    let entries: HashMap<&str, &Entry> = list
        .iter()
        .filter(|entry| entry.ticker.asset_class() == class)
        .map(|entry| (entry.ticker.as_str(), entry))
        .collect();
    let mut tickers: Vec<&str> = entries.keys().copied().collect();
    tickers.sort_unstable();
    let mut tx = database.begin().await?;
    query("select pg_advisory_xact_lock(hashtextextended('barkeep directory', 0))").execute(&mut *tx).await?;
    let complete = is_complete(&mut tx, class, &tickers).await?;
    let mut replaced = Replaced { complete, ..Replaced::default() };
    let came = upsert(&mut tx, source, &tickers, &entries, &mut replaced).await?;
    if complete {
        let gone = mark_missing_as_delisted(&mut tx, source, class, &tickers).await?;
        replaced.renamed = same_names(&gone, &came);
        replaced.delisted = gone.into_iter().map(|(ticker, _)| ticker).collect();
        note_renames(&mut tx, &replaced.renamed).await?;
    }
    replaced.relisted = update_symbols(&mut tx).await?;
    query(
        "insert into barkeep.directory_lists (asset_class, source, entries, taken_at) values ($1, $2, $3, now())
        on conflict (asset_class) do update
        set source = excluded.source, asked_at = now(), entries = excluded.entries, taken_at = now()",
    )
    .bind(class_name(class))
    .bind(source)
    .bind(i32::try_from(tickers.len()).unwrap_or(i32::MAX))
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    if !replaced.relisted.is_empty() {
        definitions::make_due(database, &replaced.relisted).await?;
    }
    Ok(replaced)
}

/// A truncated response must not delist a market.
async fn is_complete(tx: &mut ServiceTx, class: AssetClass, tickers: &[&str]) -> Result<bool, StoreError> {
    let row = query(
        "select count(*), count(l.ticker)
        from barkeep.directory d
        left join unnest($2::text[]) as l (ticker) using (ticker)
        where d.active and (d.asset_type = 'crypto') = ($1 = 'crypto')",
    )
    .bind(class_name(class))
    .bind(tickers)
    .fetch_one(&mut **tx)
    .await?;
    let (had, still): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    Ok(!tickers.is_empty() && still * 2 >= had)
}

/// Returns new entries of the directory, with their names.
async fn upsert(
    tx: &mut ServiceTx,
    source: &str,
    tickers: &[&str],
    entries: &HashMap<&str, &Entry>,
    replaced: &mut Replaced,
) -> Result<Vec<(Ticker, String)>, StoreError> {
    let listed: Vec<&Entry> = tickers.iter().filter_map(|ticker| entries.get(ticker).copied()).collect();
    let rows = query(
        "insert into barkeep.directory as held (ticker, asset_type, name, exchange, active, renamed_to, source)
        select l.ticker, l.asset_type, l.name, l.exchange, l.active,
            case when not l.active then nullif(l.renamed_to, '') end, $7
        from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bool[], $6::text[])
            as l (ticker, asset_type, name, exchange, active, renamed_to)
        on conflict (ticker) do update
        set asset_type = case
                -- Lists can't always tell them apart.
                when held.asset_type = 'etf' and excluded.asset_type = 'stock' then 'etf'
                else excluded.asset_type
            end,
            name = coalesce(nullif(excluded.name, ''), held.name),
            exchange = coalesce(nullif(excluded.exchange, ''), held.exchange),
            active = excluded.active,
            delisted_at = case
                when excluded.active then null
                when held.active then now()
                else held.delisted_at
            end,
            renamed_to = case when not excluded.active then coalesce(excluded.renamed_to, held.renamed_to) end,
            source = excluded.source,
            updated_at = now()
        where (held.name, held.exchange, held.active, held.source)
                is distinct from (
                    coalesce(nullif(excluded.name, ''), held.name), coalesce(nullif(excluded.exchange, ''), held.exchange),
                    excluded.active, excluded.source
                )
            or held.asset_type is distinct from excluded.asset_type
                and not (held.asset_type = 'etf' and excluded.asset_type = 'stock')
            or not excluded.active and excluded.renamed_to is not null
                and held.renamed_to is distinct from excluded.renamed_to
        returning ticker, name, xmax = 0 and active",
    )
    .bind(tickers)
    .bind(listed.iter().map(|e| e.asset_type()).collect::<Vec<_>>())
    // PostgreSQL's text can't contain it.
    .bind(listed.iter().map(|e| e.name.replace('\0', "")).collect::<Vec<_>>())
    .bind(listed.iter().map(|e| e.exchange().replace('\0', "")).collect::<Vec<_>>())
    .bind(listed.iter().map(|e| e.active).collect::<Vec<_>>())
    .bind(listed.iter().map(|e| e.renamed_to.as_ref().map_or("", Ticker::as_str)).collect::<Vec<_>>())
    .bind(source)
    .fetch_all(&mut **tx)
    .await?;
    replaced.written = rows.len();
    let mut came = Vec::new();
    for row in &rows {
        if row.try_get(2)? {
            came.push(named(row)?);
        }
    }
    Ok(came)
}

async fn mark_missing_as_delisted(
    tx: &mut ServiceTx,
    source: &str,
    class: AssetClass,
    tickers: &[&str],
) -> Result<Vec<(Ticker, String)>, StoreError> {
    let rows = query(
        "update barkeep.directory d
        set active = false, delisted_at = now(), source = $3, updated_at = now()
        where d.active and (d.asset_type = 'crypto') = ($1 = 'crypto')
            and not exists (select from unnest($2::text[]) as l (ticker) where l.ticker = d.ticker)
        returning d.ticker, d.name",
    )
    .bind(class_name(class))
    .bind(tickers)
    .bind(source)
    .fetch_all(&mut **tx)
    .await?;
    rows.iter().map(named).collect()
}

/// Tickers that disappeared, each with the one that appeared under the same name, if there is exactly one of either.
fn same_names(gone: &[(Ticker, String)], came: &[(Ticker, String)]) -> Vec<(Ticker, Ticker)> {
    let only_one = |tickers: &[(Ticker, String)]| {
        let mut by_name: HashMap<String, Option<Ticker>> = HashMap::new();
        for (ticker, name) in tickers.iter().filter(|(_, name)| !name.is_empty()) {
            let one = Some(ticker.clone());
            by_name.entry(name.to_lowercase()).and_modify(|other| *other = None).or_insert(one);
        }
        by_name
    };
    let came = only_one(came);
    let pair = |(name, old): (String, Option<Ticker>)| Some((old?, came.get(&name)?.clone()?));
    let mut pairs: Vec<_> = only_one(gone).into_iter().filter_map(pair).collect();
    pairs.sort();
    pairs
}

async fn note_renames(tx: &mut ServiceTx, renamed: &[(Ticker, Ticker)]) -> Result<(), StoreError> {
    query(
        "update barkeep.directory d set renamed_to = r.new, updated_at = now()
        from unnest($1::text[], $2::text[]) as r (old, new)
        where d.ticker = r.old and not d.active",
    )
    .bind(renamed.iter().map(|(old, _)| old.as_str()).collect::<Vec<_>>())
    .bind(renamed.iter().map(|(_, new)| new.as_str()).collect::<Vec<_>>())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Updates symbols from changed entries. Returns those that trade again.
async fn update_symbols(tx: &mut ServiceTx) -> Result<Vec<Ticker>, StoreError> {
    let rows = query(
        "with changed as (
            select s.id, s.delisted_at as was_delisted_at, d.delisted_at, d.asset_type, d.name, d.exchange
            from public.symbols s
            join barkeep.directory d on d.ticker = s.ticker
            where s.delisted_at is distinct from d.delisted_at
                or (s.description = '' and d.name <> '')
                or (s.exchange = '' and d.exchange <> '')
                or (s.asset_type = 'stock' and d.asset_type = 'etf')
            order by s.id
            for no key update of s
        )
        update public.symbols s
        set delisted_at = t.delisted_at,
            description = coalesce(nullif(s.description, ''), t.name),
            exchange = coalesce(nullif(s.exchange, ''), t.exchange),
            asset_type = case when s.asset_type = 'stock' and t.asset_type = 'etf' then 'etf' else s.asset_type end,
            updated_at = now()
        from changed t
        where s.id = t.id
        returning s.ticker, t.was_delisted_at is not null and s.delisted_at is null",
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut relisted = Vec::new();
    for row in &rows {
        if row.try_get(1)? {
            relisted.push(parsed(row, 0)?);
        }
    }
    Ok(relisted)
}

/// A message about a ticker that was listed once and isn't any more, or was renamed. `None`: it trades, or it was
/// never listed.
///
/// # Errors
/// If the database is unreachable or not migrated.
pub async fn known_as(database: &Database, ticker: &Ticker) -> Result<Option<String>, StoreError> {
    let mut tx = database.begin().await?;
    let row = query("select renamed_to, delisted_at from barkeep.directory where ticker = $1 and not active")
        .bind(ticker.as_str())
        .fetch_optional(&mut *tx)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let renamed_to: Option<String> = row.try_get(0)?;
    Ok(match (renamed_to, instant_or_none(&row, 1)?) {
        (Some(new), _) => Some(format!("{ticker} was renamed to {new}")),
        (None, Some(since)) => Some(format!("{ticker} is not listed since {}", since.strftime("%F"))),
        (None, None) => Some(format!("{ticker} is not listed any more")),
    })
}

/// Marks `ticker` as delisted according to an asset list: no bars are requested from now on.
///
/// # Errors
/// If the database rejects the statement or is unreachable.
pub async fn mark_delisted(database: &Database, source: &str, entry: &Entry) -> Result<(), StoreError> {
    let mut tx = database.begin().await?;
    query("select pg_advisory_xact_lock(hashtextextended('barkeep directory', 0))").execute(&mut *tx).await?;
    query(
        "insert into barkeep.directory as held (ticker, asset_type, name, exchange, active, delisted_at, source)
        values ($1, $2, $3, $4, false, now(), $5)
        on conflict (ticker) do update
        set active = false, delisted_at = coalesce(held.delisted_at, now()), source = excluded.source, updated_at = now()",
    )
    .bind(entry.ticker.as_str())
    .bind(entry.asset_type())
    .bind(&entry.name)
    .bind(entry.exchange())
    .bind(source)
    .execute(&mut *tx)
    .await?;
    update_symbols(&mut tx).await?;
    tx.commit().await?;
    Ok(())
}

fn named(row: &PgRow) -> Result<(Ticker, String), StoreError> {
    Ok((parsed(row, 0)?, row.try_get(1)?))
}

const fn class_name(class: AssetClass) -> &'static str {
    match class {
        AssetClass::Stock => "stock",
        AssetClass::Crypto => "crypto",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_line_of_the_built_in_list_is_an_entry_and_no_ticker_is_there_twice() {
        let lines: Vec<_> = built_in().collect();
        assert_eq!(lines.len(), BUILT_IN.lines().count() - 1);
        let mut seen = HashSet::new();
        for [ticker, asset_type, exchange, renamed_to, name] in &lines {
            let parsed: Ticker = ticker.parse().unwrap();
            assert_eq!(parsed.as_str(), *ticker, "canonical");
            assert!(seen.insert(ticker), "{ticker} twice");
            assert_eq!(*asset_type == "crypto", parsed.asset_class() == AssetClass::Crypto, "{ticker}");
            assert!(["stock", "etf", "crypto"].contains(asset_type), "{ticker} is {asset_type}");
            assert!(["NASDAQ", "NYSE", "ARCA", "BATS", "AMEX", "CRYPTO"].contains(exchange), "{ticker} at {exchange}");
            assert!(!name.is_empty() && name.trim() == *name, "{ticker} is called {name:?}");
            assert!(renamed_to.is_empty() || lines.iter().any(|line| line[0] == *renamed_to), "{ticker}");
        }
        let of = |kind: &str| lines.iter().filter(|line| line[1] == kind).count();
        assert!(of("stock") > 500 && of("etf") > 100 && of("crypto") > 30);
    }

    #[test]
    fn a_name_that_went_and_came_once_is_a_rename() {
        let of = |ticker: &str, name: &str| (ticker.parse::<Ticker>().unwrap(), name.to_owned());
        let gone = [of("SQ", "Block, Inc."), of("X", ""), of("AAA", "Twin"), of("BBB", "Twin"), of("CCC", "Gone")];
        let came = [of("XYZ", "BLOCK, INC."), of("Y", ""), of("DDD", "Twin"), of("NEW", "New")];
        assert_eq!(same_names(&gone, &came), [("SQ".parse().unwrap(), "XYZ".parse().unwrap())]);
    }
}
