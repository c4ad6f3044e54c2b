//! `barkeep token`.

use std::process::ExitCode;

use clap::Args;
use store::users;

use super::output::print_line;
use crate::{
    config::{CommonOptions, Config},
    database::DatabaseHandle,
};
use server::auth::Keys;

#[derive(Args, Debug)]
pub(super) struct Token {
    /// E-mail address of the user, who is created if there is none and the database isn't Supabase's
    #[arg(long, value_name = "EMAIL")]
    user: String,
    /// Expire the token after this many days
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(i64).range(1..=3650))]
    days: i64,
}

impl Token {
    pub(super) async fn run(self, common: &CommonOptions) -> anyhow::Result<ExitCode> {
        let config = Config::load(common)?;
        let keys = Keys::open(config.jwt_secret.as_ref(), &config.data_dir)?;
        let handle = DatabaseHandle::open(&config, 2).await?;
        let user = async {
            handle.migrate_if_private().await?;
            anyhow::Ok(users::by_email(&handle.database, &self.user).await?)
        }
        .await;
        let closed = handle.close().await;
        let token = keys.token(user?, self.user.trim(), self.days * 86_400)?;
        closed?;
        print_line(if common.json { serde_json::json!({ "token": token }).to_string() } else { token })?;
        Ok(ExitCode::SUCCESS)
    }
}
