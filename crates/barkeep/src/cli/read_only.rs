//! What `status`, `runs`, `gaps`, `retry` and `coverage` have in common, and `verify` and the dry run: a look at the database
//! that there is.

use std::{process::ExitCode, sync::Arc};

use market::Ticker;
use serde::Serialize;
use store::{
    clock,
    clock::SharedClock,
    events::{Signals, Teller},
    sessions::SharedCalendars,
    show,
};
use tokio_util::sync::CancellationToken;

use super::output::{note, say};
use crate::{
    config::{Common, Config},
    home::Home,
    shutdown::stop_on_signal,
    simulate,
};
use engine::{Engine, calendar_exceptions, foreground::Foreground, providers::connect};
use store::directory::suggest;

/// Opens the database, has `look` look, and shows what it found: as JSON, or as `shown` says.
pub(super) async fn at<T: Serialize>(
    common: &Common,
    look: impl AsyncFnOnce(&Home) -> anyhow::Result<T>,
    shown: impl FnOnce(&T) -> String,
) -> anyhow::Result<ExitCode> {
    let home = Home::open(&Config::load(common)?, 3).await?;
    let found = async {
        home.migrate_own().await?;
        look(&home).await
    }
    .await;
    let closed = home.close().await;
    let found = found?;
    closed?;
    say(if common.json { serde_json::to_string_pretty(&found)? } else { shown(&found) })?;
    Ok(ExitCode::SUCCESS)
}

/// Says of each symbol that nobody asks for it, where that is so: nothing of it can be missing.
pub(super) async fn say_what_nobody_keeps(home: &Home, symbols: &[Ticker]) -> anyhow::Result<()> {
    let kept = show::kept(&home.database, symbols).await?;
    for ticker in symbols.iter().filter(|ticker| !kept.contains(ticker)) {
        let hint = suggest::sentence(&home.database, ticker).await;
        note(format!("nobody asks for {ticker}: `barkeep track {ticker}` does{hint}"));
    }
    Ok(())
}

/// Opens the database and connects to the provider, for a look that may ask it but plans and works nothing.
pub(super) async fn with_provider<T>(
    common: &Common,
    symbols: &[Ticker],
    look: impl AsyncFnOnce(&Engine) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let mut config = Config::load(common)?;
    let stop = stop_on_signal()?;
    let home = Home::open(&config, 4).await?;
    let looked = async {
        home.migrate_own().await?;
        let calendars = SharedCalendars::by_rules();
        calendar_exceptions::follow(&home.database, &calendars).await?;
        let clock = clock::read(&home.database).await?;
        let stop_simulator = CancellationToken::new();
        let _stop_in_the_end = stop_simulator.clone().drop_guard();
        simulate::simulate_if_none(&mut config, clock, &stop_simulator).await?;
        let clock = SharedClock::new(clock);
        let engine = Engine {
            database: home.database.clone(),
            routes: connect::connect_read_only(&config.providers, &home.database, &clock).await?,
            clock,
            calendars,
            signals: Signals::deaf(),
            teller: Teller::silent(),
            foreground: Foreground::default(),
            worker: Arc::from("a look"),
            stop,
        };
        say_what_nobody_keeps(&home, symbols).await?;
        look(&engine).await
    }
    .await;
    let closed = home.close().await;
    let found = looked?;
    closed?;
    Ok(found)
}
