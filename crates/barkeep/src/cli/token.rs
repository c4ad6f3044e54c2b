//! `barkeep token`.

use std::process::ExitCode;

use clap::Args;
use store::users;

use super::output::say;
use crate::{
    config::{Common, Config},
    home::Home,
};
use server::auth::Keys;

#[derive(Args, Debug)]
pub(super) struct Token {
    /// Whose; made where Barkeep keeps the users itself and has no such one
    #[arg(long, value_name = "EMAIL")]
    user: String,
    /// For how many days it is good
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(i64).range(1..=3650))]
    days: i64,
}

impl Token {
    pub(super) async fn run(self, common: &Common) -> anyhow::Result<ExitCode> {
        let config = Config::load(common)?;
        let keys = Keys::open(config.jwt_secret.as_ref(), &config.data_dir)?;
        let home = Home::open(&config, 2).await?;
        let user = async {
            home.migrate_own().await?;
            anyhow::Ok(users::by_email(&home.database, &self.user).await?)
        }
        .await;
        let closed = home.close().await;
        let token = keys.token(user?, self.user.trim(), self.days * 86_400)?;
        closed?;
        say(if common.json { serde_json::json!({ "token": token }).to_string() } else { token })?;
        Ok(ExitCode::SUCCESS)
    }
}
