//! `barkeep up`: everything in one process.

use std::process::ExitCode;

use clap::Args;
use store::users;

use super::{output, sign_in};
use crate::{
    config::{CommonOptions, Config},
    instance::Instance,
    simulate::NO_PROVIDER,
    supervisor::{Roles, StartupInfo},
};

#[derive(Args, Debug)]
pub(super) struct Up {
    /// Send at most this many requests at a time
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=64))]
    concurrency: u16,
}

impl Up {
    pub(super) async fn run(self, common: &CommonOptions) -> anyhow::Result<ExitCode> {
        let config = Config::load(common)?;
        let instance = Instance::acquire_or_fail(&config.data_dir)?;
        let roles = Roles { serve: true, plan: true, work: Some(self.concurrency) };
        let json = common.json;
        roles.run(config, Some(instance), async move |started: StartupInfo<'_>| print_start(started, json).await).await
    }
}

/// Prints how to use the server, to standard output.
pub(super) async fn print_start(started: StartupInfo<'_>, json: bool) -> anyhow::Result<()> {
    let StartupInfo { address: Some(address), simulated, fetches_nothing, clock, keys: Some(keys), handle } = started
    else {
        return Ok(());
    };
    let url = format!("http://{address}");
    let link = match sign_in::link(handle, address, users::LOCAL).await {
        Ok(link) => Some(link),
        // A database with Supabase's users has no local user.
        Err(error) => {
            tracing::debug!(%error, "No sign-in link was created");
            None
        }
    };
    let anon_key = keys.ring()?.anon_key;
    if json {
        let as_of = clock.as_of;
        let started = serde_json::json!({
            "url": url, "sign_in": link, "anon_key": anon_key, "simulated": simulated, "market_as_of": as_of,
        });
        return output::print_status(started);
    }
    output::print_status(format!("Barkeep is running at {url}"))?;
    if simulated {
        output::print_status("  Market data: SIMULATED. Set APCA_API_KEY_ID and APCA_API_SECRET_KEY for real bars.")?;
    }
    if fetches_nothing {
        output::print_status(format!("  Market data: NONE, since {NO_PROVIDER}."))?;
    }
    if let Some(as_of) = clock.as_of {
        output::print_status(format!("  The market clock was started from {as_of}."))?;
    }
    if let Some(link) = link {
        output::print_status(format!("  Sign in (works once, within an hour):  {link}"))?;
    }
    output::print_status("  Request a symbol:")?;
    output::print_status(format!(
        "    curl -s {url}/functions/v1/sync-user-symbols -H 'Authorization: Bearer {anon_key}' \\\n      \
         -d '{{\"symbols\":[\"AAPL\"],\"source\":\"watchlist\"}}'"
    ))?;
    output::print_status(
        "  Show its bars:  barkeep coverage AAPL;  barkeep export AAPL m15;  psql \"$(barkeep db url)\"",
    )
}
