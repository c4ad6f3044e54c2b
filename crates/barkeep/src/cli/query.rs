//! Commands that work on an existing database: `status`, `runs`, `gaps`, `retry` and `coverage`, and with a provider
//! `verify` and the dry run.

use std::{process::ExitCode, sync::Arc};

use market::Ticker;
use serde::Serialize;
use store::{
    clock,
    clock::SharedClock,
    events::{Notifier, Signals},
    market_sessions::SharedCalendars,
    overview,
};
use tokio_util::sync::CancellationToken;

use super::output::{print_line, print_note};
use crate::{
    config::{CommonOptions, Config},
    database::DatabaseHandle,
    shutdown::stop_on_signal,
    simulate,
};
use engine::{
    Engine, calendar_exceptions, foreground::Foreground, providers::connect, splits::seen_adjusted::SeenAdjusted,
};
use store::directory::suggest;

/// Opens the database, runs `query` and prints the result: as JSON, or as `render` returns it.
pub(super) async fn run<T: Serialize>(
    common: &CommonOptions,
    query: impl AsyncFnOnce(&DatabaseHandle) -> anyhow::Result<T>,
    render: impl FnOnce(&T) -> String,
) -> anyhow::Result<ExitCode> {
    let handle = DatabaseHandle::open(&Config::load(common)?, 3).await?;
    let result = async {
        handle.migrate_if_private().await?;
        query(&handle).await
    }
    .await;
    let closed = handle.close().await;
    let result = result?;
    closed?;
    print_line(if common.json { serde_json::to_string_pretty(&result)? } else { render(&result) })?;
    Ok(ExitCode::SUCCESS)
}

/// Notes which of the symbols aren't tracked, and so can't have gaps.
pub(super) async fn warn_untracked(handle: &DatabaseHandle, symbols: &[Ticker]) -> anyhow::Result<()> {
    let tracked = overview::kept(&handle.database, symbols).await?;
    for ticker in symbols.iter().filter(|ticker| !tracked.contains(ticker)) {
        let hint = suggest::sentence(&handle.database, ticker).await;
        print_note(format!("{ticker} isn't tracked: add it with `barkeep track {ticker}`{hint}"));
    }
    Ok(())
}

/// Opens the database and connects to the provider, for commands that may ask it but queue no runs and work on none.
pub(super) async fn with_engine<T>(
    common: &CommonOptions,
    symbols: &[Ticker],
    action: impl AsyncFnOnce(&Engine) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let mut config = Config::load(common)?;
    let stop = stop_on_signal()?;
    let handle = DatabaseHandle::open(&config, 4).await?;
    let outcome = async {
        handle.migrate_if_private().await?;
        let calendars = SharedCalendars::by_rules();
        calendar_exceptions::follow(&handle.database, &calendars).await?;
        let clock = clock::read(&handle.database).await?;
        let stop_simulator = CancellationToken::new();
        let _stop_at_end = stop_simulator.clone().drop_guard();
        simulate::start_if_no_provider(&mut config, clock, &calendars, &stop_simulator).await?;
        let clock = SharedClock::new(clock);
        let engine = Engine {
            database: handle.database.clone(),
            routes: connect::connect_read_only(&config.providers, &handle.database, &clock).await?,
            clock,
            calendars,
            signals: Signals::without_notifications(),
            notifier: Notifier::disabled(),
            foreground: Foreground::default(),
            seen_adjusted: SeenAdjusted::default(),
            worker: Arc::from("query"),
            stop,
        };
        warn_untracked(&handle, symbols).await?;
        action(&engine).await
    }
    .await;
    let closed = handle.close().await;
    let result = outcome?;
    closed?;
    Ok(result)
}
