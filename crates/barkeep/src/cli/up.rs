//! `barkeep up`: everything in one process.

use std::process::ExitCode;

use clap::Args;
use store::users;

use super::{output, sign_in};
use crate::{
    config::{Common, Config},
    instance::Instance,
    supervisor::{Parts, Started},
};

#[derive(Args, Debug)]
pub(super) struct Up {
    /// Requests under way at a time
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=64))]
    concurrency: u16,
}

impl Up {
    pub(super) async fn run(self, common: &Common) -> anyhow::Result<ExitCode> {
        let config = Config::load(common)?;
        let instance = Instance::acquire_or_say(&config.data_dir)?;
        let parts = Parts { serve: true, plan: true, work: Some(self.concurrency) };
        let json = common.json;
        parts.run(config, Some(instance), async move |started: Started<'_>| print_start(started, json).await).await
    }
}

/// What a person needs to go on, on standard output.
pub(super) async fn print_start(started: Started<'_>, json: bool) -> anyhow::Result<()> {
    let Started { address: Some(address), simulated, clock, keys: Some(keys), home } = started else { return Ok(()) };
    let url = format!("http://{address}");
    let link = match sign_in::link(home, address, users::LOCAL).await {
        Ok(link) => Some(link),
        // Where Supabase keeps the users there is no local one.
        Err(error) => {
            tracing::debug!(%error, "No link was made");
            None
        }
    };
    let anon_key = keys.ring()?.anon_key;
    if json {
        let as_of = clock.as_of;
        let started = serde_json::json!({
            "url": url, "sign_in": link, "anon_key": anon_key, "simulated": simulated, "market_as_of": as_of,
        });
        return output::announce(started);
    }
    output::announce(format!("Barkeep is at {url}"))?;
    if simulated {
        output::announce("  Market data: SIMULATED. Set APCA_API_KEY_ID and APCA_API_SECRET_KEY for real bars.")?;
    }
    if let Some(as_of) = clock.as_of {
        output::announce(format!("  The market's clock runs from {as_of}."))?;
    }
    if let Some(link) = link {
        output::announce(format!("  Sign your browser in (once, within the hour):  {link}"))?;
    }
    output::announce("  Ask for a symbol:")?;
    output::announce(format!(
        "    curl -s {url}/functions/v1/sync-user-symbols -H 'Authorization: Bearer {anon_key}' \\\n      \
         -d '{{\"symbols\":[\"AAPL\"],\"source\":\"watchlist\"}}'"
    ))?;
    output::announce("  and look at it:  barkeep coverage AAPL;  barkeep export AAPL m15;  psql \"$(barkeep db url)\"")
}
