//! The daemon: starts the threads, reloads, and ends them in order.
//!
//! Threads: the evaluator (slots), the loader (reloads one at a time), collectors (host, textfiles, own metrics, upkeep,
//! state), one per handler, and a small runtime for scraping and the HTTP API, which can be busy without delaying the
//! others.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicI64;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tracing::{error, info, warn};

use super::hub::{Hub, Parts};
use super::keeper::Keeper;
use super::load::{Inputs, Sources, load};
use super::outbox::Target;
use super::own_metrics::OwnMetrics;
use super::reloads::Reloads;
use super::reminders::Silencing;
use super::remote::writing::{self, Writing};
use super::remote::{Desk, Stores};
use super::replica::{self, Place, Seat};
use super::scraping::Sink;
use super::serving::{Ended, Signals, until_signal};
use super::start::{StartError, hold, listener, open};
use super::threads::{Stopper, cores};
use super::working::{Set, Work, beat};
use super::{builtin, collect, handlers, heartbeat, pressure, remote_write, routing_yaml, samples, upkeep};
use crate::config::ServerConfig;
use crate::config::watch::FileWatcher;
use crate::diag::{self, Diagnostic, Level};
use crate::engine::EngineOptions;
use crate::http::guard::Guard;
use crate::ingest::scrape::ScrapeJob;
use crate::ingest::scrape_loop::Scraper;
use crate::model::Timestamp;
use crate::notify::{Handler, Secrets};
use crate::persist::Loaded;
use crate::store::embedded::{EmbeddedStore, StoreOptions};
use crate::telemetry::Registry;

/// One that was displaced stands by after so long.
const STAND_BY_AFTER: Duration = Duration::from_millis(200);

/// A seat, and the state to go on from where it comes with the lease.
type Taken = (Arc<Seat>, Option<Loaded>);

/// What the command line overrides.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Where files are.
    pub sources: Sources,
    /// `--listen`
    pub listen: Option<String>,
    /// `--insecure-listen`
    pub insecure_listen: bool,
    /// `--data-dir`
    pub data_dir: Option<PathBuf>,
}

/// What was loaded last, and what was wrong with what was not taken.
#[derive(Clone, Debug, Default)]
pub struct LoadStatus {
    /// Counts the sets that were taken.
    pub generation: u64,
    /// Whether the last attempt was taken.
    pub ok: bool,
    /// When that was.
    pub at: Timestamp,
    /// Findings of the last attempt, one line each.
    pub findings: Vec<String>,
    /// Rule files of the set in use.
    pub files: usize,
}

/// A running daemon, as the API sees it.
pub struct Daemon {
    /// What the threads share.
    pub hub: Arc<Hub>,
    /// The last load.
    pub status: ArcSwap<LoadStatus>,
    settings: Settings,
    sink: Arc<Sink>,
    /// Takes remote writes.
    pub writes: remote_write::Receiver,
    /// How the samples on the disk stand.
    pub samples: Arc<samples::Standing>,
    /// Read by all handlers; lives as long as the process, so that a reload forgets no last good value.
    secrets: Arc<Secrets>,
    /// The handlers, for those who ask what they would send.
    pub(super) previews: ArcSwap<Vec<Arc<dyn Handler>>>,
    jobs: watch::Sender<Vec<Arc<ScrapeJob>>>,
    /// The configuration in use.
    pub config: ArcSwap<ServerConfig>,
    /// The routes and handlers in use in Alertmanager's language.
    pub(super) routing: ArcSwap<String>,
    /// Requests to read everything again.
    reloads: Reloads,
    /// The watcher and what it watches.
    watcher: Mutex<Option<(Vec<PathBuf>, FileWatcher)>>,
    /// Stops of the threads that depend on the configuration, replaced by a reload.
    collectors: Mutex<Vec<Stopper>>,
    /// The remote stores, and the thread that has them asked once there is one.
    stores: Arc<Stores>,
    desk: Mutex<Option<Stopper>>,
    writing: Mutex<Vec<Writing>>,
    /// The place among processes that share a database, where the state is in one.
    pub(super) seat: Option<Arc<Seat>>,
    /// What is to be evaluated and told.
    pub(super) work: Mutex<Work>,
    /// Evaluates rules while this process is the one that decides.
    pub(super) evaluator: Mutex<Option<Stopper>>,
    /// When the canary arrived last, on the steady clock; negative before the first time.
    pub(super) canary_ms: Arc<AtomicI64>,
}

/// A daemon whose threads are not started yet, and what they need.
struct Begun {
    daemon: Arc<Daemon>,
    jobs: Jobs,
    samples: Option<samples::Samples>,
}

/// What is scraped, as it changes.
type Jobs = watch::Receiver<Vec<Arc<ScrapeJob>>>;

/// Runs until a signal ends it. One that shares a database and was displaced begins anew, to stand by.
pub fn run(settings: Settings) -> Result<(), StartError> {
    crate::net::install();
    let run = replica::run_id();
    let mut signals = Signals::listen()?;
    let mut again = false;
    loop {
        match run_once(settings.clone(), (&run, again), &mut signals) {
            Ok(Ended::Stopped) => return Ok(()),
            Ok(Ended::Displaced) => again = true,
            // It worked a moment ago: somebody may be at its files.
            Err(error) if again => error!(%error, "Cannot stand by; trying again"),
            Err(error) => return Err(error),
        }
        if signals.end_within(STAND_BY_AFTER) {
            return Ok(());
        }
        info!("Starting again");
    }
}

fn run_once(settings: Settings, run: (&str, bool), signals: &mut Signals) -> Result<Ended, StartError> {
    let inputs = load(&settings.sources)?;
    if !inputs.config_read {
        return Err(StartError::Config(diag::text(&inputs.diagnostics, diag::TextStyle::default())));
    }
    let config = inputs.config.clone();
    let listen = settings.listen.clone().unwrap_or_else(|| config.listen.clone());
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_name("io").enable_all().build()?;
    let listener = runtime.block_on(listener(&listen, settings.insecure_listen))?;
    let data_dir = settings.data_dir.clone().unwrap_or_else(|| config.data_dir.clone());
    let _held = hold(&data_dir)?;
    let place = Place { config: &config.state, listen: &listen, data_dir: &data_dir };
    let seat = Seat::take(&place, run).map_err(StartError::State)?;
    let seat = seat.map(|(seat, loaded)| (Arc::new(seat), loaded));
    let (pulse, heard) = beat(seat.as_ref().map(|(seat, _)| seat))?;

    let Begun { daemon, jobs, samples } = Daemon::begin(settings, &inputs, &data_dir, seat)?;
    let hub = Arc::clone(&daemon.hub);
    let samples = samples.map(|samples| Arc::new(Mutex::new(samples)));
    if let Some(samples) = &samples {
        let _ = hub.settle_samples.set(samples::Samples::settler(samples, hub.metrics.clone())?);
    }
    let samples = samples
        .map(|samples| Stopper::spawn("samples", move |stop| samples::Samples::run(&samples, &stop)))
        .transpose()?;
    // What is wrong was logged, and /-/ready says it; the daemon waits for the files to be mended.
    let _ = daemon.take(inputs, "start");
    // Whoever is told that the daemon is ready may ask it: from here on the store is not empty.
    collect::record_own(&hub, hub.clock.now());

    let loader = Arc::clone(&daemon);
    let loader = Stopper::spawn("load", move |_stop| loader.reloads.run(|cause| loader.read(cause)))?;
    if daemon.works() {
        daemon.start_evaluator();
    }
    let watcher = Daemon::watch_lease(&daemon, heard)?;
    let keeper = Arc::clone(&daemon);
    let keeper = Stopper::spawn("upkeep", move |stop| upkeep::run(&keeper, &stop))?;

    let memory = pressure::start(&daemon)?;
    runtime.spawn(Scraper::new(hub.clock.clone(), daemon.sink.clone()).run(jobs));
    info!(address = %listen, version = env!("CARGO_PKG_VERSION"), "Listening");
    let guard = Guard {
        loopback: listener.local_addr().is_ok_and(|address| address.ip().to_canonical().is_loopback()),
        external_url: config.external_url.as_deref().and_then(|url| reqwest::Url::parse(url).ok()),
    };
    let ended = runtime.block_on(until_signal(listener, (Arc::clone(&daemon), guard), signals));

    info!("Stopping");
    // Its conclusions come to an end with what it hears.
    drop(pulse);
    drop(watcher);
    daemon.end_work();
    drop(lock(&daemon.desk).take());
    lock(&daemon.writing).clear();
    drop(memory);
    drop(lock(&daemon.watcher).take());
    daemon.reloads.stop();
    drop(loader);
    lock(&daemon.collectors).clear();
    daemon.end_work();
    if daemon.works() {
        hub.save();
    }
    // After everything that brings samples: the last step stores the last of them.
    drop(samples);
    match &daemon.seat {
        None => hub.outbox.close(config.shutdown_grace),
        // Whoever goes on need not wait for what only waits.
        Some(_) => hub.outbox.finish(if daemon.works() { config.shutdown_grace } else { Duration::ZERO }),
    }
    daemon.give_lease_back();
    drop(keeper);
    hub.keeper.move_history(hub.clock.now());
    runtime.shutdown_timeout(Duration::from_secs(1));
    info!("Stopped");
    Ok(ended)
}

impl Daemon {
    fn begin(settings: Settings, inputs: &Inputs, data_dir: &Path, seat: Option<Taken>) -> std::io::Result<Begun> {
        let clock = seat.as_ref().map_or_else(Arc::default, |(seat, _)| seat.clock());
        let registry = Arc::new(Registry::new());
        let retention_ms = crate::model::time::millis(inputs.config.store.retention);
        let series_max = inputs.config.store.max_series;
        let options = StoreOptions { retention_ms, series_max, needs_samples: true, ..StoreOptions::default() };
        let store = Arc::new(EmbeddedStore::new(options));
        let metrics = OwnMetrics::new(registry);
        let (samples, writer) = samples::open(data_dir, &inputs.config.store, &store, &metrics, &clock);
        let (keeper, restored, seat) = match seat {
            Some((seat, loaded)) => {
                let keeper = Keeper::unread(Arc::clone(&seat.persist) as _, metrics.clone());
                let restored = loaded.map(|loaded| keeper.take_up(loaded));
                (keeper, restored, Some(seat))
            }
            None => {
                let (keeper, restored) = open(data_dir, &inputs.config, &metrics, &clock);
                (keeper, Some(restored), None)
            }
        };
        let options = EngineOptions { externals: inputs.externals(), threads: cores(), ..EngineOptions::default() };
        let hub = Arc::new(Hub::new(Parts { clock, store, metrics, keeper }, options)?);
        let work = Mutex::new(Work::new(restored.is_some()));
        restored.into_iter().for_each(|restored| hub.restore(restored));
        let sink = Arc::new(Sink::new(Arc::clone(&hub)));
        let secrets: Arc<Secrets> = Arc::default();
        let stores = Arc::new(Stores::new(Arc::clone(&secrets), hub.metrics.clone()));
        let (jobs, scraped) = watch::channel(Vec::new());
        let daemon = Self {
            hub,
            status: ArcSwap::default(),
            settings,
            sink,
            secrets,
            previews: ArcSwap::default(),
            stores,
            desk: Mutex::default(),
            writing: Mutex::default(),
            writes: remote_write::Receiver::new(series_max),
            samples,
            jobs,
            config: ArcSwap::from_pointee(inputs.config.clone()),
            routing: ArcSwap::default(),
            reloads: Reloads::default(),
            watcher: Mutex::new(None),
            collectors: Mutex::default(),
            seat,
            work,
            evaluator: Mutex::default(),
            canary_ms: Arc::new(AtomicI64::new(-1)),
        };
        Ok(Begun { daemon: Arc::new(daemon), jobs: scraped, samples: writer })
    }

    /// Asks for a reload without waiting for it; requests that wait are one.
    pub fn request(&self, cause: &'static str) {
        self.reloads.ask(cause);
    }

    /// Reloads and says what came of it.
    pub fn reload_now(&self) -> Result<(), String> {
        self.reloads.ask_and_wait("API", Duration::from_secs(60))
    }

    /// Reads everything and takes it.
    fn read(self: &Arc<Self>, cause: &'static str) -> Result<(), String> {
        match load(&self.settings.sources) {
            Ok(inputs) => self.take(inputs, cause),
            Err(error) => self.refuse(cause, &[(Level::Error, error.to_string())]),
        }
    }

    /// Takes a set of inputs whole, or, if it has an error, keeps what there is.
    fn take(self: &Arc<Self>, inputs: Inputs, cause: &'static str) -> Result<(), String> {
        self.watch(&inputs);
        let found: Vec<(Level, String)> = inputs.diagnostics.iter().map(|found| (found.level, line(found))).collect();
        if inputs.has_errors() {
            if self.status.load().generation == 0 {
                self.watch_itself(&inputs);
            }
            return self.refuse(cause, &found);
        }
        let findings: Vec<String> = found.into_iter().map(|(_, line)| line).collect();
        for finding in &findings {
            warn!(finding, "A finding in the configuration");
        }
        self.routing.store(Arc::new(routing_yaml::text(&inputs)));
        let mut routes = inputs.routes();
        let mut targets = handlers::delivering(&inputs.handlers, &inputs.common(&self.secrets));
        self.previews.store(Arc::new(targets.iter().map(|target| Arc::clone(&target.handler)).collect()));
        let pings = handlers::pinging(&inputs.handlers, &inputs.common(&self.secrets));
        self.note_unchangeable(&inputs.config);
        self.hub.links.offer(inputs.config.external_url.is_some());
        let (files, mut rules) = (inputs.rule_files, inputs.rules);
        builtin::add(&mut rules, &inputs.config);
        let count = rules.len();
        let every = pings.iter().map(|(_, interval)| *interval).min();
        let every = every.map(|interval| interval.min(inputs.config.evaluation_interval));
        if let Some(canary) = every.and_then(heartbeat::canary_rule) {
            rules.push(canary);
            routes.receivers.push(heartbeat::canary_route());
            let canary = heartbeat::Canary::new(self.hub.clock.clone(), Arc::clone(&self.canary_ms));
            targets.push(Target::new(Arc::new(canary)));
        }
        self.hub.outbox.replace(targets);
        self.open_stores(&inputs.config);
        self.hub.silencing.store(Arc::new(Silencing::of(&inputs.config.silences)));
        self.start_collectors(&inputs.config);
        self.put_to_work(Set { rules, routes, pings, every });
        self.jobs.send_replace(self.sink.jobs(&inputs.config.scrape_configs, &self.secrets));
        self.config.store(Arc::new(inputs.config));
        let now = self.hub.clock.now();
        let generation = self.status.load().generation + 1;
        self.hub.metrics.reloaded(true, true, now.as_secs_f64());
        self.status.store(Arc::new(LoadStatus { generation, ok: true, at: now, findings, files }));
        info!(cause, generation, files, rules = count, "Rules loaded");
        Ok(())
    }

    /// The desk is started with the first remote store and stays.
    fn open_stores(&self, config: &ServerConfig) {
        let configs = config.remote_stores();
        let mut desk = lock(&self.desk);
        if desk.is_none() && !configs.is_empty() {
            match Desk::start(&self.hub, Arc::clone(&self.stores)) {
                Ok(started) => *desk = Some(started),
                Err(error) => error!(%error, "Remote stores cannot be asked"),
            }
        }
        self.stores.replace(configs);
        let mut writing = lock(&self.writing);
        let before = std::mem::take(&mut *writing);
        match writing::start(before, config, &self.secrets, &self.hub.metrics, &self.hub.clock) {
            Ok(started) => *writing = started,
            Err(error) => error!(%error, "Nothing is written to remote stores"),
        }
        let queues: Vec<_> = writing.iter().map(|writing| Arc::clone(&writing.queue)).collect();
        self.hub.writes.store(Arc::new(queues));
    }

    /// At the start there is no set before: the built-in rules alone run, so that the refusal itself is told.
    fn watch_itself(&self, inputs: &Inputs) {
        // Whoever stands by has nobody to tell.
        if !self.works() {
            return self.start_collectors(&inputs.config);
        }
        self.routing.store(Arc::new(routing_yaml::text(inputs)));
        self.hub.outbox.replace(handlers::delivering(&inputs.handlers, &inputs.common(&self.secrets)));
        self.hub.stand_in(builtin::of(&inputs.config), inputs.routes());
        self.start_collectors(&inputs.config);
    }

    fn refuse(&self, cause: &'static str, found: &[(Level, String)]) -> Result<(), String> {
        for (level, finding) in found.iter().take(50) {
            match level {
                Level::Error => error!(finding, "A finding in the configuration"),
                _ => warn!(finding, "A finding in the configuration"),
            }
        }
        let errors = found.iter().filter(|(level, _)| *level == Level::Error).count();
        let findings: Vec<String> = found.iter().map(|(_, line)| line.clone()).collect();
        let now = self.hub.clock.now();
        let before = self.status.load();
        self.hub.metrics.reloaded(false, before.generation > 0, now.as_secs_f64());
        error!(
            cause,
            errors,
            generation = before.generation,
            "{}",
            if before.generation == 0 {
                "No rule is loaded; waiting for the files to be mended"
            } else {
                "The new files were not taken; the set before stays"
            }
        );
        let text = findings.join("\n");
        let status = LoadStatus { ok: false, at: now, findings, ..LoadStatus::clone(&before) };
        self.status.store(Arc::new(status));
        Err(text)
    }

    /// Settings that are read once, at the start.
    fn note_unchangeable(&self, new: &ServerConfig) {
        let old = self.config.load();
        for (key, changed) in [
            ("listen", old.listen != new.listen),
            ("data_dir", old.data_dir != new.data_dir),
            ("store", samples::settings(&old.store) != samples::settings(&new.store)),
            ("state", old.state.settings() != new.state.settings()),
            ("external_labels", old.external_labels != new.external_labels),
            ("external_url", old.external_url != new.external_url),
        ] {
            if changed {
                warn!(key, "A changed setting takes effect at the next start");
            }
        }
    }

    /// Watches the files that were just read.
    fn watch(self: &Arc<Self>, inputs: &Inputs) {
        let mut watcher = lock(&self.watcher);
        if watcher.as_ref().is_some_and(|(watched, _)| *watched == inputs.watched) {
            return;
        }
        let daemon = Arc::downgrade(self);
        let changed = move |_| match daemon.upgrade() {
            Some(daemon) => {
                daemon.request("files changed");
                true
            }
            None => false,
        };
        match FileWatcher::spawn(inputs.watched.clone(), changed) {
            Ok(started) => *watcher = Some((inputs.watched.clone(), started)),
            Err(error) => warn!(%error, "Files are not watched; reload with SIGHUP or POST /-/reload"),
        }
    }

    /// Gives scrape jobs secrets that were rotated, and takes in jobs whose secrets can be read now.
    pub(super) fn refresh_secrets(&self) {
        let config = self.config.load();
        let mut texts = config.scrape_configs.iter().flat_map(|job| {
            let basic = job.basic_auth.iter().flat_map(|basic| [&basic.username, &basic.password]);
            basic.chain(job.authorization.iter().map(|authorization| &authorization.credentials))
        });
        if texts.all(|text| text.references().next().is_none()) {
            return;
        }
        let jobs = self.sink.jobs(&config.scrape_configs, &self.secrets);
        self.jobs.send_if_modified(|current| {
            let changed = *current != jobs;
            if changed {
                *current = jobs;
            }
            changed
        });
    }

    fn start_collectors(&self, config: &ServerConfig) {
        let mut collectors = lock(&self.collectors);
        collectors.clear();
        let mut start = |name: &str, work: Box<dyn FnOnce(Receiver<()>) + Send>| match Stopper::spawn(name, work) {
            Ok(stopper) => collectors.push(stopper),
            Err(error) => error!(name, %error, "A collector cannot be started"),
        };
        if config.host_metrics.enabled {
            let (hub, interval) = (Arc::clone(&self.hub), config.host_metrics.interval);
            start("host", Box::new(move |stop| collect::host(&hub, interval, &stop)));
        }
        let (hub, patterns, interval) = (Arc::clone(&self.hub), config.textfiles.clone(), config.evaluation_interval);
        start("textfiles", Box::new(move |stop| collect::textfiles(&hub, &patterns, interval, &stop)));
        let (hub, interval) = (Arc::clone(&self.hub), config.evaluation_interval);
        start("own", Box::new(move |stop| collect::own(&hub, interval, &stop)));
    }
}

/// A finding in one line.
fn line(finding: &Diagnostic) -> String {
    diag::concise(std::slice::from_ref(finding)).trim_end().to_owned()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
