//! The command line: one file per command.

mod backfill;
mod calendar;
mod coverage;
mod db;
mod doctor;
mod duration;
mod export;
mod gaps;
mod help;
mod keys;
mod market_sim;
mod migrate;
mod output;
mod progress;
mod providers;
mod query;
mod refetch;
mod runs;
mod serve_plan_work;
mod server_client;
mod sign_in;
mod status;
mod table;
mod target_user;
mod token;
mod track;
mod up;
mod user;
mod verify;

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::config::CommonOptions;

/// Keeps OHLC bars of the symbols you follow complete, correct and up to date in PostgreSQL
#[derive(Debug, Parser)]
#[command(name = "barkeep", version, about, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    common: CommonOptions,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything in one process: database, web server, planner and workers
    Up(up::Up),
    /// Run only the web server: API and web client
    Serve(serve_plan_work::Serve),
    /// Run only the planner, or print what it would request (--dry-run)
    Plan(serve_plan_work::Plan),
    /// Run only workers, which fetch and store bars
    Work(serve_plan_work::Work),
    /// Run a simulated market data server that speaks Alpaca's protocol
    MarketSim(market_sim::MarketSim),
    /// Add symbols to a watchlist
    Track(track::Track),
    /// Remove symbols from a watchlist
    Untrack(track::Untrack),
    /// Fetch all missing bars of symbols, and wait until they are stored
    Backfill(backfill::Backfill),
    /// Fetch stored bars of a symbol again, replace them and report what has changed
    Refetch(refetch::Refetch),
    /// Queue failed runs again
    Retry(runs::Retry),
    /// Export stored bars as CSV or JSON
    Export(export::Export),
    /// Show processes, the queue and request budgets
    Status(status::Status),
    /// Show how complete each series is
    Coverage(coverage::Coverage),
    /// List gaps in the stored bars, and whether they are being filled
    Gaps(gaps::Gaps),
    /// List runs: queued, running and finished
    Runs(runs::Runs),
    /// List market data providers with their settings, budgets and health
    Providers(providers::Providers),
    /// Check stored bars against the calendar, one another and the provider
    Verify(verify::Verify),
    /// Check the installation for problems, and print how to fix them
    Doctor(doctor::Doctor),
    /// Print an exchange's trading sessions as CSV
    Calendar(calendar::Calendar),
    /// Update the database schema
    Migrate,
    /// Print the database's address
    #[command(subcommand)]
    Db(db::Db),
    /// Print the API keys for clients
    Keys(keys::Keys),
    /// Create an access token for a user
    Token(token::Token),
    /// Manage users who sign in with a password
    User(user::User),
    /// Create a one-time sign-in link
    SignIn(sign_in::SignIn),
}

impl Cli {
    /// Parses this process's arguments. Prints help or an error, and exits, where they ask for that.
    pub(crate) fn from_args() -> Self {
        let mut command = help::with_help(Self::command());
        let matches = command.get_matches_mut();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.format(&mut command).exit())
    }

    /// The log filter if `BARKEEP_LOG` isn't set: information from servers, only warnings from other commands.
    pub(crate) fn default_log_filter(&self) -> &'static str {
        match self.command {
            Command::Up(_)
            | Command::Serve(_)
            | Command::Plan(serve_plan_work::Plan { dry_run: false, .. })
            | Command::Work(_)
            | Command::MarketSim(_) => "info,sqlx=warn",
            _ => "warn",
        }
    }
}

/// Runs the command.
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
        Command::Refetch(refetch) => refetch.run(common).await,
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
