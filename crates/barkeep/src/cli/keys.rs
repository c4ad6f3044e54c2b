//! `barkeep keys`.

use std::process::ExitCode;

use clap::Args;

use super::output::print_line;
use crate::config::{CommonOptions, Config};

#[derive(Args, Debug)]
pub(super) struct Keys {}

impl Keys {
    pub(super) fn run(self, common: &CommonOptions) -> anyhow::Result<ExitCode> {
        let config = Config::load(common)?;
        let ring = server::auth::Keys::open(config.jwt_secret.as_ref(), &config.data_dir)?.ring()?;
        if common.json {
            print_line(serde_json::to_string(&ring)?)?;
        } else {
            print_line(format!("SUPABASE_ANON_KEY={}", ring.anon_key))?;
            print_line(format!("SUPABASE_SERVICE_ROLE_KEY={}", ring.service_role_key))?;
            print_line(format!("SUPABASE_JWT_SECRET={}", ring.jwt_secret))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
