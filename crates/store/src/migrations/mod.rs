//! The schema: plain timestamped SQL files, applied once each and in order.
//!
//! `supabase db push --workdir crates/store` reads the same folder. Both keep a ledger; a migration in either of them
//! is not applied again. A database whose ledger doesn't match the files (`ledger`) is refused and left unchanged.

mod ledger;

use crate::{
    Database, StoreError,
    statement::{query, query_scalar},
};

use ledger::Ledgers;
pub use ledger::check;

macro_rules! migrations {
    ($($name:literal),+ $(,)?) => {
        /// Version and name, and the statements.
        const MIGRATIONS: &[(&str, &str)] = &[
            $(($name, include_str!(concat!("../../supabase/migrations/", $name, ".sql")))),+
        ];
    };
}

migrations![
    "20261201000100_roles_and_users",
    "20261201000200_market_time",
    "20261201000300_symbols",
    "20261201000400_directory",
    "20261201000500_bars",
    "20261201000600_definitions",
    "20261201000700_interest",
    "20261201000800_coverage",
    "20261201000900_gaps",
    "20261201001000_queue",
    "20261201001100_claims",
    "20261201001200_outcomes",
    "20261201001300_rereads",
    "20261201001400_session_changes",
    "20261201001500_budgets",
    "20261201001600_provider_health",
    "20261201001700_people",
    "20261201001800_series_coverage",
    "20261201001900_monitoring",
    "20261201002000_schedule",
    "20261201002100_access",
    "20261201002200_seed",
];

/// Barkeep's own ledger: here rather than in a migration, since it records which of them are applied.
const LEDGER: &str = "
    create schema if not exists barkeep;
    create table if not exists barkeep.migrations (
        version text primary key,
        name text not null,
        -- SHA-256 of the file, in hexadecimal.
        checksum text not null,
        -- Whether programs that don't know this migration still work with it.
        compatible boolean not null default false,
        applied_at timestamptz not null default now()
    );
    revoke all on barkeep.migrations from public;
    alter table barkeep.migrations enable row level security;
";

/// Revokes access to the ledger as the migrations do for every other table, once the roles exist.
const LEDGER_ACCESS: &str = "
    revoke all on barkeep.migrations from public, anon, authenticated;
    grant select, insert, update, delete on barkeep.migrations to service_role;
    alter table barkeep.migrations force row level security;
    drop policy if exists service on barkeep.migrations;
    create policy service on barkeep.migrations for all to service_role, current_user using (true) with check (true);
";

/// Result of [`migrate`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migrated {
    /// Names of the migrations applied now.
    pub applied: Vec<String>,
    /// Where the planner's schedule is shown: `pg_cron` or `in-process`.
    pub schedule: String,
    /// Versions that Supabase's ledger lacks although they are applied: the arguments for `supabase migration
    /// repair`. Empty if there is no such ledger.
    pub unknown_to_supabase: Vec<String>,
}

/// Brings the schema up to date and fills the sessions of every calendar and the built-in directory.
///
/// # Errors
/// If a migration fails, with its name; all migrations are one transaction, so nothing is half applied. And as
/// [`check`].
pub async fn migrate(database: &Database) -> Result<Migrated, StoreError> {
    let mut tx = database.begin().await?;
    query("select pg_advisory_xact_lock(hashtextextended('barkeep migrate', 0))").execute(&mut *tx).await?;
    let ledgers = Ledgers::read(&mut tx).await?;
    ledgers.agree()?;
    sqlx::raw_sql(LEDGER).execute(&mut *tx).await?;

    let mut applied = Vec::new();
    for (name, statements) in MIGRATIONS {
        let version = version_of(name);
        if ledgers.ours_has(version) {
            continue;
        }
        if !ledgers.supabases_has(version) {
            sqlx::raw_sql(*statements).execute(&mut *tx).await.map_err(|error| in_migration(name, error))?;
            applied.push((*name).to_owned());
        }
        query("insert into barkeep.migrations (version, name, checksum, compatible) values ($1, $2, $3, $4)")
            .bind(version)
            .bind(name)
            .bind(ledger::checksum(statements))
            .bind(ledger::is_compatible(statements))
            .execute(&mut *tx)
            .await?;
    }
    sqlx::raw_sql(LEDGER_ACCESS).execute(&mut *tx).await?;
    let schedule: String = query_scalar("select barkeep.install_schedule()").fetch_one(&mut *tx).await?;
    crate::market_sessions::fill(&mut tx).await?;
    crate::directory::fill_built_in(&mut tx).await?;
    tx.commit().await?;

    let unknown_to_supabase = match &ledgers.supabases {
        Some(known) => {
            let versions = MIGRATIONS.iter().map(|(name, _)| version_of(name));
            versions.filter(|version| !known.contains(*version)).map(str::to_owned).collect()
        }
        None => Vec::new(),
    };
    Ok(Migrated { applied, schedule, unknown_to_supabase })
}

/// Names of the migrations that `database` still lacks.
///
/// # Errors
/// If the database can't be queried.
pub async fn pending(database: &Database) -> Result<Vec<String>, StoreError> {
    let ledgers = Ledgers::read(&mut database.begin().await?).await?;
    let lacking = MIGRATIONS.iter().map(|(name, _)| *name).filter(|name| !ledgers.ours_has(version_of(name)));
    Ok(lacking.map(str::to_owned).collect())
}

/// A hash of everything that a migrated database contains, as a key for caches of such databases.
pub fn fingerprint() -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    (MIGRATIONS, LEDGER, LEDGER_ACCESS).hash(&mut hasher);
    crate::directory::BUILT_IN.hash(&mut hasher);
    hasher.finish()
}

fn version_of(name: &str) -> &str {
    name.split_once('_').map_or(name, |(version, _)| version)
}

fn in_migration(name: &str, error: sqlx::Error) -> StoreError {
    match StoreError::from(error) {
        StoreError::Unreachable(why) => StoreError::Unreachable(why),
        error => StoreError::Refused(format!(
            "migration {name} failed and nothing was changed: {error}. The owner of the database must be allowed to \
             create schemas and roles in it"
        )),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn every_file_of_the_folder_is_applied_in_the_order_of_its_name() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/supabase/migrations");
        let mut files: Vec<_> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        files.sort();
        let listed: Vec<_> = MIGRATIONS.iter().map(|(name, _)| format!("{name}.sql")).collect();
        assert_eq!(listed, files);
    }

    #[test]
    fn no_migration_holds_what_one_of_the_two_migrators_cannot_run() {
        for (name, statements) in MIGRATIONS {
            let lower = statements.to_lowercase();
            for refused in ["concurrently", "from stdin", "\n\\"] {
                assert!(!lower.contains(refused), "{name} holds {refused:?}");
            }
        }
    }
}
