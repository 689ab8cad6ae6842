//! What the threads of one installation share: the store, the core with its agenda, the outbox, and own metrics. The
//! daemon owns one, and so does every [`Monitor`](crate::embed::Monitor) of the library.
//!
//! Place in the flow: the evaluator thread calls [`Hub::run_due`]; loaders call [`Hub::replace`]; the HTTP API reads
//! views. The core is behind one mutex: a step holds it, a view holds it for as long as it copies.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::{error, info, info_span, warn};

use super::agenda::{Agenda, Due};
use super::outbox::Outbox;
use super::own_metrics::OwnMetrics;
use crate::clock::Clock;
use crate::engine::{Engine, EngineOptions, Report, SavedState, Step, Surroundings};
use crate::ingest::Batch;
use crate::model::{AlertState, Now, Sample, Timestamp, Transition};
use crate::route::{Router, Routes, RuleTerms, Silences};
use crate::rule::Rule;
use crate::store::embedded::EmbeddedStore;
use crate::telemetry::TraceIds;

/// After a restart with saved state, a series that has not come back is "not seen yet" for this long, not gone.
const YOUNG_FOR: Duration = Duration::from_secs(300);

/// The core and what moves with it; one mutex guards it all so that a view is never half old, half new.
pub struct Core {
    /// Rules and alert states.
    pub engine: Engine,
    /// When which rule is due.
    pub agenda: Agenda,
    /// What handlers know of alerts, and the groups they are told in.
    pub router: Router,
    /// Who is told, and how.
    pub routes: Routes,
    /// What is not told for a time.
    pub silences: Silences,
    /// The last evaluation of each rule.
    pub reports: BTreeMap<Arc<str>, Report>,
}

/// Shared by all threads of an installation.
pub struct Hub {
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Samples.
    pub store: Arc<EmbeddedStore>,
    /// Own metrics.
    pub metrics: OwnMetrics,
    /// Notices on their way.
    pub outbox: Outbox,
    traces: TraceIds,
    core: Mutex<Core>,
    /// When (elapsed clock) the store last lost its newest samples: started empty with saved state, or was rewound.
    young_since_ms: AtomicI64,
    changed: AtomicBool,
    started: Timestamp,
    last_slot_ms: AtomicI64,
}

impl Hub {
    /// A hub with an empty core.
    pub fn new(
        clock: Arc<dyn Clock>,
        store: Arc<EmbeddedStore>,
        metrics: OwnMetrics,
        outbox: Outbox,
        options: EngineOptions,
    ) -> Self {
        let started = clock.now();
        metrics.gauge("alertd_start_time_seconds", started.as_secs_f64());
        let core = Core {
            engine: Engine::new(Vec::new(), options),
            agenda: Agenda::default(),
            router: Router::default(),
            routes: Routes::default(),
            silences: Silences::default(),
            reports: BTreeMap::new(),
        };
        Self {
            clock,
            store,
            metrics,
            outbox,
            traces: TraceIds::from_os(),
            core: Mutex::new(core),
            young_since_ms: AtomicI64::new(i64::MIN / 2),
            changed: AtomicBool::new(false),
            started,
            last_slot_ms: AtomicI64::new(0),
        }
    }

    /// The core, locked. A panic inside a step is caught there, so a poisoned lock is taken as it is.
    pub fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the process started.
    pub fn started(&self) -> Timestamp {
        self.started
    }

    /// The newest evaluated slot, if there is one.
    pub fn last_slot(&self) -> Option<Timestamp> {
        Some(self.last_slot_ms.load(Ordering::Relaxed)).filter(|ms| *ms != 0).map(Timestamp)
    }

    /// The next slot of any rule.
    pub fn next_slot(&self) -> Option<Timestamp> {
        self.core().agenda.next()
    }

    /// The next moment at which there is something to do: a slot, or a group that is due.
    pub fn next_moment(&self) -> Option<Timestamp> {
        let core = self.core();
        let now = self.clock.at_slot(self.clock.now());
        let due = core.router.next_ms().map(|due_ms| Timestamp(now.slot.0.saturating_add(due_ms - now.elapsed_ms)));
        due.into_iter().chain(core.agenda.next()).min()
    }

    /// Evaluates and tells everything that is due; what changed, in slot order, then in rule order.
    pub fn run_due(&self) -> Vec<Arc<Transition>> {
        let now = self.clock.now();
        let mut core = self.core();
        let jumps = self.clock.take_jumps();
        if !jumps.is_empty() {
            if jumps.iter().sum::<i64>() < 0 {
                // The time to come was lived through once already; its samples must not mix with the new ones.
                self.store.rewind(now.0);
                self.young_since_ms.store(self.clock.at_slot(now).elapsed_ms, Ordering::Relaxed);
            }
            for jump_ms in jumps {
                self.metrics.registry().counter("alertd_clock_jumps_total", &[]).inc();
                warn!(jump_seconds = jump_ms as f64 / 1000.0, "The clock was set or the machine slept");
            }
            let rules = Arc::clone(core.engine.rules());
            core.agenda = Agenda::catching_up(&rules, now);
        }
        let rules = Arc::clone(core.engine.rules());
        let due = core.agenda.take_due(&rules, now);
        let changed = due.iter().flat_map(|due| self.evaluate(&mut core, due)).collect();
        let moment = self.clock.at_slot(self.clock.now());
        if core.router.next_ms().is_some_and(|due_ms| due_ms <= moment.elapsed_ms) {
            self.tell(&mut core, Vec::new(), moment);
        }
        changed
    }

    fn evaluate(&self, core: &mut Core, due: &Due) -> Vec<Arc<Transition>> {
        let span = info_span!("evaluation", trace_id = %self.traces.next_id(), slot = %due.slot);
        let _entered = span.enter();
        let lag = self.clock.now().since(due.slot);
        if due.missed > 0 {
            warn!(missed = due.missed, "Evaluations were missed");
        }
        let now = self.clock.at_slot(due.slot);
        let young_for_ms = now.elapsed_ms.saturating_sub(self.young_since_ms.load(Ordering::Relaxed));
        let young = young_for_ms < crate::model::time::millis(YOUNG_FOR);
        let clock = &self.clock;
        let mut publish = |samples: Vec<Sample>| self.publish(samples);
        let mut around =
            Surroundings { source: &*self.store, publish: &mut publish, young, stopwatch: &|| clock.monotonic() };
        let step = core.engine.step(now, &due.rules, &mut around);
        self.last_slot_ms.store(due.slot.0, Ordering::Relaxed);
        self.metrics.evaluated(due.slot.as_secs_f64(), lag, due.missed, &step.reports);
        self.record(core, step, now)
    }

    fn publish(&self, samples: Vec<Sample>) {
        self.store.append(&Batch::from_iter(samples), self.clock.now().0);
    }

    fn record(&self, core: &mut Core, step: Step, now: Now) -> Vec<Arc<Transition>> {
        for report in step.reports {
            let before = core.reports.get(&report.uid).and_then(|r| r.error.as_ref());
            match (&report.error, before) {
                // Told once when it begins and once when it ends; in between the metrics and the API show it.
                (Some(message), None) => error!(rule = %report.uid, error = %message, "A rule cannot be evaluated"),
                (None, Some(_)) => info!(rule = %report.uid, "A rule can be evaluated again"),
                _ => {}
            }
            core.reports.insert(report.uid.clone(), report);
        }
        let told = self.tell(core, step.transitions, now);
        self.count_alerts(core);
        told
    }

    /// Logs transitions, routes them, and hands notices to the outbox.
    fn tell(&self, core: &mut Core, transitions: Vec<Transition>, now: Now) -> Vec<Arc<Transition>> {
        let transitions: Vec<Arc<Transition>> = transitions.into_iter().map(Arc::new).collect();
        if !transitions.is_empty() {
            self.changed.store(true, Ordering::Relaxed);
        }
        for t in &transitions {
            self.metrics.transition(t.kind.as_str());
            let alert = &t.alert;
            info!(
                rule = %alert.rule,
                kind = t.kind.as_str(),
                severity = %alert.severity,
                labels = %alert.labels,
                value = alert.value,
                fingerprint = %alert.fingerprint,
                "An alert changed"
            );
        }
        let Core { router, routes, silences, engine, .. } = core;
        let mut done = router.step(transitions.iter().cloned(), routes, silences, now);
        engine.refresh(&mut done.notices, now, &*self.store);
        for held in done.held {
            self.metrics.held(held.reason.as_str());
        }
        for notice in self.outbox.with_fallbacks(done.notices) {
            self.metrics.notice(&notice.handler, notice.kind.as_str());
            self.outbox.put(notice);
        }
        transitions
    }

    fn count_alerts(&self, core: &Core) {
        let (mut pending, mut firing, mut failing, mut detectors) = (0u32, 0u32, 0u32, 0usize);
        for rule in core.engine.rules().iter() {
            let Some(state) = core.engine.state(&rule.uid) else { continue };
            for instance in state.instances.values() {
                match instance.state {
                    AlertState::Pending => pending += 1,
                    AlertState::Firing => firing += 1,
                    AlertState::Inactive => {}
                }
            }
            failing += u32::from(matches!(state.health, crate::state::Health::Err { .. }));
            detectors += state.detectors.len();
        }
        let registry = self.metrics.registry();
        registry.gauge("alertd_alerts", &[("state", "pending")]).set(f64::from(pending));
        registry.gauge("alertd_alerts", &[("state", "firing")]).set(f64::from(firing));
        self.metrics.gauge("alertd_rules_failing", f64::from(failing));
        self.metrics.gauge("alertd_detectors", detectors as f64);
    }

    /// Takes another set of rules and handlers; what was told of rules that are gone is taken back.
    pub fn replace(&self, rules: Vec<Rule>, routes: Routes) {
        let mut core = self.core();
        let now = self.clock.at_slot(self.clock.now());
        let transitions = core.engine.replace_rules(rules, now);
        self.install(&mut core, routes);
        let Core { router, routes, silences, .. } = &mut *core;
        router.reroute(routes, silences, now);
        self.tell(&mut core, transitions, now);
        self.count_alerts(&core);
    }

    /// Takes rules and handlers for the time until the real ones can be read; the state of those stays as it is.
    pub fn stand_in(&self, rules: Vec<Rule>, routes: Routes) {
        let mut core = self.core();
        core.engine.stand_in(rules);
        self.install(&mut core, routes);
        self.count_alerts(&core);
    }

    /// Puts the engine's rules on the agenda, and their terms into the routes.
    fn install(&self, core: &mut Core, routes: Routes) {
        let rules = Arc::clone(core.engine.rules());
        let (enabled, disabled): (Vec<&Rule>, Vec<&Rule>) = rules.iter().partition(|r| r.enabled);
        let registry = self.metrics.registry();
        registry.gauge("alertd_rules", &[("state", "enabled")]).set(enabled.len() as f64);
        registry.gauge("alertd_rules", &[("state", "disabled")]).set(disabled.len() as f64);
        core.agenda = Agenda::new(&rules, self.clock.now());
        core.reports.retain(|uid, _| rules.iter().any(|rule| rule.uid == *uid));
        self.pin(&rules);
        let terms =
            |rule: &Rule| (rule.uid.clone(), RuleTerms { cooldown: rule.cooldown, notify: rule.notify.clone() });
        core.routes = Routes { terms: rules.iter().map(terms).collect(), ..routes };
    }

    /// Series that rules read are not thrown out to make room for new ones.
    fn pin(&self, rules: &[Rule]) {
        let selectors = rules
            .iter()
            .filter(|rule| rule.enabled)
            .flat_map(crate::eval::signal_queries)
            .flat_map(|query| query.plan.selectors().iter().map(|s| s.matchers.to_vec()).collect::<Vec<_>>())
            .collect();
        self.store.pin(selectors);
    }

    /// Goes on from a state file, if there is one. A file that cannot be read is set aside, never overwritten.
    pub fn restore(&self, file: &Path) {
        let text = match std::fs::read(file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
            Err(error) => {
                error!(file = %file.display(), %error, "The state cannot be read; starting without it");
                return;
            }
        };
        match read_state(&text) {
            Ok(saved) => {
                if let Some(now) = saved.now {
                    self.clock.resume(now);
                }
                info!(rules = saved.rules.len(), "State restored");
                self.core().engine.restore(saved);
                let now = self.clock.at_slot(self.clock.now());
                self.young_since_ms.store(now.elapsed_ms, Ordering::Relaxed);
            }
            Err(reason) => {
                let aside = file.with_extension(format!("damaged-{}", self.started.0));
                let moved = std::fs::rename(file, &aside);
                error!(reason, kept_as = %aside.display(), moved = moved.is_ok(), "The state is damaged; starting without it");
            }
        }
    }

    /// Whether alerts have changed since this was last asked.
    pub fn take_changed(&self) -> bool {
        self.changed.swap(false, Ordering::Relaxed)
    }

    /// Writes the state: whole or not at all.
    pub fn save(&self, file: &Path) {
        let saved = self.core().engine.save();
        match write_state(file, &saved) {
            Ok(()) => self.metrics.gauge("alertd_state_last_save_timestamp_seconds", self.clock.now().as_secs_f64()),
            Err(error) => {
                self.metrics.registry().counter("alertd_state_save_failures_total", &[]).inc();
                warn!(file = %file.display(), %error, "The state cannot be saved");
            }
        }
    }
}

fn read_state(text: &[u8]) -> Result<SavedState, String> {
    let saved: SavedState = serde_json::from_slice(text).map_err(|e| e.to_string())?;
    if saved.version > crate::engine::SAVED_STATE_VERSION {
        return Err(format!("format {} was written by a newer version of alertd", saved.version));
    }
    Ok(saved)
}

fn write_state(file: &Path, saved: &SavedState) -> std::io::Result<()> {
    use std::io::Write as _;
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let temporary = file.with_extension("tmp");
    let mut out = std::io::BufWriter::new(std::fs::File::create(&temporary)?);
    serde_json::to_writer(&mut out, saved)?;
    out.flush()?;
    out.get_ref().sync_all()?;
    std::fs::rename(&temporary, file)
}
