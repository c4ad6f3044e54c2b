//! `barkeep up`: everything in one process.

use std::{net::SocketAddr, process::ExitCode, sync::Arc, time::Duration};

use anyhow::bail;
use clap::Args;
use store::{clock, clock::MarketClock, events, events::Signals, health, runs};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::{Notify, watch},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Common, say};
use crate::{
    api::{self, AllowedHosts, App, ProviderState},
    config::Config,
    dispatch,
    engine::Engine,
    home::{self, Home},
    instance::Instance,
    keys::Keys,
    plan, provider,
};

/// Connections: one for each slot and its lease, the planner, the listener, and some for requests.
const CONNECTIONS: u32 = 16;

/// How long work under way may take to end.
const DRAIN: Duration = Duration::from_secs(10);

#[derive(Args, Debug)]
pub(super) struct Up {
    /// Runs at a time
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=64))]
    concurrency: u16,
}

impl Up {
    pub(super) async fn run(self, common: &Common) -> anyhow::Result<ExitCode> {
        let mut config = Config::load(common)?;
        let instance = Instance::acquire_or_say(&config.data_dir)?;
        let listener = listen(config.listen).await?;
        let keys = Keys::open(&config)?;
        let stop = stop_on_signal()?;
        home::use_database(&config)?;
        let home = Home::open(&config, CONNECTIONS).await?;
        let outcome = self.serve(&mut config, &instance, &home, keys, listener, &stop).await;
        stop.cancel();
        let closed = home.close().await;
        outcome?;
        closed?;
        tracing::info!("Stopped");
        Ok(ExitCode::SUCCESS)
    }

    async fn serve(
        &self,
        config: &mut Config,
        instance: &Instance,
        home: &Home,
        keys: Keys,
        listener: TcpListener,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        let migrated = home.migrate().await?;
        if !migrated.applied.is_empty() {
            tracing::info!(migrations = migrated.applied.len(), "Brought the schema up to date");
        }
        let taken = home.take_interest_along(config).await?;
        if taken > 0 {
            tracing::info!(taken, "What was watched with simulated bars is watched with real ones from now on");
        }
        if home.is_run_by_another().await? && clock::read(&home.database).await?.as_of != config.as_of {
            bail!(
                "another barkeep runs on this database with another market clock: stop it first, or start with its --as-of"
            );
        }
        let clock = clock::start(&home.database, config.as_of).await?;
        health::beat(&home.database, health::SCHEDULER, health::STARTING, "").await?;
        // No other process can have it: what these workers held, nobody is doing any more.
        let freed = runs::release(&home.database, Some(&instance.name)).await?;
        if freed > 0 {
            tracing::info!(freed, "Took up what was left undone");
        }
        // Stops after those who ask it.
        let stop_simulator = CancellationToken::new();
        let _stop_in_the_end = stop_simulator.clone().drop_guard();
        let simulated = provider::simulate_if_none(config, clock, &stop_simulator).await?;
        let signals = events::listen(&home.database, stop.clone());
        let (provider_tx, provider_rx) = watch::channel(ProviderState::Connecting("not tried yet".to_owned()));

        let address = listener.local_addr()?;
        let hosts = AllowedHosts::new(address, &config.allowed_hosts);
        let app = App::new(home.database.clone(), provider_rx, signals.clone(), keys.clone(), stop.clone());
        let server =
            axum::serve(listener, api::router(app, hosts)).with_graceful_shutdown(stop.clone().cancelled_owned());

        let tasks = TaskTracker::new();
        let (failed, on_failure) = (stop.clone(), stop.clone());
        // Among the tasks, so that requests under way are answered before the end.
        tasks.spawn(async move {
            if let Err(error) = server.await {
                tracing::error!(%error, "The HTTP server failed");
            }
            failed.cancel();
        });
        let work = Work {
            config,
            home,
            clock,
            signals,
            worker: instance.worker(),
            slots: usize::from(self.concurrency),
            stop: stop.clone(),
        };
        announce(address, simulated, clock, &keys)?;
        let (worked, ()) = tokio::join!(
            async {
                let worked = work.run(provider_tx, &tasks).await;
                on_failure.cancel();
                worked
            },
            home.keep_running(stop.clone()),
        );
        tasks.close();
        if tokio::time::timeout(DRAIN, tasks.wait()).await.is_err() {
            tracing::warn!("Some work did not end within {} s; its leases run out", DRAIN.as_secs());
        }
        if let Err(error) = health::beat(&home.database, health::SCHEDULER, health::STOPPED, "").await {
            tracing::warn!(%error, "The scheduler could not report its end");
        }
        worked
    }
}

/// What the stages are made of.
struct Work<'a> {
    config: &'a Config,
    home: &'a Home,
    clock: MarketClock,
    signals: Signals,
    worker: Arc<str>,
    slots: usize,
    stop: CancellationToken,
}

impl Work<'_> {
    /// Starts planner and workers once the provider answers, and waits for the stop.
    async fn run(self, state: watch::Sender<ProviderState>, tasks: &TaskTracker) -> anyhow::Result<()> {
        let mut pause = Duration::from_secs(1);
        let source = loop {
            let error = match provider::connect(self.config, &self.home.database, self.clock).await {
                Ok(source) => break source,
                Err(error) => error,
            };
            if !error.may_pass() {
                return Err(error.into());
            }
            tracing::error!(%error, "No provider; trying again in {} s, and what is wanted waits", pause.as_secs());
            state.send_replace(ProviderState::Connecting(error.to_string()));
            let message = error.to_string();
            if let Err(error) =
                health::beat(&self.home.database, health::SCHEDULER, "waiting for the provider", &message).await
            {
                tracing::warn!(%error, "The scheduler could not report that it waits");
            }
            tokio::select! {
                () = self.stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(pause) => {}
            }
            pause = (pause * 2).min(Duration::from_secs(30));
        };
        let engine = Engine {
            database: self.home.database.clone(),
            source,
            clock: self.clock,
            signals: self.signals,
            queued: Arc::new(Notify::new()),
            worker: self.worker,
            stop: self.stop.clone(),
        };
        state.send_replace(ProviderState::Connected(Box::new(engine.clone())));
        plan::settle_grace(&engine, false).await?;
        runs::try_credentials_again(&engine.database).await?;
        tasks.spawn(plan::run(engine.clone()));
        tasks.spawn(plan::look_again(engine.clone()));
        tasks.spawn(dispatch::run(engine, self.slots, None));
        self.stop.cancelled().await;
        Ok(())
    }
}

async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => anyhow::anyhow!(
            "{address} is taken by another program (perhaps another barkeep): choose another with --listen, for \
             example --listen 127.0.0.1:{}",
            address.port().wrapping_add(1).max(1024)
        ),
        _ => anyhow::anyhow!("{address} can't be listened on ({error}): choose another with --listen"),
    })
}

/// What a person needs to go on, on standard output.
fn announce(address: SocketAddr, simulated: bool, clock: MarketClock, keys: &Keys) -> anyhow::Result<()> {
    say(format!("Barkeep is at http://{address}"))?;
    if simulated {
        say("  Market data: SIMULATED. Set APCA_API_KEY_ID and APCA_API_SECRET_KEY for real bars.")?;
    }
    if let Some(as_of) = clock.as_of {
        say(format!("  The market's clock runs from {as_of}."))?;
    }
    say("  Ask for a symbol:")?;
    say(format!(
        "    curl -s http://{address}/functions/v1/sync-user-symbols -H 'Authorization: Bearer {}' \\\n      \
         -d '{{\"symbols\":[\"AAPL\"],\"source\":\"watchlist\"}}'",
        keys.ring()?.anon_key
    ))?;
    say("  and look at it:  barkeep coverage AAPL;  barkeep export AAPL m15;  psql \"$(barkeep db url)\"")
}

/// Cancelled by Ctrl-C and SIGTERM; a second one ends the process at once.
pub(super) fn stop_on_signal() -> anyhow::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let token = stop.clone();
    tokio::spawn(async move {
        for asked in 0.. {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if asked > 0 {
                std::process::exit(130);
            }
            tracing::info!("Stopping; once more ends it at once");
            token.cancel();
        }
    });
    Ok(stop)
}
