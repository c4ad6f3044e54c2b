//! `barkeep sign-in`: a link that signs a browser in, once.

use std::{net::SocketAddr, process::ExitCode};

use clap::Args;
use serde_json::json;
use store::{processes, users};
use uuid::Uuid;

use super::{output::say, user};
use crate::{
    config::{Common, Config},
    home::Home,
};

#[derive(Args, Debug)]
pub(super) struct SignIn {
    /// Whom [default: the local user]
    #[arg(long, value_name = "EMAIL")]
    user: Option<String>,
}

impl SignIn {
    pub(super) async fn run(self, common: &Common) -> anyhow::Result<ExitCode> {
        let config = Config::load(common)?;
        let home = Home::open(&config, 2).await?;
        let made = async {
            home.migrate_own().await?;
            let user = user::of(&home, self.user.as_deref()).await?;
            // Where it listens, if it runs; else where it would.
            let address = processes::server(&home.database).await?.unwrap_or(config.listen);
            match &config.public_url {
                Some(url) => link_to(&home, url.as_str().trim_end_matches('/'), user).await,
                None => link(&home, address, user).await,
            }
        }
        .await;
        let closed = home.close().await;
        let link = made?;
        closed?;
        if common.json {
            say(json!({ "url": link }))?;
        } else {
            say(link)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A link to the server at `address` that signs `user` in.
pub(super) async fn link(home: &Home, address: SocketAddr, user: Uuid) -> anyhow::Result<String> {
    let address = match address.ip().is_unspecified() {
        true => SocketAddr::from(([127, 0, 0, 1], address.port())),
        false => address,
    };
    link_to(home, &format!("http://{address}"), user).await
}

async fn link_to(home: &Home, base: &str, user: Uuid) -> anyhow::Result<String> {
    anyhow::ensure!(users::exists(&home.database, user).await?, "there is no such user in this database");
    let code = server::auth::code_for(&home.database, user).await?;
    Ok(format!("{base}/sign-in?code={code}"))
}
