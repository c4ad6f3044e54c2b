//! `barkeep keys`.

use std::process::ExitCode;

use clap::Args;

use super::output::say;
use crate::config::{Common, Config};

#[derive(Args, Debug)]
pub(super) struct Keys {}

impl Keys {
    pub(super) fn run(self, common: &Common) -> anyhow::Result<ExitCode> {
        let config = Config::load(common)?;
        let ring = server::auth::Keys::open(config.jwt_secret.as_ref(), &config.data_dir)?.ring()?;
        if common.json {
            say(serde_json::to_string(&ring)?)?;
        } else {
            say(format!("SUPABASE_ANON_KEY={}", ring.anon_key))?;
            say(format!("SUPABASE_SERVICE_ROLE_KEY={}", ring.service_role_key))?;
            say(format!("SUPABASE_JWT_SECRET={}", ring.jwt_secret))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
