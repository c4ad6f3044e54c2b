//! The command line: one file a command.

mod accounts;
mod backfill;
mod calendar;
mod coverage;
mod db;
mod doctor;
mod export;
mod gaps;
mod keys;
mod market_sim;
mod migrate;
mod output;
mod providers;
mod read_only;
mod runs;
mod serve_plan_work;
mod server;
mod sign_in;
mod status;
mod table;
mod token;
mod track;
mod up;
mod user;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::Common;

/// Keeps OHLC bars of what people look at: complete, correct, in PostgreSQL.
#[derive(Debug, Parser)]
#[command(name = "barkeep", version, about, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Everything in one process: database, HTTP, planner and workers
    Up(up::Up),
    /// HTTP alone, beside a planner and workers on the same database
    Serve(serve_plan_work::Serve),
    /// The planner alone; or, with --dry-run, what it would have fetched
    Plan(serve_plan_work::Plan),
    /// Workers alone
    Work(serve_plan_work::Work),
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
    User(accounts::User),
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
            | Command::Plan(serve_plan_work::Plan { dry_run: false, .. })
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
