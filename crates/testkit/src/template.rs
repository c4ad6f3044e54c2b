//! Template databases, which are filled once and copied for every test.
//! In: a name, a fingerprint of the content, and a function that fills it. Out: the name of a finished database without connections.
//! Holds: of many processes that need a template at once, one fills it; a failed attempt leaves nothing that looks like a template.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, ensure};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::cluster::{Server, shared};
use crate::names::{drop_database, quoted};

/// The template of this name and fingerprint, filled by `fill` (which gets its URL, as superuser) if it isn't there yet.
/// `fingerprint` must change with the content, for example the migrations' text. Templates of the same name and another
/// fingerprint are dropped.
///
/// # Errors
/// What `fill` returns, and what the server says. `name` must be 1 to 30 of `a-z 0-9 _`.
pub async fn template<F, Fut>(name: &str, fingerprint: &str, fill: F) -> anyhow::Result<String>
where
    F: FnOnce(String) -> Fut,
    Fut: Future<Output = anyhow::Result<()>>,
{
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    ensure!((1..=30).contains(&name.len()) && name.bytes().all(allowed), "{name:?} isn't a valid template name");
    let server = shared().await?;
    let mut hasher = DefaultHasher::new();
    fingerprint.hash(&mut hasher);
    let prefix = format!("tpl_{name}_");
    let finished = format!("{prefix}{:016x}", hasher.finish());

    if finished_templates().get(&prefix).is_some_and(|name| *name == finished) {
        return Ok(finished);
    }

    let mut admin = server.connect().await?;
    // Released when the connection ends, however it does.
    sqlx::query("select pg_advisory_lock(hashtextextended($1, 0))").bind(&prefix).execute(&mut admin).await?;
    let existing: Vec<String> =
        sqlx::query_scalar("select datname::text from pg_database where starts_with(datname, $1)")
            .bind(&prefix)
            .fetch_all(&mut admin)
            .await?;
    if !existing.contains(&finished) {
        // Only sixteen hexadecimal digits may follow, since another template's name may begin with this one.
        let same_name = |other: &&String| is_template_suffix(&other[prefix.len()..]);
        for other in existing.iter().filter(same_name) {
            drop_database(&mut admin, other).await?;
        }
        fill_template(server, &mut admin, &prefix, &finished, fill).await?;
    }
    admin.close().await?;
    finished_templates().insert(prefix, finished.clone());
    Ok(finished)
}

/// The templates that this process knows to be there, by their prefixes: it looks once and not for every test.
fn finished_templates() -> MutexGuard<'static, HashMap<String, String>> {
    static FINISHED: LazyLock<Mutex<HashMap<String, String>>> = LazyLock::new(Mutex::default);
    FINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether this is what follows the prefix: a fingerprint's hash, or the suffix of a template that is being filled.
fn is_template_suffix(suffix: &str) -> bool {
    suffix == UNFINISHED || suffix.len() == 16 && suffix.bytes().all(|b| b.is_ascii_hexdigit())
}

const UNFINISHED: &str = "unfinished";

async fn fill_template<F, Fut>(
    server: &Server,
    admin: &mut PgConnection,
    prefix: &str,
    finished: &str,
    fill: F,
) -> anyhow::Result<()>
where
    F: FnOnce(String) -> Fut,
    Fut: Future<Output = anyhow::Result<()>>,
{
    let unfinished = format!("{prefix}{UNFINISHED}");
    drop_database(admin, &unfinished).await?;
    admin.execute(AssertSqlSafe(format!("create database {} template template0", quoted(&unfinished)))).await?;
    fill(server.url(&unfinished)).await.with_context(|| format!("could not fill the template {finished}"))?;
    let statements = [
        // A database can be copied only without connections.
        format!("alter database {} allow_connections false", quoted(&unfinished)),
        format!("select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = '{unfinished}'"),
        format!("alter database {} rename to {}", quoted(&unfinished), quoted(finished)),
    ];
    for statement in statements {
        admin.execute(AssertSqlSafe(statement)).await.with_context(|| format!("could not finish {finished}"))?;
    }
    Ok(())
}
