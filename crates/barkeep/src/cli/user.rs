//! `barkeep user add|list|remove|password`: users who sign in with an e-mail address and a password.

use std::{io::Read as _, process::ExitCode};

use anyhow::{Context as _, ensure};
use clap::{Args, Subcommand};
use store::{accounts, users};

use super::{output::print_line, table};
use crate::{
    config::{CommonOptions, Config},
    database::DatabaseHandle,
};
use server::auth::passwords;

#[derive(Args, Debug)]
pub(super) struct User {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Add a user, or set the password of one who has none
    Add(Credentials),
    /// List users
    List,
    /// Remove a user and all of the user's data
    Remove {
        /// E-mail address of the user
        email: String,
    },
    /// Change a user's password, and sign out the user's browsers
    Password(Credentials),
}

#[derive(Args, Debug)]
struct Credentials {
    /// E-mail address of the user
    email: String,
    /// Read the password from standard input instead of asking for it
    #[arg(long)]
    password_stdin: bool,
}

impl User {
    pub(super) async fn run(self, common: &CommonOptions) -> anyhow::Result<ExitCode> {
        let config = Config::load(common)?;
        let handle = DatabaseHandle::open(&config, 2).await?;
        let applied = async {
            handle.migrate_if_private().await?;
            self.apply(&handle, common.json).await
        }
        .await;
        let closed = handle.close().await;
        applied?;
        closed?;
        Ok(ExitCode::SUCCESS)
    }

    async fn apply(self, handle: &DatabaseHandle, json: bool) -> anyhow::Result<()> {
        let database = &handle.database;
        users::ensure_ours(database).await?;
        match self.action {
            Action::Add(credentials) => {
                let has_password = accounts::password_of(database, &credentials.email).await?.is_some();
                ensure!(
                    !has_password,
                    "user {} already exists: change the password with `barkeep user password {}`",
                    credentials.email,
                    credentials.email
                );
                // Before the password is asked for, so that an invalid address is reported first.
                let user = users::by_email(database, &credentials.email).await?;
                accounts::set_password(database, user, &passwords::hash(&credentials.password()?)?).await?;
                print_line(format!("Added {}, who can now sign in", credentials.email))
            }
            Action::Password(credentials) => {
                let known = accounts::all(database).await?;
                let person = known.iter().find(|person| person.email.eq_ignore_ascii_case(credentials.email.trim()));
                let person = person.with_context(|| {
                    format!("there is no user {0}: add one with `barkeep user add {0}`", credentials.email)
                })?;
                accounts::set_password(database, person.id, &passwords::hash(&credentials.password()?)?).await?;
                print_line(format!("Changed the password of {}; browsers must sign in again", credentials.email))
            }
            Action::Remove { email } => {
                ensure!(
                    accounts::remove(database, &email).await?,
                    "there is no user {email}: list all with `barkeep user list`"
                );
                print_line(format!("Removed {email} and all of the user's data"))
            }
            Action::List => {
                let all = accounts::all(database).await?;
                if json {
                    return print_line(serde_json::to_string_pretty(&all)?);
                }
                let rows: Vec<_> = all
                    .iter()
                    .map(|person| {
                        let password_set = person.password_since.map_or_else(|| "none".to_owned(), |at| at.to_string());
                        [person.email.clone(), password_set, person.symbols.to_string(), person.created_at.to_string()]
                    })
                    .collect();
                print_line(table::render(
                    ["email", "password set", "symbols", "created"],
                    [false, false, true, false],
                    &rows,
                ))
            }
        }
    }
}

impl Credentials {
    fn password(&self) -> anyhow::Result<String> {
        if self.password_stdin {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).context("could not read the password from standard input")?;
            return Ok(text.trim_end_matches(['\r', '\n']).to_owned());
        }
        let ask = |prompt: &str| {
            rpassword::prompt_password(prompt)
                .context("there is no terminal to ask for the password on: use --password-stdin")
        };
        let password = ask("Password: ")?;
        ensure!(password == ask("Repeat password: ")?, "the passwords don't match");
        Ok(password)
    }
}
