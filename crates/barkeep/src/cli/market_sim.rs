//! `barkeep market-sim`.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Context as _;
use clap::Args;
use jiff::SignedDuration;
use market::Ticker;
use simulator::{Clock, Fault, Settings, Simulator, Source, read_actions};
use tokio::net::TcpListener;

use super::output::print_line;
use crate::{
    config::{CommonOptions, Config},
    shutdown::stop_on_signal,
};

const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9100);

#[derive(Args, Debug)]
pub(super) struct MarketSim {
    /// Serve one-minute bars from this directory (SYMBOL.csv or SYMBOL.csv.gz with
    /// ts_utc,open,high,low,close,volume) [default: synthetic bars of any symbol]
    #[arg(long, value_name = "DIR")]
    bars: Option<PathBuf>,
    /// Answer further requests in a minute with 429
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    requests_per_minute: u32,
    /// Delay each answer by this many milliseconds
    #[arg(long, value_name = "N", default_value_t = 0)]
    latency_ms: u64,
    /// Make a share of the answers faulty, such as 5xx=0.1: throttle, 5xx, hang, cut, malformed, duplicate, unsorted,
    /// insane, stray, nan, off-grid, contradiction, words, foreign, short or empty; or late=SHARE:SECONDS, of bars (may be
    /// repeated)
    #[arg(long = "fault", value_name = "KIND=SHARE")]
    faults: Vec<Fault>,
    /// Withhold the newest minutes of stocks, as Alpaca's free plan does
    #[arg(long, value_name = "MINUTES", default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..=1440))]
    delay_minutes: i64,
    /// Accept only this key and secret [default: any]
    #[arg(long, value_name = "ID:SECRET", value_parser = parse_credentials)]
    credentials: Option<(String, String)>,
    /// Treat these symbols as unknown, besides those that begin with ZZ or contain NOPE
    #[arg(long, value_delimiter = ',', value_name = "SYMBOLS")]
    unknown: Vec<Ticker>,
    /// Serve splits and dividends from this CSV file (symbol,ex_date,ratio and optionally dividend)
    #[arg(long, value_name = "FILE")]
    actions: Option<PathBuf>,
    /// Seed of the synthetic bars: another number gives other bars
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

impl MarketSim {
    pub(super) async fn run(self, common: &CommonOptions) -> anyhow::Result<ExitCode> {
        let as_of = Config::load(common)?.as_of;
        let listen = common.listen.unwrap_or(DEFAULT_LISTEN);
        let listener = TcpListener::bind(listen)
            .await
            .with_context(|| format!("can't listen on {listen}: choose another address with --listen"))?;
        let mut settings = Settings::new(self.bars.map_or(Source::Synthetic, Source::Folder));
        settings.clock = as_of.map_or_else(Clock::wall, Clock::starting_at);
        settings.requests_per_minute = self.requests_per_minute;
        settings.latency = Duration::from_millis(self.latency_ms);
        settings.delay = SignedDuration::from_mins(self.delay_minutes);
        settings.credentials = self.credentials;
        settings.faults = self.faults;
        settings.unknown = self.unknown;
        settings.seed = self.seed;
        settings.actions = self.actions.map(|file| read_actions(&file)).transpose()?.unwrap_or_default();
        let simulator = Simulator::new(settings)?;
        let url = format!("http://{}", listener.local_addr()?);
        if common.json {
            print_line(serde_json::json!({ "url": url }))?;
        } else {
            print_line(format!("market-sim at {url}"))?;
            print_line(format!("  APCA_API_DATA_URL={url} barkeep up"))?;
        }
        simulator.serve(listener, stop_on_signal()?).await?;
        Ok(ExitCode::SUCCESS)
    }
}

fn parse_credentials(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((id, secret)) if !id.is_empty() && !secret.is_empty() => Ok((id.to_owned(), secret.to_owned())),
        _ => Err("expected a key and a secret, separated by a colon".to_owned()),
    }
}
