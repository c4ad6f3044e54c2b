//! `barkeep user add|list|remove|password`: people who sign in with an e-mail address and a password.

use std::{io::Read as _, process::ExitCode};

use anyhow::{Context as _, ensure};
use clap::{Args, Subcommand};
use store::{people, users};

use super::{output::say, table};
use crate::{
    config::{Common, Config},
    home::Home,
};
use server::auth::passwords;

#[derive(Args, Debug)]
pub(super) struct User {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Adds somebody, or gives somebody a password who has none
    Add(Named),
    /// Everybody there is
    List,
    /// Removes somebody, with everything that is theirs
    Remove {
        /// Their e-mail address
        email: String,
    },
    /// Gives somebody another password; their browsers are signed out
    Password(Named),
}

#[derive(Args, Debug)]
struct Named {
    /// Their e-mail address
    email: String,
    /// Reads the password from standard input instead of asking for it
    #[arg(long)]
    password_stdin: bool,
}

impl User {
    pub(super) async fn run(self, common: &Common) -> anyhow::Result<ExitCode> {
        let config = Config::load(common)?;
        let home = Home::open(&config, 2).await?;
        let done = async {
            home.migrate_own().await?;
            self.act(&home, common.json).await
        }
        .await;
        let closed = home.close().await;
        done?;
        closed?;
        Ok(ExitCode::SUCCESS)
    }

    async fn act(self, home: &Home, json: bool) -> anyhow::Result<()> {
        let database = &home.database;
        users::ensure_ours(database).await?;
        match self.action {
            Action::Add(named) => {
                let has_one = people::password_of(database, &named.email).await?.is_some();
                ensure!(
                    !has_one,
                    "{} is there already: barkeep user password {} gives another password",
                    named.email,
                    named.email
                );
                // An address that is none is said to be before anybody types a password.
                let user = users::by_email(database, &named.email).await?;
                people::set_password(database, user, &passwords::hash(&named.password()?)?).await?;
                say(format!("{} can sign in now", named.email))
            }
            Action::Password(named) => {
                let known = people::all(database).await?;
                let person = known.iter().find(|person| person.email.eq_ignore_ascii_case(named.email.trim()));
                let person = person.with_context(|| {
                    format!("there is no user {}: barkeep user add {} makes one", named.email, named.email)
                })?;
                people::set_password(database, person.id, &passwords::hash(&named.password()?)?).await?;
                say(format!("{} has another password; browsers have to sign in again", named.email))
            }
            Action::Remove { email } => {
                ensure!(
                    people::remove(database, &email).await?,
                    "there is no user {email}: barkeep user list shows all"
                );
                say(format!("{email} is gone, with everything that was theirs"))
            }
            Action::List => {
                let all = people::all(database).await?;
                if json {
                    return say(serde_json::to_string_pretty(&all)?);
                }
                let rows: Vec<_> = all
                    .iter()
                    .map(|person| {
                        let since = person.password_since.map_or_else(|| "none".to_owned(), |at| at.to_string());
                        [person.email.clone(), since, person.symbols.to_string(), person.created_at.to_string()]
                    })
                    .collect();
                say(table::render(["email", "password since", "symbols", "made"], [false, false, true, false], &rows))
            }
        }
    }
}

impl Named {
    fn password(&self) -> anyhow::Result<String> {
        if self.password_stdin {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).context("no password could be read from standard input")?;
            return Ok(text.trim_end_matches(['\r', '\n']).to_owned());
        }
        let ask = |what: &str| {
            rpassword::prompt_password(what).context("there is no terminal to ask for a password: use --password-stdin")
        };
        let password = ask("Password: ")?;
        ensure!(password == ask("Once more: ")?, "the two passwords are not the same");
        Ok(password)
    }
}
