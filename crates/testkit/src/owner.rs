//! Migrated databases for each kind of owner that is supported.
//! In: the kind. Out: a database, connected as its owner, with two users in it. Holds: the connection is logged in as the owner,
//! not as a superuser who has switched to it; so tests fail for privileges that the schema forgets to grant.

use anyhow::Context;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use store::{Database, migrations};
use uuid::{Uuid, uuid};

use crate::{TestDatabase, template};

/// Two users in every database of [`migrated`].
pub const ALICE: Uuid = uuid!("a11ce000-0000-4000-8000-000000000001");
pub const BOB: Uuid = uuid!("b0b00000-0000-4000-8000-000000000002");

/// Who owns a database and migrates it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A superuser.
    Superuser,
    /// An ordinary role that can create roles and databases, and owns this one.
    Plain,
    /// As in a Supabase project: not a superuser, the schema `auth` belongs to another role, and what the owner creates is
    /// granted to everybody by default.
    Supabase,
}

impl Owner {
    pub const ALL: [Self; 3] = [Self::Superuser, Self::Plain, Self::Supabase];

    fn name(self) -> &'static str {
        match self {
            Self::Superuser => "superuser",
            Self::Plain => "plain",
            Self::Supabase => "supabase",
        }
    }

    /// The role; `None` is the one in the server's URL.
    fn role(self) -> Option<&'static str> {
        match self {
            Self::Superuser => None,
            Self::Plain => Some("barkeep_test_plain"),
            Self::Supabase => Some("barkeep_test_supabase"),
        }
    }

    /// SQL that a superuser runs first. Roles belong to the server, so another run may have created them already.
    fn setup_sql(self) -> &'static str {
        match self {
            Self::Superuser => "",
            Self::Plain => include_str!("owner/plain.sql"),
            Self::Supabase => include_str!("owner/supabase.sql"),
        }
    }
}

/// A database that is dropped with this guard.
#[derive(Debug)]
pub struct OwnedDatabase {
    /// Connected as its owner, with 12 connections.
    pub database: Database,
    /// A superuser's URL, for psql and sqlx.
    pub url: String,
    /// The owner's URL, for psql and sqlx.
    pub owner_url: String,
    /// Dropped last.
    pub guard: TestDatabase,
}

/// A database migrated by that kind of owner, with [`ALICE`] and [`BOB`] in it.
///
/// # Errors
/// If the server can't be opened, or the migrations fail.
pub async fn migrated(owner: Owner) -> anyhow::Result<OwnedDatabase> {
    let name = format!("migrated_{}", owner.name());
    let fingerprint = format!("{} {}", migrations::fingerprint(), owner.setup_sql());
    let template = template(&name, &fingerprint, async |url| {
        prepare(owner, &url).await?;
        let database = Database::connect(&owner_url(owner, &url)?, 2).await?;
        migrations::migrate(&database).await?;
        database.close().await;
        let mut superuser = PgConnection::connect(&url).await?;
        for (id, email) in [(ALICE, "alice@example.com"), (BOB, "bob@example.com")] {
            let insert = "insert into auth.users (id, email) values ($1, $2)";
            sqlx::query(insert).bind(id).bind(email).execute(&mut superuser).await?;
        }
        Ok(superuser.close().await?)
    })
    .await?;
    copy_template(owner, &template).await
}

/// A database of that kind of owner before the first migration.
///
/// # Errors
/// If the server can't be opened.
pub async fn unmigrated(owner: Owner) -> anyhow::Result<OwnedDatabase> {
    let name = format!("unmigrated_{}", owner.name());
    let template = template(&name, owner.setup_sql(), async |url| prepare(owner, &url).await).await?;
    copy_template(owner, &template).await
}

async fn prepare(owner: Owner, url: &str) -> anyhow::Result<()> {
    let mut superuser = PgConnection::connect(url).await?;
    sqlx::raw_sql(owner.setup_sql()).execute(&mut superuser).await.context("could not set up the database")?;
    set_owner(owner, &mut superuser).await?;
    Ok(superuser.close().await?)
}

async fn copy_template(owner: Owner, template: &str) -> anyhow::Result<OwnedDatabase> {
    let guard = TestDatabase::create_for(owner.role(), Some(template)).await?;
    let owner_url = owner_url(owner, &guard.url)?;
    let database = Database::connect(&owner_url, 12).await?;
    Ok(OwnedDatabase { database, url: guard.url.clone(), owner_url, guard })
}

/// Makes `owner` the owner of the database that `superuser` is connected to.
async fn set_owner(owner: Owner, superuser: &mut PgConnection) -> anyhow::Result<()> {
    let Some(role) = owner.role() else { return Ok(()) };
    let name: String = sqlx::query_scalar("select quote_ident(current_database())").fetch_one(&mut *superuser).await?;
    let statement = format!("alter database {name} owner to {role}");
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(superuser).await.context("could not change the owner")?;
    Ok(())
}

/// The same database's URL for its owner. The roles of this module have passwords, since peer authentication works for one
/// role only.
fn owner_url(owner: Owner, superuser_url: &str) -> anyhow::Result<String> {
    match owner.role() {
        Some(role) => crate::cluster::url_for(superuser_url, role, "barkeep"),
        None => Ok(superuser_url.to_owned()),
    }
}
