//! Runs the roles of a process: all of them for `up`, one for `serve`, `plan` and `work`. Starts, supervises and stops them.

use std::{net::SocketAddr, process::ExitCode, sync::Arc, time::Duration};

use anyhow::bail;
use store::{
    clock,
    clock::{MarketClock, SharedClock},
    directory::Directory,
    events::{self, Notifier, Signals},
    market_sessions::SharedCalendars,
    processes::{self, Role},
    runs, scheduler,
};
use tokio::{net::TcpListener, sync::watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use crate::{
    config::Config,
    database::{self, DatabaseHandle},
    heartbeat,
    instance::Instance,
    shutdown::stop_on_signal,
    simulate, telemetry,
};
use engine::{
    Engine, asset_lists, calendar_exceptions, dispatch,
    foreground::Foreground,
    plan,
    providers::connect,
    splits::{corporate_actions, seen_adjusted::SeenAdjusted},
    verify,
};
use server::{
    App, ForegroundHandle, Metrics, ProviderState,
    auth::{AllowedHosts, Authenticator, Keys},
};

/// How long running tasks may take to finish.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(6);

/// How long deregistering the process may take.
const DEREGISTER_TIMEOUT: Duration = Duration::from_secs(1);

/// Service managers kill a process that hasn't ended after ten seconds.
const _: () = assert!(DRAIN_TIMEOUT.as_secs() + DEREGISTER_TIMEOUT.as_secs() + database::CLOSE_TIMEOUT.as_secs() < 10);

/// The roles that a process runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Roles {
    pub(crate) serve: bool,
    pub(crate) plan: bool,
    /// Requests at a time.
    pub(crate) work: Option<u16>,
}

/// What is printed about a process that has started.
pub(crate) struct StartupInfo<'a> {
    pub(crate) address: Option<SocketAddr>,
    pub(crate) simulated: bool,
    /// Whether there is neither a provider nor, in the database that the settings name, a simulator.
    pub(crate) fetches_nothing: bool,
    pub(crate) clock: MarketClock,
    pub(crate) keys: Option<&'a Keys>,
    pub(crate) handle: &'a DatabaseHandle,
}

impl Roles {
    /// Runs them until stopped. `instance` is the lock that `up` holds on the data directory. `on_start` is called once it
    /// has started.
    pub(crate) async fn run(
        self,
        mut config: Config,
        instance: Option<Instance>,
        on_start: impl AsyncFnOnce(StartupInfo<'_>) -> anyhow::Result<()>,
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
        let handle = DatabaseHandle::open_to_fetch(&mut config, self.connections(), true).await?;
        let outcome =
            self.run_until_stopped(&mut config, instance.as_ref(), &handle, keys, listener, &stop, on_start).await;
        stop.cancel();
        let closed = handle.close().await;
        outcome?;
        closed?;
        tracing::info!("Stopped");
        Ok(ExitCode::SUCCESS)
    }

    /// A slot needs one, and now and then another for its lease and budget; the planner, the listener and HTTP need more.
    fn connections(self) -> u32 {
        let slots = u32::from(self.work.unwrap_or(0));
        (6 + 2 * slots + if self.serve { 6 } else { 0 }).min(70)
    }

    fn as_parts(self) -> Vec<Role> {
        let roles = [(self.serve, Role::Serve), (self.plan, Role::Plan), (self.work.is_some(), Role::Work)];
        roles.into_iter().filter(|(enabled, _)| *enabled).map(|(_, part)| part).collect()
    }

    #[expect(clippy::too_many_arguments, reason = "called once, with everything a process needs")]
    async fn run_until_stopped(
        self,
        config: &mut Config,
        instance: Option<&Instance>,
        handle: &DatabaseHandle,
        keys: Option<Keys>,
        listener: Option<TcpListener>,
        stop: &CancellationToken,
        on_start: impl AsyncFnOnce(StartupInfo<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let migrated = handle.migrate().await?;
        if !migrated.applied.is_empty() {
            tracing::info!(migrations = migrated.applied.len(), "Updated the database schema");
        }
        let calendars = calendar_exceptions::start(&handle.database, &config.calendar_exceptions).await?;
        let worker: Arc<str> = match instance {
            Some(instance) => instance.worker_name(),
            None => format!("part/{}", Uuid::new_v4().simple()).into(),
        };
        if let Some(instance) = instance {
            // This process holds the lock, so the runs leased by earlier workers of this data directory are abandoned.
            processes::deregister(&handle.database, &instance.name).await?;
            let freed = runs::release(&handle.database, Some(&instance.name)).await?;
            if freed > 0 {
                tracing::info!(freed, "Requeued runs that an earlier process left unfinished");
            }
        }
        if self.plan {
            let copied = handle.import_simulated_interest(config).await?;
            if copied > 0 {
                tracing::info!(copied, "Symbols tracked with simulated bars are now tracked with real ones");
            }
        }
        let clock = self.market_clock(config, handle, &worker).await?;
        if self.plan {
            scheduler::heartbeat(&handle.database, scheduler::SCHEDULER, scheduler::STARTING, "").await?;
        }
        // Stopped after everything that sends requests to it.
        let stop_simulator = CancellationToken::new();
        let _stop_at_end = stop_simulator.clone().drop_guard();
        let fetches = self.plan || self.work.is_some();
        let simulated = fetches && simulate::start_if_no_provider(config, clock, &calendars, &stop_simulator).await?;
        let signals = match config.notify {
            true => events::listen(&handle.database, stop.clone()),
            false => Signals::without_notifications(),
        };
        let foreground = Foreground::default();
        let notifier =
            if config.notify { Notifier::start(&handle.database, stop.clone()) } else { Notifier::disabled() };
        let initial_state =
            if fetches { ProviderState::Connecting("not connected yet".to_owned()) } else { ProviderState::Elsewhere };
        let (provider_tx, provider_rx) = watch::channel(initial_state);
        let tasks = TaskTracker::new();
        let (exceptions, exception_signals) = (config.calendar_exceptions.clone(), signals.clone());
        tasks.spawn(calendar_exceptions::run(
            handle.database.clone(),
            calendars.clone(),
            exceptions,
            exception_signals,
            stop.clone(),
        ));
        let stop_all = stop.clone();
        let address = listener.as_ref().map(TcpListener::local_addr).transpose()?;
        if let (Some(listener), Some(address), Some(keys)) = (listener, address, keys.clone()) {
            let hosts = AllowedHosts::new(address, &config.allowed_hosts);
            let directory = Directory::new(handle.database.clone());
            let app = App {
                auth: Authenticator::new(
                    keys,
                    handle.database.clone(),
                    config.jwks.clone(),
                    config.public_url.as_ref().is_some_and(|url| url.scheme() == "https"),
                ),
                database: handle.database.clone(),
                directory: directory.clone(),
                calendars: calendars.clone(),
                provider: provider_rx,
                signals: signals.clone(),
                notifier: notifier.clone(),
                foreground: foreground_handle(&foreground),
                metrics: Metrics(telemetry::install_metrics()?),
                stop: stop.clone(),
            };
            tasks.spawn(async move {
                if let Err(error) = directory.warm().await {
                    tracing::warn!(%error, "Could not load the symbol directory ahead of the first search");
                }
            });
            let serving = axum::serve(listener, server::router(app, hosts))
                .with_graceful_shutdown(stop.clone().cancelled_owned());
            let stop_all = stop.clone();
            // One of the tasks, so that requests in progress are answered before the process ends.
            tasks.spawn(async move {
                if let Err(error) = serving.await {
                    tracing::error!(%error, "The HTTP server failed");
                }
                stop_all.cancel();
            });
        }
        let supervisor = Supervisor {
            roles: self,
            config,
            handle,
            clock: SharedClock::new(clock),
            calendars,
            notifier,
            foreground,
            signals,
            worker: Arc::clone(&worker),
            address,
            stop: stop.clone(),
        };
        on_start(StartupInfo {
            address,
            simulated,
            fetches_nothing: fetches && !config.may_fetch(),
            clock,
            keys: keys.as_ref(),
            handle,
        })
        .await?;
        let (outcome, (), ()) = tokio::join!(
            async {
                let outcome = supervisor.run_stages(provider_tx, &tasks).await;
                stop_all.cancel();
                outcome
            },
            supervisor.send_heartbeats(),
            handle.supervise_cluster(stop.clone()),
        );
        tasks.close();
        if tokio::time::timeout(DRAIN_TIMEOUT, tasks.wait()).await.is_err() {
            tracing::warn!("Some tasks did not finish within {} s; their leases will expire", DRAIN_TIMEOUT.as_secs());
        }
        let deregistered = async {
            if self.plan && !processes::others_plan(&handle.database, &worker).await? {
                scheduler::heartbeat(&handle.database, scheduler::SCHEDULER, scheduler::STOPPED, "").await?;
            }
            processes::deregister(&handle.database, &worker).await
        };
        match tokio::time::timeout(DEREGISTER_TIMEOUT, deregistered).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "Could not deregister this process"),
            Err(_) => tracing::warn!("Could not deregister this process in time"),
        }
        outcome
    }

    /// The market clock, which all processes on a database share: a planner sets it, unless other processes are running.
    async fn market_clock(self, config: &Config, handle: &DatabaseHandle, worker: &str) -> anyhow::Result<MarketClock> {
        let running = clock::read(&handle.database).await?;
        let sets_clock = self.plan || config.as_of.is_some();
        if !sets_clock || running.as_of == config.as_of && running.as_of.is_some() && !self.plan {
            return Ok(running);
        }
        if processes::others_running(&handle.database, worker).await? {
            if running.as_of == config.as_of {
                return Ok(running);
            }
            bail!(
                "another barkeep runs on this database with another market clock: stop it first, or use the same --as-of"
            );
        }
        Ok(clock::start(&handle.database, config.as_of).await?)
    }
}

/// What the stages need.
struct Supervisor<'a> {
    roles: Roles,
    config: &'a Config,
    handle: &'a DatabaseHandle,
    clock: SharedClock,
    calendars: SharedCalendars,
    signals: Signals,
    notifier: Notifier,
    foreground: Foreground,
    worker: Arc<str>,
    address: Option<SocketAddr>,
    stop: CancellationToken,
}

impl Supervisor<'_> {
    /// Without a provider: says so until the stop.
    async fn serve_what_is_stored(&self, state: &watch::Sender<ProviderState>) -> anyhow::Result<()> {
        tracing::warn!("{}", simulate::NO_PROVIDER);
        state.send_replace(ProviderState::Missing);
        while self.roles.plan && !self.stop.is_cancelled() {
            let (database, reason) = (&self.handle.database, simulate::NO_PROVIDER);
            if let Err(error) = scheduler::heartbeat(database, scheduler::SCHEDULER, scheduler::WAITING, reason).await {
                tracing::warn!(%error, "Could not report that the scheduler is waiting");
            }
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = tokio::time::sleep(Duration::from_secs(30)) => {}
            }
        }
        self.stop.cancelled().await;
        Ok(())
    }

    /// Starts the planner and workers once a provider is connected, and waits for the stop.
    async fn run_stages(&self, state: watch::Sender<ProviderState>, tasks: &TaskTracker) -> anyhow::Result<()> {
        if !self.roles.plan && self.roles.work.is_none() {
            self.stop.cancelled().await;
            return Ok(());
        }
        if !self.config.may_fetch() {
            return self.serve_what_is_stored(&state).await;
        }
        let mut delay = Duration::from_secs(1);
        let routes = loop {
            let error = match connect::connect(&self.config.providers, &self.handle.database, &self.clock).await {
                Ok(routes) => break routes,
                Err(error) => error,
            };
            if !error.may_pass() {
                return Err(error.into());
            }
            tracing::error!(%error, "Could not connect to a provider; retrying in {} s", delay.as_secs());
            state.send_replace(ProviderState::Connecting(error.to_string()));
            if self.roles.plan {
                let (database, reason) = (&self.handle.database, error.to_string());
                let reported = scheduler::heartbeat(database, scheduler::SCHEDULER, scheduler::WAITING, &reason).await;
                if let Err(error) = reported {
                    tracing::warn!(%error, "Could not report that the scheduler is waiting");
                }
            }
            tokio::select! {
                () = self.stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(delay) => {}
            }
            delay = (delay * 2).min(Duration::from_secs(30));
        };
        let engine = Engine {
            database: self.handle.database.clone(),
            routes,
            clock: self.clock.clone(),
            calendars: self.calendars.clone(),
            signals: self.signals.clone(),
            notifier: self.notifier.clone(),
            foreground: self.foreground.clone(),
            seen_adjusted: SeenAdjusted::default(),
            worker: Arc::clone(&self.worker),
            stop: self.stop.clone(),
        };
        let endpoints = engine.routes.all().map(|source| source.endpoint().clone()).collect();
        state.send_replace(ProviderState::Connected(endpoints));
        let alone = !processes::others_running(&engine.database, &self.worker).await?;
        plan::announce(&engine, !alone).await?;
        dispatch::retry_waiting(&engine).await?;
        let spawn = |task| spawn_critical(tasks, &self.stop, task);
        if self.roles.plan {
            spawn(Box::pin(plan::run(engine.clone())));
        }
        if let Some(slots) = self.roles.work {
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

    async fn send_heartbeats(&self) {
        let slots = self.roles.work.unwrap_or(0);
        let process = heartbeat::process_info(&self.worker, self.roles.as_parts(), slots, self.address);
        heartbeat::run(&self.handle.database, &process, &self.clock, &self.signals, &self.stop).await;
    }
}

/// Lets HTTP requests tell the workers that a user is waiting.
fn foreground_handle(foreground: &Foreground) -> ForegroundHandle {
    let foreground = foreground.clone();
    ForegroundHandle::new(move || Box::new(foreground.enter()))
}

/// A stage that runs until the process stops.
type Task = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// Runs a task. If it panics the whole process stops, rather than going on without it and looking healthy.
fn spawn_critical(tasks: &TaskTracker, stop: &CancellationToken, task: Task) {
    let (task, stop) = (tasks.spawn(task), stop.clone());
    tasks.spawn(async move {
        if task.await.is_err_and(|error| error.is_panic()) {
            tracing::error!("A stage of this process has panicked: stopping, so that another process takes over");
            stop.cancel();
        }
    });
}

async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => anyhow::anyhow!(
            "{address} is already in use (perhaps by another barkeep): choose another address with --listen, for \
             example --listen 127.0.0.1:{}",
            address.port().wrapping_add(1).max(1024)
        ),
        _ => anyhow::anyhow!("can't listen on {address} ({error}): choose another address with --listen"),
    })
}
