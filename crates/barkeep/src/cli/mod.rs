//! The command line: one file a command.

mod backfill;
mod beat;
mod calendar;
mod coverage;
mod db;
mod doctor;
mod export;
mod gaps;
mod keys;
mod look;
mod market_sim;
mod migrate;
mod part;
mod parts;
mod people;
mod providers;
mod runs;
mod server;
mod sign_in;
mod signals;
mod status;
mod table;
mod token;
mod track;
mod up;
mod user;
mod verify;

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};
use jiff::Timestamp;

/// Keeps OHLC bars of what people look at: complete, correct, in PostgreSQL.
#[derive(Debug, Parser)]
#[command(name = "barkeep", version, about, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Args, Clone, Debug)]
pub(crate) struct Common {
    /// Where the private database, keys and secrets are [default: ~/.local/share/barkeep]
    #[arg(long, global = true, env = "BARKEEP_DATA_DIR", value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,

    /// PostgreSQL 15 or newer to use instead of a private one
    #[arg(long, global = true, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    pub(crate) database_url: Option<String>,

    /// Where to listen [default: 127.0.0.1:4780; market-sim: 127.0.0.1:9100]
    #[arg(long, global = true, env = "BARKEEP_LISTEN", value_name = "ADDRESS:PORT", value_parser = address)]
    pub(crate) listen: Option<SocketAddr>,

    /// Runs the market's clock from that instant on, for history
    #[arg(long, global = true, env = "BARKEEP_AS_OF", value_name = "INSTANT", value_parser = instant)]
    pub(crate) as_of: Option<Timestamp>,

    /// Settings file [default: barkeep.toml in the current directory, where there is one]
    #[arg(long, global = true, env = "BARKEEP_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Prints the result as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Everything in one process: database, HTTP, planner and workers
    Up(up::Up),
    /// HTTP alone, beside a planner and workers on the same database
    Serve(part::Serve),
    /// The planner alone; or, with --dry-run, what it would have fetched
    Plan(part::Plan),
    /// Workers alone
    Work(part::Work),
    /// Brings the database's schema up to date
    Migrate,
    /// About the database
    #[command(subcommand)]
    Db(db::Db),
    /// Prints the keys that clients are configured with
    Keys(keys::Keys),
    /// Prints a token for one user
    Token(token::Token),
    /// People who sign in with a password
    User(people::User),
    /// Prints a link that signs a browser in, once
    SignIn(sign_in::SignIn),
    /// Says that somebody wants symbols
    Track(track::Track),
    /// Takes that back
    Untrack(track::Untrack),
    /// Fetches everything that is missing of some symbols, to completion
    Backfill(backfill::Backfill),
    /// Who is at work, how the queue stands, what the provider allows
    Status(status::Status),
    /// How far each series has come
    Coverage(coverage::Coverage),
    /// The work under way, queued and done
    Runs(runs::Runs),
    /// What is missing, and what is being done about it
    Gaps(gaps::Gaps),
    /// Queues what has failed again
    Retry(runs::Retry),
    /// Checks each thing that can be wrong, and says how to mend it
    Doctor(doctor::Doctor),
    /// Which market data providers are set up, what they allow, and how they fare
    Providers(providers::Providers),
    /// Holds what is stored against the calendar, against itself and against the provider
    Verify(verify::Verify),
    /// The sessions of an exchange, as CSV
    Calendar(calendar::Calendar),
    /// Stored bars, raw, as CSV
    Export(export::Export),
    /// A market data server that speaks Alpaca's protocol, for trying, testing and measuring
    MarketSim(market_sim::MarketSim),
}

impl Cli {
    /// What is logged where nobody says otherwise: servers tell what they do, the rest only what goes wrong.
    pub(crate) fn usual_log(&self) -> &'static str {
        match self.command {
            Command::Up(_)
            | Command::Serve(_)
            | Command::Plan(part::Plan { dry_run: false, .. })
            | Command::Work(_)
            | Command::MarketSim(_) => "info,sqlx=warn",
            _ => "warn",
        }
    }
}

/// Runs what the command line says.
pub(crate) async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let common = &cli.common;
    match cli.command {
        Command::Up(up) => up.run(common).await,
        Command::Serve(serve) => serve.run(common).await,
        Command::Plan(plan) => plan.run(common).await,
        Command::Work(work) => work.run(common).await,
        Command::Migrate => migrate::run(common).await,
        Command::Db(db) => db.run(common).await,
        Command::Keys(keys) => keys.run(common),
        Command::Token(token) => token.run(common).await,
        Command::User(user) => user.run(common).await,
        Command::SignIn(sign_in) => sign_in.run(common).await,
        Command::Track(track) => track.run(common).await,
        Command::Untrack(untrack) => untrack.run(common).await,
        Command::Backfill(backfill) => backfill.run(common).await,
        Command::Status(status) => status.run(common).await,
        Command::Coverage(coverage) => coverage.run(common).await,
        Command::Runs(runs) => runs.run(common).await,
        Command::Gaps(gaps) => gaps.run(common).await,
        Command::Retry(retry) => retry.run(common).await,
        Command::Doctor(doctor) => doctor.run(common).await,
        Command::Providers(providers) => providers.run(common).await,
        Command::Verify(verify) => verify.run(common).await,
        Command::Calendar(calendar) => calendar.run(common),
        Command::Export(export) => export.run(common).await,
        Command::MarketSim(sim) => sim.run(common).await,
    }
}

/// An instant, or a date for its UTC midnight.
pub(crate) fn instant(text: &str) -> Result<Timestamp, String> {
    if let Ok(instant) = text.parse() {
        return Ok(instant);
    }
    text.parse::<jiff::civil::Date>()
        .ok()
        .and_then(|date| jiff::tz::TimeZone::UTC.to_timestamp(date.to_datetime(jiff::civil::Time::midnight())).ok())
        .ok_or_else(|| "an instant such as 2026-11-23T14:30:00Z or a date such as 2026-11-23 is expected".to_owned())
}

/// An address to listen on; `localhost` is 127.0.0.1.
fn address(text: &str) -> Result<SocketAddr, String> {
    let numbers = text.replacen("localhost:", "127.0.0.1:", 1);
    numbers.parse().map_err(|_| "an address and a port such as 127.0.0.1:4790 are expected".to_owned())
}

/// Prints a line to standard error; whether anybody reads it is not our concern.
fn note(line: impl std::fmt::Display) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Prints a line that somebody may read or not: who works on is not ended by a reader that has gone away.
fn announce(line: impl std::fmt::Display) -> anyhow::Result<()> {
    use std::io::Write as _;
    match writeln!(std::io::stdout().lock(), "{line}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Prints a line; a reader that has gone away (`| head`) ends the program quietly.
fn say(line: impl std::fmt::Display) -> anyhow::Result<()> {
    use std::io::Write as _;
    match writeln!(std::io::stdout().lock(), "{line}") {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        written => Ok(written?),
    }
}
