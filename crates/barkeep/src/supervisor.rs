//! What `up` does in one process and `serve`, `plan` and `work` in several: the parts, and the life around them.

use std::{net::SocketAddr, process::ExitCode, sync::Arc, time::Duration};

use anyhow::bail;
use store::{
    clock,
    clock::{MarketClock, SharedClock},
    directory::Directory,
    events::{self, Signals, Teller},
    health,
    processes::{self, Part},
    runs,
    sessions::SharedCalendars,
};
use tokio::{net::TcpListener, sync::watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use crate::{
    config::Config,
    heartbeat,
    home::{self, Home},
    instance::Instance,
    shutdown::stop_on_signal,
    simulate, telemetry,
};
use engine::{
    Engine, asset_lists, calendar_exceptions, dispatch, foreground::Foreground, plan, providers::connect,
    splits::corporate_actions, verify,
};
use server::{
    App, ForegroundHandle, Metrics, ProviderState,
    auth::{AllowedHosts, Authenticator, Keys},
};

/// How long work under way may take to end.
const DRAIN: Duration = Duration::from_secs(6);

/// How long the end may take to be reported.
const FAREWELL: Duration = Duration::from_secs(1);

/// Service managers kill whoever isn't gone after ten seconds.
const _: () = assert!(DRAIN.as_secs() + FAREWELL.as_secs() + home::PARTING.as_secs() < 10);

/// Which parts one process does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts {
    pub(crate) serve: bool,
    pub(crate) plan: bool,
    /// Packs at a time.
    pub(crate) work: Option<u16>,
}

/// A server's start, for whoever prints it.
pub(crate) struct Started<'a> {
    pub(crate) address: Option<SocketAddr>,
    pub(crate) simulated: bool,
    pub(crate) clock: MarketClock,
    pub(crate) keys: Option<&'a Keys>,
    pub(crate) home: &'a Home,
}

impl Parts {
    /// Does them until it is told to stop. `instance`: the right to be the only `up` of the data directory.
    pub(crate) async fn run(
        self,
        mut config: Config,
        instance: Option<Instance>,
        announce: impl AsyncFnOnce(Started<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<ExitCode> {
        let listener = match self.serve {
            true => Some(listen(config.listen).await?),
            false => None,
        };
        let keys = match self.serve {
            true => Some(Keys::open(config.jwt_secret.as_ref(), &config.data_dir)?),
            false => None,
        };
        let stop = stop_on_signal()?;
        home::use_database(&config)?;
        let home = Home::open(&config, self.connections()).await?;
        let outcome = self.live(&mut config, instance.as_ref(), &home, keys, listener, &stop, announce).await;
        stop.cancel();
        let closed = home.close().await;
        outcome?;
        closed?;
        tracing::info!("Stopped");
        Ok(ExitCode::SUCCESS)
    }

    /// Each slot wants one, its lease and its budget another now and then; then there are planner, listener, requests.
    fn connections(self) -> u32 {
        let slots = u32::from(self.work.unwrap_or(0));
        (6 + 2 * slots + if self.serve { 6 } else { 0 }).min(70)
    }

    fn names(self) -> Vec<Part> {
        let parts = [(self.serve, Part::Serve), (self.plan, Part::Plan), (self.work.is_some(), Part::Work)];
        parts.into_iter().filter(|(does, _)| *does).map(|(_, part)| part).collect()
    }

    #[expect(clippy::too_many_arguments, reason = "what a life is made of, each once")]
    async fn live(
        self,
        config: &mut Config,
        instance: Option<&Instance>,
        home: &Home,
        keys: Option<Keys>,
        listener: Option<TcpListener>,
        stop: &CancellationToken,
        announce: impl AsyncFnOnce(Started<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let migrated = home.migrate().await?;
        if !migrated.applied.is_empty() {
            tracing::info!(migrations = migrated.applied.len(), "Brought the schema up to date");
        }
        let calendars = calendar_exceptions::begin(&home.database, &config.sessions).await?;
        let worker: Arc<str> = match instance {
            Some(instance) => instance.worker(),
            None => format!("part/{}", Uuid::new_v4().simple()).into(),
        };
        if let Some(instance) = instance {
            // No other process can have it: what these workers held, nobody is doing any more.
            processes::ended(&home.database, &instance.name).await?;
            let freed = runs::release(&home.database, Some(&instance.name)).await?;
            if freed > 0 {
                tracing::info!(freed, "Took up what was left undone");
            }
        }
        if self.plan {
            let taken = home.take_interest_along(config).await?;
            if taken > 0 {
                tracing::info!(taken, "What was watched with simulated bars is watched with real ones from now on");
            }
        }
        let clock = self.market_clock(config, home, &worker).await?;
        if self.plan {
            health::beat(&home.database, health::SCHEDULER, health::STARTING, "").await?;
        }
        // Stops after those who ask it.
        let stop_simulator = CancellationToken::new();
        let _stop_in_the_end = stop_simulator.clone().drop_guard();
        let fetches = self.plan || self.work.is_some();
        let simulated = fetches && simulate::simulate_if_none(config, clock, &stop_simulator).await?;
        let signals = match config.notify {
            true => events::listen(&home.database, stop.clone()),
            false => Signals::deaf(),
        };
        let foreground = Foreground::default();
        let teller = if config.notify { Teller::start(&home.database, stop.clone()) } else { Teller::silent() };
        let unknown =
            if fetches { ProviderState::Connecting("not tried yet".to_owned()) } else { ProviderState::Elsewhere };
        let (provider_tx, provider_rx) = watch::channel(unknown);
        let tasks = TaskTracker::new();
        let (wanted, look_out) = (config.sessions.clone(), signals.clone());
        tasks.spawn(calendar_exceptions::keep_up(
            home.database.clone(),
            calendars.clone(),
            wanted,
            look_out,
            stop.clone(),
        ));
        let on_failure = stop.clone();
        let address = listener.as_ref().map(TcpListener::local_addr).transpose()?;
        if let (Some(listener), Some(address), Some(keys)) = (listener, address, keys.clone()) {
            let hosts = AllowedHosts::new(address, &config.allowed_hosts);
            let directory = Directory::new(home.database.clone());
            let app = App {
                auth: Authenticator::new(
                    keys,
                    home.database.clone(),
                    config.jwks.clone(),
                    config.public_url.as_ref().is_some_and(|url| url.scheme() == "https"),
                ),
                database: home.database.clone(),
                directory: directory.clone(),
                calendars: calendars.clone(),
                provider: provider_rx,
                signals: signals.clone(),
                teller: teller.clone(),
                foreground: wait_handle(&foreground),
                metrics: Metrics(telemetry::count()?),
                stop: stop.clone(),
            };
            tasks.spawn(async move {
                if let Err(error) = directory.warm().await {
                    tracing::warn!(%error, "The directory could not be read ahead of the first search");
                }
            });
            let serving = axum::serve(listener, server::router(app, hosts))
                .with_graceful_shutdown(stop.clone().cancelled_owned());
            let failed = stop.clone();
            // Among the tasks, so that requests under way are answered before the end.
            tasks.spawn(async move {
                if let Err(error) = serving.await {
                    tracing::error!(%error, "The HTTP server failed");
                }
                failed.cancel();
            });
        }
        let life = Life {
            parts: self,
            config,
            home,
            clock: SharedClock::new(clock),
            calendars,
            teller,
            foreground,
            signals,
            worker: Arc::clone(&worker),
            address,
            stop: stop.clone(),
        };
        announce(Started { address, simulated, clock, keys: keys.as_ref(), home }).await?;
        let (worked, (), ()) = tokio::join!(
            async {
                let worked = life.work(provider_tx, &tasks).await;
                on_failure.cancel();
                worked
            },
            life.beat(),
            home.keep_running(stop.clone()),
        );
        tasks.close();
        if tokio::time::timeout(DRAIN, tasks.wait()).await.is_err() {
            tracing::warn!("Some work did not end within {} s; its leases run out", DRAIN.as_secs());
        }
        let parted = async {
            if self.plan && !processes::others_plan(&home.database, &worker).await? {
                health::beat(&home.database, health::SCHEDULER, health::STOPPED, "").await?;
            }
            processes::ended(&home.database, &worker).await
        };
        match tokio::time::timeout(FAREWELL, parted).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "The end could not be reported"),
            Err(_) => tracing::warn!("The end could not be reported in time"),
        }
        worked
    }

    /// The clock to go by. One for all processes on the database: whoever plans sets it, unless others are at work.
    async fn market_clock(self, config: &Config, home: &Home, worker: &str) -> anyhow::Result<MarketClock> {
        let running = clock::read(&home.database).await?;
        let sets_it = self.plan || config.as_of.is_some();
        if !sets_it || running.as_of == config.as_of && running.as_of.is_some() && !self.plan {
            return Ok(running);
        }
        if processes::others_at_work(&home.database, worker).await? {
            if running.as_of == config.as_of {
                return Ok(running);
            }
            bail!(
                "another barkeep works on this database with another market clock: stop it first, or start with its --as-of"
            );
        }
        Ok(clock::start(&home.database, config.as_of).await?)
    }
}

/// What the stages are made of.
struct Life<'a> {
    parts: Parts,
    config: &'a Config,
    home: &'a Home,
    clock: SharedClock,
    calendars: SharedCalendars,
    signals: Signals,
    teller: Teller,
    foreground: Foreground,
    worker: Arc<str>,
    address: Option<SocketAddr>,
    stop: CancellationToken,
}

impl Life<'_> {
    /// Starts planner and workers once the provider answers, and waits for the stop.
    async fn work(&self, state: watch::Sender<ProviderState>, tasks: &TaskTracker) -> anyhow::Result<()> {
        if !self.parts.plan && self.parts.work.is_none() {
            self.stop.cancelled().await;
            return Ok(());
        }
        let mut pause = Duration::from_secs(1);
        let routes = loop {
            let error = match connect::connect(&self.config.providers, &self.home.database, &self.clock).await {
                Ok(routes) => break routes,
                Err(error) => error,
            };
            if !error.may_pass() {
                return Err(error.into());
            }
            tracing::error!(%error, "No provider; trying again in {} s, and what is wanted waits", pause.as_secs());
            state.send_replace(ProviderState::Connecting(error.to_string()));
            if self.parts.plan {
                let (database, why) = (&self.home.database, error.to_string());
                let told = health::beat(database, health::SCHEDULER, health::WAITING, &why).await;
                if let Err(error) = told {
                    tracing::warn!(%error, "The scheduler could not report that it waits");
                }
            }
            tokio::select! {
                () = self.stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(pause) => {}
            }
            pause = (pause * 2).min(Duration::from_secs(30));
        };
        let engine = Engine {
            database: self.home.database.clone(),
            routes,
            clock: self.clock.clone(),
            calendars: self.calendars.clone(),
            signals: self.signals.clone(),
            teller: self.teller.clone(),
            foreground: self.foreground.clone(),
            worker: Arc::clone(&self.worker),
            stop: self.stop.clone(),
        };
        let endpoints = engine.routes.all().map(|source| source.endpoint().clone()).collect();
        state.send_replace(ProviderState::Connected(endpoints));
        let alone = !processes::others_at_work(&engine.database, &self.worker).await?;
        plan::publish_grace(&engine, !alone).await?;
        dispatch::retry_credentials(&engine).await?;
        let spawn = |task| spawn_or_stop(tasks, &self.stop, task);
        if self.parts.plan {
            spawn(Box::pin(plan::run(engine.clone())));
        }
        if let Some(slots) = self.parts.work {
            if self.config.upkeep {
                spawn(Box::pin(dispatch::recheck_unknown(engine.clone())));
                spawn(Box::pin(asset_lists::run(engine.clone())));
                spawn(Box::pin(corporate_actions::run(engine.clone())));
                spawn(Box::pin(verify::run_nightly(engine.clone())));
            }
            spawn(Box::pin(dispatch::run(engine, usize::from(slots), dispatch::Scope::All)));
        }
        self.stop.cancelled().await;
        Ok(())
    }

    async fn beat(&self) {
        let slots = self.parts.work.unwrap_or(0);
        let process = heartbeat::introduction(&self.worker, self.parts.names(), slots, self.address);
        heartbeat::beat(&self.home.database, &process, &self.clock, &self.signals, &self.stop).await;
    }
}

/// What requests tell of people who wait.
fn wait_handle(foreground: &Foreground) -> ForegroundHandle {
    let foreground = foreground.clone();
    ForegroundHandle::new(move || Box::new(foreground.enter()))
}

/// What a process does besides serving.
type Task = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// Runs a task; where it panics the whole process ends, rather than go on without one of its parts and look alive.
fn spawn_or_stop(tasks: &TaskTracker, stop: &CancellationToken, task: Task) {
    let (task, stop) = (tasks.spawn(task), stop.clone());
    tasks.spawn(async move {
        if task.await.is_err_and(|error| error.is_panic()) {
            tracing::error!("A part of this process has failed for good: it ends, for others to take over");
            stop.cancel();
        }
    });
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
