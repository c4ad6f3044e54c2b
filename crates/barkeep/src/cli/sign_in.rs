//! `barkeep sign-in`: a one-time link that signs a browser in.

use std::{net::SocketAddr, process::ExitCode};

use clap::Args;
use serde_json::json;
use store::{processes, users};
use uuid::Uuid;

use super::{output::print_line, target_user};
use crate::{
    config::{CommonOptions, Config},
    database::DatabaseHandle,
};

#[derive(Args, Debug)]
pub(super) struct SignIn {
    /// Create the link for this user [default: the local user]
    #[arg(long, value_name = "EMAIL")]
    user: Option<String>,
}

impl SignIn {
    pub(super) async fn run(self, common: &CommonOptions) -> anyhow::Result<ExitCode> {
        let config = Config::load(common)?;
        let handle = DatabaseHandle::open(&config, 2).await?;
        let created = async {
            handle.migrate_if_private().await?;
            let user = target_user::resolve(&handle, self.user.as_deref()).await?;
            // The running server's address, else the configured one.
            let address = processes::server(&handle.database).await?.unwrap_or(config.listen);
            match &config.public_url {
                Some(url) => link_to(&handle, url.as_str().trim_end_matches('/'), user).await,
                None => link(&handle, address, user).await,
            }
        }
        .await;
        let closed = handle.close().await;
        let link = created?;
        closed?;
        if common.json {
            print_line(json!({ "url": link }))?;
        } else {
            print_line(link)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A link to the server at `address` that signs `user` in.
pub(super) async fn link(handle: &DatabaseHandle, address: SocketAddr, user: Uuid) -> anyhow::Result<String> {
    let address = match address.ip().is_unspecified() {
        true => SocketAddr::from(([127, 0, 0, 1], address.port())),
        false => address,
    };
    link_to(handle, &format!("http://{address}"), user).await
}

async fn link_to(handle: &DatabaseHandle, base: &str, user: Uuid) -> anyhow::Result<String> {
    anyhow::ensure!(users::exists(&handle.database, user).await?, "there is no such user in this database");
    let code = server::auth::code_for(&handle.database, user).await?;
    Ok(format!("{base}/sign-in?code={code}"))
}
