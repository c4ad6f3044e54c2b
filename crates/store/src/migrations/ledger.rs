//! The ledger: which migrations a database has, and whether they match this program's.
//!
//! Until the first release migrations are edited in place, so a version alone is not enough: Barkeep's own ledger
//! stores each file's checksum too. A migration after the first release may have a line that begins with `--
//! Compatible:` and says why programs that don't know it still work with it; only such a migration may be ahead of
//! the program.
//!
//! Supabase's ledger also contains the migrations of the project's owner, which are ignored, and no checksums: only
//! versions that Barkeep once had, and no longer has, are checked there.

use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};
use sqlx::Row;

use super::{MIGRATIONS, version_of};
use crate::{Database, ServiceTx, StoreError, statement::query};

/// Versions that development databases may have. No file may use one of them again.
const RETIRED: [&str; 27] = [
    "20261124000100",
    "20261124000200",
    "20261124000300",
    "20261124000400",
    "20261124000500",
    "20261124000600",
    "20261124000610",
    "20261124000700",
    "20261124000800",
    "20261124000900",
    "20261124001000",
    "20261124001100",
    "20261124001200",
    "20261125000100",
    "20261125000200",
    "20261125000300",
    "20261125000900",
    "20261126000100",
    "20261126000200",
    "20261126000300",
    "20261126000400",
    "20261126000410",
    "20261126000500",
    "20261126000600",
    "20261126000700",
    "20261126000800",
    "20261126000900",
];

/// Whether this program can use `database`: it has no migration that this program lacks or has with other content,
/// except compatible ones. A database that lacks migrations, or all of them, can be used.
///
/// # Errors
/// [`StoreError::OtherSchema`] if it can't. And if the database can't be queried.
pub async fn check(database: &Database) -> Result<(), StoreError> {
    Ledgers::read(&mut database.begin().await?).await?.agree()
}

/// The contents of a database's ledgers.
pub(super) struct Ledgers {
    ours: Vec<Applied>,
    /// `None`: there is no such ledger.
    pub(super) supabases: Option<BTreeSet<String>>,
}

struct Applied {
    version: String,
    name: String,
    /// `None`: from before checksums were stored.
    checksum: Option<String>,
    compatible: bool,
}

impl Ledgers {
    /// Works with any columns: an older program may have created the tables.
    pub(super) async fn read(tx: &mut ServiceTx) -> Result<Self, StoreError> {
        let there = query(
            "select coalesce(bool_or(n.nspname = 'barkeep'), false),
                coalesce(bool_or(n.nspname = 'supabase_migrations' and has_schema_privilege(n.oid, 'usage')
                    and has_table_privilege(c.oid, 'select')), false)
            from pg_class c join pg_namespace n on n.oid = c.relnamespace
            where (n.nspname, c.relname) in (('barkeep', 'migrations'), ('supabase_migrations', 'schema_migrations'))",
        )
        .fetch_one(&mut **tx)
        .await?;
        let mut ours = Vec::new();
        if there.try_get(0)? {
            let rows = query(
                "select version, coalesce(fields ->> 'name', ''), fields ->> 'checksum',
                    coalesce((fields ->> 'compatible')::boolean, false)
                from (select m.version, to_jsonb(m) as fields from barkeep.migrations m) applied
                order by version",
            )
            .fetch_all(&mut **tx)
            .await?;
            for row in &rows {
                ours.push(Applied {
                    version: row.try_get(0)?,
                    name: row.try_get(1)?,
                    checksum: row.try_get(2)?,
                    compatible: row.try_get(3)?,
                });
            }
        }
        let supabases = match there.try_get(1)? {
            true => {
                let statement = "select version from supabase_migrations.schema_migrations";
                let rows = query(statement).fetch_all(&mut **tx).await?;
                Some(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
            }
            false => None,
        };
        Ok(Self { ours, supabases })
    }

    pub(super) fn ours_has(&self, version: &str) -> bool {
        self.ours.iter().any(|applied| applied.version == version)
    }

    pub(super) fn supabases_has(&self, version: &str) -> bool {
        self.supabases.as_ref().is_some_and(|versions| versions.contains(version))
    }

    pub(super) fn agree(&self) -> Result<(), StoreError> {
        let newest = MIGRATIONS.last().map_or("", |(name, _)| version_of(name));
        for Applied { version, name, checksum, compatible } in &self.ours {
            let known = MIGRATIONS.iter().find(|(name, _)| version_of(name) == version);
            let what = match known {
                Some((_, statements)) if checksum.as_ref() == Some(&self::checksum(statements)) => continue,
                Some((name, _)) => format!("this database was made by a Barkeep with another migration {name}"),
                None if version.as_str() > newest && *compatible => continue,
                None if version.as_str() > newest => {
                    format!("this database was migrated by a newer Barkeep, to {version}_{name}")
                }
                None => older(version),
            };
            return Err(refused(what));
        }
        match RETIRED.iter().find(|version| self.supabases_has(version)) {
            Some(version) => Err(refused(older(version))),
            None => Ok(()),
        }
    }
}

fn older(version: &str) -> String {
    format!("this database was made by an older Barkeep, with the migration {version} that this one doesn't have")
}

fn refused(what: String) -> StoreError {
    let remedy = "use the Barkeep that made it, or name an empty database (DATABASE_URL, --database-url)".to_owned();
    StoreError::OtherSchema { what, remedy }
}

/// SHA-256 of a file, in hexadecimal.
pub(super) fn checksum(statements: &str) -> String {
    use std::fmt::Write as _;
    Sha256::digest(statements.as_bytes()).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Whether the migration declares that programs that don't know it still work with it.
pub(super) fn is_compatible(statements: &str) -> bool {
    statements.lines().any(|line| line.starts_with("-- Compatible:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_migration_is_compatible_where_it_says_so() {
        assert!(is_compatible("-- A table.\n-- Compatible: unused by older programs.\ncreate table barkeep.more ();"));
        assert!(!is_compatible("-- Not Compatible: of course not.\ncreate table barkeep.more ();"));
    }

    #[test]
    fn no_version_is_used_again() {
        for (name, _) in MIGRATIONS {
            assert!(RETIRED.iter().all(|retired| version_of(name) > *retired), "{name}");
        }
    }
}
