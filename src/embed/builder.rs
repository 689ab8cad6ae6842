//! Builds a monitor: rules, receivers, settings; started on the system clock, or stepped by hand.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use thiserror::Error;

use super::heart::Heart;
use super::monitor::Monitor;
use super::receivers::{Channel, Closure};
use super::rules::{Diagnostics, RuleSources};
use super::stepped::SteppedMonitor;
use crate::app::hub::{Hub, Parts};
use crate::app::keeper::{Keeper, Restored};
use crate::app::outbox::Target;
use crate::app::own_metrics::OwnMetrics;
use crate::app::threads::{Stopper, work_at_moments};
use crate::clock::{Clock, SimulatedClock, SystemClock};
use crate::engine::EngineOptions;
use crate::model::time::millis;
use crate::model::{Labels, Notice, Timestamp};
use crate::notify::{ConsoleFormat, ConsoleHandler, Handler};
use crate::persist::{OpenError, Options};
use crate::route::{GroupBy, Receiver, Route, Routes};
use crate::state::Externals;
use crate::store::embedded::{EmbeddedStore, StoreOptions};
use crate::telemetry::Registry;

/// Why there is no monitor.
#[derive(Debug, Error)]
pub enum BuildError {
    /// The rules have errors; nothing of them is used.
    #[error("the rules have errors:\n\n{0}")]
    Rules(#[source] Diagnostics),
    /// Receivers are told apart by their names.
    #[error("two receivers have the name {0:?}")]
    SameName(String),
    /// A thread cannot be started.
    #[error("cannot start a thread: {0}")]
    Thread(#[from] io::Error),
    /// The state of an earlier run cannot be used.
    #[error(transparent)]
    State(#[from] OpenError),
}

/// Takes everything a [`Monitor`] needs; every setting has a default.
#[must_use = "a builder does nothing until `start` or `stepped` is called"]
pub struct MonitorBuilder {
    rules: RuleSources,
    handlers: Vec<Arc<dyn Handler>>,
    console: Option<ConsoleFormat>,
    every: Duration,
    retention: Duration,
    external_labels: Labels,
    registry: Registry,
    state_dir: Option<PathBuf>,
    root: Route,
}

/// Name of the console as a receiver.
const CONSOLE: &str = "console";

impl MonitorBuilder {
    pub(super) fn new() -> Self {
        Self {
            rules: RuleSources::new(),
            handlers: Vec::new(),
            console: None,
            every: Duration::from_secs(15),
            retention: Duration::from_secs(24 * 3600),
            external_labels: Labels::empty(),
            registry: Registry::new(),
            state_dir: None,
            root: Route::default(),
        }
    }

    /// Adds the text of a rule file; `name` stands for its path in findings and messages.
    pub fn rules_text(mut self, name: &str, yaml: &str) -> Self {
        self.rules = self.rules.text(name, yaml);
        self
    }

    /// Adds a rule file, or all rule files of a folder.
    pub fn rules_path(mut self, path: impl Into<PathBuf>) -> Self {
        self.rules = self.rules.path(path);
        self
    }

    /// How often rules with neither `every` nor `cron` are evaluated, and how often the registry is recorded into the
    /// store (it is recorded at every evaluation besides). Default: 15 seconds, as in the daemon.
    pub fn evaluation_interval(mut self, interval: Duration) -> Self {
        self.every = interval;
        self
    }

    /// How long samples are kept in memory. Default: 24 hours. Rules see nothing older.
    pub fn retention(mut self, retention: Duration) -> Self {
        self.retention = retention;
        self
    }

    /// Labels of this installation: added to every notice (an alert's own label wins), and `$externalLabels` of
    /// templates.
    pub fn external_labels(mut self, labels: &[(&str, &str)]) -> Self {
        self.external_labels = Labels::from_pairs(labels.iter().copied());
        self
    }

    /// Records into a registry that the program has already, instead of into one of its own.
    pub fn registry(mut self, registry: Registry) -> Self {
        self.registry = registry;
        self
    }

    /// Keeps alert states, detectors and notices that are not yet delivered in this directory: read when the monitor is
    /// built, written at every change. Without it, a restarted program knows nothing of the alerts before. Each monitor
    /// needs a directory of its own.
    pub fn state_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.state_dir = Some(dir.into());
        self
    }

    /// Groups alerts: those with equal values of these labels are one notice. A new group waits `wait` for more of its
    /// kind, and between two notices about news of a group lie at least `interval`. Without it every alert is told at
    /// once, on its own.
    pub fn grouped(mut self, by: &[&str], wait: Duration, interval: Duration) -> Self {
        let names: Vec<String> = by.iter().map(|name| (*name).to_owned()).collect();
        let group_by = GroupBy::from_names(&names);
        self.root = Route { group_by, group_wait: wait, group_interval: interval, ..Route::default() };
        self
    }

    /// Tells a closure. Rules name it by `name` under `notify`; rules without `notify` tell everybody.
    ///
    /// It runs on a thread of its own and may take its time: notices wait for it in a queue, evaluation does not.
    pub fn on_notice(self, name: &str, call: impl FnMut(&Notice) + Send + 'static) -> Self {
        self.handler(Closure { name: name.to_owned(), call: Mutex::new(call) })
    }

    /// Tells a channel. While it is full, notices wait in a queue and are tried again; a step by hand waits for that, at
    /// most five seconds, so in tests give the channel room.
    pub fn channel(self, name: &str, sender: SyncSender<Notice>) -> Self {
        self.handler(Channel { name: name.to_owned(), sender })
    }

    /// Tells people at the terminal, on stdout, under the name `console`.
    pub fn console(mut self, format: ConsoleFormat) -> Self {
        self.console = Some(format);
        self
    }

    /// Tells a handler of another kind.
    pub fn handler(mut self, handler: impl Handler + 'static) -> Self {
        self.handlers.push(Arc::new(handler));
        self
    }

    /// Starts: rules are evaluated on a thread of their own, by the clock of the operating system.
    pub fn start(self) -> Result<Monitor, BuildError> {
        let mut monitor = self.build(Arc::new(SystemClock::new()))?;
        let heart = Arc::clone(&monitor.heart);
        monitor.threads.push(Stopper::spawn("alertd evaluate", move |stop| {
            work_at_moments(&*heart.hub.clock, &stop, || heart.next(), || drop(heart.beat()));
        })?);
        Ok(monitor)
    }

    /// Builds without starting: time stands at `start` until it is moved by [`SteppedMonitor::step`] or
    /// [`SteppedMonitor::run_until`]. For tests, replays, and programs with a loop of their own.
    pub fn stepped(self, start: Timestamp) -> Result<SteppedMonitor, BuildError> {
        let clock = Arc::new(SimulatedClock::new(start));
        let monitor = self.build(Arc::clone(&clock) as Arc<dyn Clock>)?;
        Ok(SteppedMonitor::new(monitor, clock))
    }

    fn build(mut self, clock: Arc<dyn Clock>) -> Result<Monitor, BuildError> {
        if let Some(format) = self.console {
            self.handlers.push(Arc::new(ConsoleHandler::stdout(CONSOLE, format)?));
        }
        let names: Vec<String> = self.handlers.iter().map(|handler| handler.name().to_owned()).collect();
        let mut seen = BTreeSet::new();
        if let Some(name) = names.iter().find(|name| !seen.insert(*name)) {
            return Err(BuildError::SameName(name.clone()));
        }
        let (rules, found) = self.rules.rules(self.every, &names).map_err(BuildError::Rules)?;

        let registry = Arc::new(self.registry);
        let store = StoreOptions { retention_ms: millis(self.retention), ..StoreOptions::default() };
        let metrics = OwnMetrics::new(registry);
        let (keeper, restored) = match &self.state_dir {
            Some(dir) => Keeper::open(dir, &Options::default(), metrics.clone(), clock.now())?,
            None => (Keeper::in_memory(metrics.clone()), Restored::default()),
        };
        let external_labels = self.external_labels;
        let externals = Externals { labels: external_labels.clone(), ..Externals::default() };
        let options = EngineOptions { externals, ..EngineOptions::default() };
        let parts = Parts { clock, store: Arc::new(EmbeddedStore::new(store)), metrics, keeper };
        let hub = Hub::new(parts, options)?;
        hub.restore(restored);
        hub.outbox.replace(self.handlers.into_iter().map(Target::new).collect());
        let receivers = names.iter().map(|name| receiver(name)).collect();
        let routes = Routes { receivers, external_labels, root: self.root, ..Routes::default() };
        hub.replace(rules, routes.clone());
        let heart = Arc::new(Heart::new(Arc::new(hub), self.every));
        Ok(Monitor {
            heart,
            threads: Vec::new(),
            routes,
            every: self.every,
            found: Mutex::new(found),
            keeps: self.state_dir.is_some(),
        })
    }
}

/// A receiver that is told everything: whoever gets values can choose among them.
fn receiver(name: &str) -> Receiver {
    Receiver::new(name)
}
