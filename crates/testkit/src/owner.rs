//! Migrated databases, as each kind of owner that must work (DESIGN, "The database").
//! In: the kind. Out: a database of its own, connected as its owner, with two users in it. Holds: the owner is who logged in, not
//! a superuser in disguise; so what the schema forgets to grant is missed here.

use anyhow::Context;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use store::{Database, migrations};
use uuid::{Uuid, uuid};

use crate::{TestDatabase, template};

/// Two people, who are in every database of [`migrated`].
pub const ALICE: Uuid = uuid!("a11ce000-0000-4000-8000-000000000001");
pub const BOB: Uuid = uuid!("b0b00000-0000-4000-8000-000000000002");

/// Who owns a database and migrates it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The server's.
    Superuser,
    /// May make roles and databases, and owns this one.
    Plain,
    /// As a project of Supabase's: no superuser, the schema `auth` is another's, and whatever the owner makes is
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

    /// The role; `None`: the one that the server's URL names.
    fn role(self) -> Option<&'static str> {
        match self {
            Self::Superuser => None,
            Self::Plain => Some("barkeep_test_plain"),
            Self::Supabase => Some("barkeep_test_supabase"),
        }
    }

    /// What a superuser does before the owner comes. Roles belong to the server, where another run may have made them.
    fn shape(self) -> &'static str {
        match self {
            Self::Superuser => "",
            Self::Plain => include_str!("owner/plain.sql"),
            Self::Supabase => include_str!("owner/supabase.sql"),
        }
    }
}

/// A database that exists as long as this does.
#[derive(Debug)]
pub struct OwnedDatabase {
    /// Connected as its owner, with 12 connections.
    pub database: Database,
    /// A superuser's, for psql and sqlx.
    pub url: String,
    /// The owner's, for psql and sqlx.
    pub owner_url: String,
    /// Dropped last.
    pub guard: TestDatabase,
}

/// A database migrated as that kind of owner, with [`ALICE`] and [`BOB`] in it.
///
/// # Errors
/// Where the server can't be opened, or the schema can't be made.
pub async fn migrated(owner: Owner) -> anyhow::Result<OwnedDatabase> {
    let name = format!("migrated_{}", owner.name());
    let fingerprint = format!("{} {}", migrations::fingerprint(), owner.shape());
    let template = template(&name, &fingerprint, async |url| {
        prepare(owner, &url).await?;
        let database = Database::connect(&as_owner(owner, &url)?, 2).await?;
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
    copy(owner, &template).await
}

/// A database as that kind of owner finds it before the first migration.
///
/// # Errors
/// Where the server can't be opened.
pub async fn unmigrated(owner: Owner) -> anyhow::Result<OwnedDatabase> {
    let name = format!("unmigrated_{}", owner.name());
    let template = template(&name, owner.shape(), async |url| prepare(owner, &url).await).await?;
    copy(owner, &template).await
}

async fn prepare(owner: Owner, url: &str) -> anyhow::Result<()> {
    let mut superuser = PgConnection::connect(url).await?;
    sqlx::raw_sql(owner.shape()).execute(&mut superuser).await.context("could not shape the database")?;
    give(owner, &mut superuser).await?;
    Ok(superuser.close().await?)
}

async fn copy(owner: Owner, template: &str) -> anyhow::Result<OwnedDatabase> {
    let guard = TestDatabase::create(Some(template)).await?;
    if owner.role().is_some() {
        // A copy belongs to whoever made it.
        let mut superuser = PgConnection::connect(&guard.url).await?;
        give(owner, &mut superuser).await?;
        superuser.close().await?;
    }
    let owner_url = as_owner(owner, &guard.url)?;
    let database = Database::connect(&owner_url, 12).await?;
    Ok(OwnedDatabase { database, url: guard.url.clone(), owner_url, guard })
}

/// Makes `owner` the owner of the database that `superuser` is connected to.
async fn give(owner: Owner, superuser: &mut PgConnection) -> anyhow::Result<()> {
    let Some(role) = owner.role() else { return Ok(()) };
    let name: String = sqlx::query_scalar("select quote_ident(current_database())").fetch_one(&mut *superuser).await?;
    let statement = format!("alter database {name} owner to {role}");
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(superuser).await.context("could not change the owner")?;
    Ok(())
}

/// The same database's URL for its owner. Roles of this module have passwords: peer authentication knows one role only.
fn as_owner(owner: Owner, superuser_url: &str) -> anyhow::Result<String> {
    match owner.role() {
        Some(role) => crate::cluster::url_for(superuser_url, role, "barkeep"),
        None => Ok(superuser_url.to_owned()),
    }
}
