//! What the threads of one installation share: the store, the core with its agenda, the outbox, and own metrics. The
//! daemon owns one, and so does every [`Monitor`](crate::embed::Monitor) of the library.
//!
//! Place in the flow: the evaluator thread calls [`Hub::run_due`]; loaders call [`Hub::replace`]; the HTTP API reads
//! views. The core is behind one mutex: a step holds it, a view holds it for as long as it copies.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tracing::{error, info, info_span, warn};

use super::ack_links::AckLinks;
use super::agenda::{Agenda, Due};
use super::evaluations::Evaluations;
use super::heartbeat::Heartbeats;
use super::keeper::{Happened, Keeper, Kept, Own, Restored};
use super::outbox::Outbox;
use super::own_metrics::OwnMetrics;
use super::pressure::Pressure;
use super::reminders::{Ending, Silencing};
use super::remote::Remote;
use super::remote::writing::Queue;
use super::unsure::Unsure;
use crate::clock::Clock;
use crate::engine::{Answered, Engine, EngineOptions, Report, Step, Surroundings};
use crate::ingest::Batch;
use crate::model::alert::CANARY;
use crate::model::{Notice, Now, Sample, Timestamp, Transition};
use crate::persist::NewHistory;
use crate::received::Received;
use crate::route::{Router, Routes, Silences};
use crate::rule::Rule;
use crate::schedule::Schedule;
use crate::store::embedded::EmbeddedStore;
use crate::telemetry::TraceIds;

/// After a restart with saved state, a series that has not come back is "not seen yet" for this long, not gone.
const YOUNG_FOR: Duration = Duration::from_secs(300);
/// How long an expired silence is shown, as in Alertmanager.
const SILENCE_RETENTION: Duration = Duration::from_secs(120 * 3600);

/// The core and what moves with it; one mutex guards it all so that a view is never half old, half new.
pub struct Core {
    /// Rules and alert states.
    pub engine: Engine,
    /// When which rule is due.
    pub agenda: Agenda,
    /// What handlers know of alerts, and the groups they are told in.
    pub router: Router,
    /// Who is told, and how.
    pub routes: Arc<Routes>,
    /// What is not told for a time.
    pub silences: Silences,
    /// Alerts that others report.
    pub received: Received,
    /// The last evaluation of each rule.
    pub reports: BTreeMap<Arc<str>, Report>,
    /// Counts the sets of rules that were taken.
    pub generation: u64,
    /// Since when each enabled rule has the schedule that it has.
    pub(super) taken: BTreeMap<Arc<str>, (Timestamp, Schedule)>,
    /// What handlers know and is yet to be compared.
    unsure: Unsure,
    /// How evaluations went, as far as that is not in the history yet.
    evaluations: Evaluations,
}

/// What a hub is made of.
pub struct Parts {
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Samples.
    pub store: Arc<EmbeddedStore>,
    /// Own metrics.
    pub metrics: OwnMetrics,
    /// What outlives the process.
    pub keeper: Arc<Keeper>,
}

/// Stores something now.
pub type Settle = Box<dyn Fn() + Send + Sync>;

/// Shared by all threads of an installation.
pub struct Hub {
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Samples.
    pub store: Arc<EmbeddedStore>,
    /// Own metrics.
    pub metrics: OwnMetrics,
    /// What outlives the process.
    pub keeper: Arc<Keeper>,
    /// Notices on their way.
    pub outbox: Outbox,
    /// Jobs that ping.
    pub heartbeats: Heartbeats,
    /// The key of links in messages.
    pub links: AckLinks,
    /// Receivers of the series that rules make.
    pub writes: ArcSwap<Vec<Arc<Queue>>>,
    /// The way to remote stores, where there are any.
    pub remote: OnceLock<Remote>,
    /// How memory stands, and what is turned away for want of it.
    pub pressure: Pressure,
    /// What is asked of silences, and when people are reminded of them.
    pub silencing: ArcSwap<Silencing>,
    /// Silences that end soon.
    pub ending: Ending,
    /// Stores the samples that came so far, where samples are stored.
    pub settle_samples: OnceLock<Settle>,
    traces: TraceIds,
    core: Mutex<Core>,
    /// When (elapsed clock) the store last lost its newest samples: started empty with saved state, or was rewound.
    pub(super) young_since_ms: AtomicI64,
    started: Timestamp,
    last_slot_ms: AtomicI64,
}

impl Hub {
    /// A hub with an empty core.
    pub fn new(parts: Parts, options: EngineOptions) -> std::io::Result<Self> {
        let Parts { clock, metrics, keeper, .. } = &parts;
        let outbox = Outbox::new(Arc::clone(clock), metrics.clone(), Arc::clone(keeper) as _)?;
        Ok(Self::with(parts, options, outbox))
    }

    /// One that starts no thread and never waits: its outbox is run by hand.
    pub fn by_hand(parts: Parts, options: EngineOptions, seed: u64) -> Self {
        let Parts { clock, metrics, keeper, .. } = &parts;
        let outbox = Outbox::by_hand(Arc::clone(clock), metrics.clone(), Arc::clone(keeper) as _, seed);
        Self::with(parts, options, outbox)
    }

    fn with(parts: Parts, options: EngineOptions, outbox: Outbox) -> Self {
        let Parts { clock, store, metrics, keeper } = parts;
        let started = clock.now();
        metrics.gauge("alertd_start_time_seconds", started.as_secs_f64());
        let core = Core {
            engine: Engine::new(Vec::new(), options),
            agenda: Agenda::default(),
            router: Router::default(),
            routes: Arc::default(),
            silences: Silences::default(),
            received: Received::default(),
            reports: BTreeMap::new(),
            generation: 0,
            taken: BTreeMap::new(),
            unsure: Unsure::default(),
            evaluations: Evaluations::default(),
        };
        Self {
            clock,
            store,
            metrics,
            keeper,
            outbox,
            heartbeats: Heartbeats::default(),
            links: AckLinks::default(),
            writes: ArcSwap::default(),
            remote: OnceLock::new(),
            pressure: Pressure::default(),
            silencing: ArcSwap::default(),
            ending: Ending::default(),
            settle_samples: OnceLock::new(),
            traces: TraceIds::from_os(),
            core: Mutex::new(core),
            young_since_ms: AtomicI64::new(i64::MIN / 2),
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
        due.into_iter().chain(core.agenda.next()).chain(core.received.next()).min()
    }

    /// Evaluates and tells everything that is due; what changed, in slot order, then in rule order.
    pub fn run_due(&self) -> Vec<Arc<Transition>> {
        let mut core = self.core();
        let now = self.now_after_jumps(&mut core);
        let rules = Arc::clone(core.engine.rules());
        let due = core.agenda.take_due(&rules, now);
        let changed = due.iter().flat_map(|due| self.evaluate(&mut core, due)).collect();
        self.expire_received(&mut core, now);
        let moment = self.clock.at_slot(self.clock.now());
        if core.router.next_ms().is_some_and(|due_ms| due_ms <= moment.elapsed_ms) {
            self.tell(&mut core, Vec::new(), Some(Vec::new()), moment);
        }
        changed
    }

    fn evaluate(&self, core: &mut Core, due: &Due) -> Vec<Arc<Transition>> {
        let span = info_span!("evaluation", trace_id = %self.traces.next_id(), slot = %due.slot);
        let _entered = span.enter();
        if due.missed > 0 {
            warn!(missed = due.missed, "Evaluations were missed");
        }
        let here = self.ask_remote(core, due);
        self.step(core, &Due { rules: here, ..due.clone() }, &Answered::new())
    }

    /// Steps rules at a slot, with what remote stores said to them, and tells what came of it.
    pub(super) fn step(&self, core: &mut Core, due: &Due, answered: &Answered) -> Vec<Arc<Transition>> {
        let lag = self.clock.now().since(due.slot);
        let now = self.clock.at_slot(due.slot);
        let young_for_ms = now.elapsed_ms.saturating_sub(self.young_since_ms.load(Ordering::Relaxed));
        let young = young_for_ms < crate::model::time::millis(YOUNG_FOR);
        let clock = &self.clock;
        let mut publish = |samples: Vec<Sample>| self.publish(samples);
        let mut around =
            Surroundings { source: &*self.store, publish: &mut publish, young, stopwatch: &|| clock.monotonic() };
        let step = core.engine.step_with(now, &due.rules, answered, &mut around);
        // Answers may come after the step of a later slot: people are told now, never before what they were told then.
        let told = if answered.is_empty() {
            self.last_slot_ms.store(due.slot.0, Ordering::Relaxed);
            now
        } else {
            self.last_slot_ms.fetch_max(due.slot.0, Ordering::Relaxed);
            self.clock.at_slot(self.clock.now())
        };
        self.metrics.evaluated(due.slot.as_secs_f64(), lag, due.missed, &step.reports);
        self.record(core, step, told)
    }

    fn publish(&self, samples: Vec<Sample>) {
        self.writes.load().iter().for_each(|queue| queue.push(&samples));
        self.store.append(&Batch::from_iter(samples), self.clock.now().0);
    }

    fn record(&self, core: &mut Core, mut step: Step, now: Now) -> Vec<Arc<Transition>> {
        let Core { engine, router, unsure, evaluations, .. } = core;
        unsure.compare((engine, router), &mut step, now);
        for report in &step.reports {
            if let Some(rule) = engine.index_of(&report.uid).and_then(|at| engine.rules().get(at)) {
                evaluations.take(rule, report, now.slot);
            }
        }
        let evaluated = step.reports.iter().map(|report| report.uid.clone()).collect();
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
        let told = self.tell(core, step.transitions, Some(evaluated), now);
        self.count_alerts(core);
        told
    }

    /// Logs transitions, routes them, and hands notices to the outbox.
    pub(super) fn tell(
        &self,
        core: &mut Core,
        transitions: Vec<Transition>,
        evaluated: Option<Vec<Arc<str>>>,
        now: Now,
    ) -> Vec<Arc<Transition>> {
        let transitions: Vec<Arc<Transition>> = transitions.into_iter().map(Arc::new).collect();
        let notices = self.decide(core, &transitions, evaluated, now);
        self.put(notices);
        transitions
    }

    /// Puts what was decided on and stored into the queues of the handlers.
    pub(super) fn put(&self, notices: Vec<Arc<Notice>>) {
        for notice in notices {
            self.metrics.notice(&notice.handler, notice.kind.as_str());
            self.outbox.put(notice);
        }
    }

    /// Decides what is to be told, and stores that; the notices that are new.
    pub(super) fn decide(
        &self,
        core: &mut Core,
        transitions: &[Arc<Transition>],
        evaluated: Option<Vec<Arc<str>>>,
        now: Now,
    ) -> Vec<Arc<Notice>> {
        for t in transitions.iter().filter(|t| *t.alert.rule_uid != *CANARY) {
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
        let Core { router, routes, silences, engine, evaluations, received, .. } = core;
        let mut done = router.step(transitions.iter().cloned(), routes, silences, now);
        let left_out = engine.refresh(&mut done.notices, now, &*self.store);
        received.refresh(&mut done.notices);
        self.metrics.trends_left_out(left_out);
        self.metrics.history_dropped(evaluations.take_dropped());
        for held in &done.held {
            self.metrics.held(held.reason.as_str());
        }
        done.notices.iter_mut().for_each(|notice| self.links.sign(notice));
        self.count_held(silences, &done.held, now);
        let notices = self.outbox.with_fallbacks(done.notices, (&*router, &*routes), now);
        if transitions.iter().any(|t| *t.alert.rule_uid != *CANARY)
            && let Some(settle) = self.settle_samples.get()
        {
            settle();
        }
        // Stored first, delivered then: whatever happens in between, it is told.
        let fallbacks = self.outbox.fallbacks();
        let others = self.others();
        let mut kept = Kept { engine, router, routes, silences, fallbacks, others, received, evaluated, now };
        let happened =
            Happened { transitions, held: &done.held, notices: &notices, history: evaluations.due(now.slot) };
        self.keeper.commit(&mut kept, happened)
    }

    /// Takes another set of rules and handlers; what was told of rules that are gone is taken back.
    pub fn replace(&self, rules: Vec<Rule>, routes: Routes) {
        let mut core = self.core();
        let now = self.now(&mut core);
        let mut overdue = core.agenda.overdue(core.engine.rules(), now.slot);
        for renamed in core.engine.take_over(&rules) {
            info!(rule = %renamed.to, before = %renamed.from, "A rule goes on under another name");
            core.router.rename(&renamed);
            core.unsure.rename(&renamed);
            self.outbox.fallbacks().rename(&renamed);
            if let Some(slot) = overdue.remove(&renamed.from) {
                overdue.insert(renamed.to, slot);
            }
        }
        let mut transitions = core.engine.replace_rules(rules, now);
        self.install(&mut core, routes, &overdue);
        let Core { engine, router, routes, unsure, .. } = &mut *core;
        unsure.of_no_rule((engine, router), &mut transitions, now);
        router.reroute(routes, now);
        self.tell(&mut core, transitions, None, now);
        self.count_alerts(&core);
    }

    /// Takes rules and handlers for the time until the real ones can be read; the state of those stays as it is.
    pub fn stand_in(&self, rules: Vec<Rule>, routes: Routes) {
        let mut core = self.core();
        core.engine.stand_in(rules);
        self.install(&mut core, Routes { stand_in: true, ..routes }, &BTreeMap::new());
        self.count_alerts(&core);
    }

    /// Puts the engine's rules on the agenda, at first with the slots that rules before them did not get to, and their
    /// terms into the routes.
    fn install(&self, core: &mut Core, routes: Routes, overdue: &BTreeMap<Arc<str>, Timestamp>) {
        let rules = Arc::clone(core.engine.rules());
        let (enabled, disabled): (Vec<&Rule>, Vec<&Rule>) = rules.iter().partition(|r| r.enabled);
        let registry = self.metrics.registry();
        registry.gauge("alertd_rules", &[("state", "enabled")]).set(enabled.len() as f64);
        registry.gauge("alertd_rules", &[("state", "disabled")]).set(disabled.len() as f64);
        let now = self.clock.now();
        core.agenda = Agenda::going_on(&rules, now, overdue);
        let before = std::mem::take(&mut core.taken);
        let taken = |rule: &&Rule| {
            let same = before.get(&rule.uid).filter(|(_, schedule)| *schedule == rule.schedule);
            (rule.uid.clone(), same.cloned().unwrap_or_else(|| (now, rule.schedule.clone())))
        };
        core.taken = enabled.iter().map(taken).collect();
        core.generation += 1;
        core.routes = Arc::new(Routes { terms: super::routes::terms(&rules), ..routes });
        let Core { reports, routes, .. } = core;
        reports.retain(|uid, _| routes.terms.contains_key(uid));
    }

    /// Goes on from what an earlier process left.
    pub fn restore(&self, restored: Restored) {
        self.heartbeats.restore(&restored.settings);
        self.restore_links(&restored.settings);
        for (name, at) in self.heartbeats.list() {
            self.show_beat(&name, at);
        }
        if restored.is_empty() {
            return;
        }
        if let Some(now) = restored.state.now {
            self.clock.resume(now);
        }
        info!(
            rules = restored.state.rules.len(),
            waiting = restored.outbox.len(),
            silences = restored.silences.len(),
            "State restored"
        );
        let mut core = self.core();
        let alive = restored.state.now.map(|now| now.slot);
        core.engine.restore(restored.state);
        core.router = Router::restore(restored.router);
        self.restore_received(&mut core, restored.received, alive);
        core.unsure = Unsure::of(&core.engine, &core.router);
        core.silences = Silences::new(restored.silences);
        self.outbox.fallbacks().restore(restored.fallbacks);
        self.outbox.restore(restored.outbox);
        let now = self.clock.at_slot(self.clock.now());
        self.young_since_ms.store(now.elapsed_ms, Ordering::Relaxed);
        if let Some(alive) = alive {
            self.set_back_while_down(&mut core, alive, now.slot);
        }
    }

    /// How the evaluations of a rule, by name or uid, went, as far as that is not in the history yet.
    pub fn evaluations(&self, rule: &str) -> Vec<NewHistory> {
        self.core().evaluations.of(rule)
    }

    /// Forgets silences that have been over for `SILENCE_RETENTION`.
    pub fn forget_silences(&self, now: Timestamp) {
        let mut core = self.core();
        let over = core.silences.expired_before(now.minus(SILENCE_RETENTION));
        if !over.is_empty() && self.keeper.delete_now(crate::persist::Kind::Silence, &over).is_ok() {
            over.iter().for_each(|id| core.silences.remove(id));
        }
    }

    /// All that is known here, and what of it waits to be stored.
    pub fn own(&self) -> Own {
        let mut core = self.core();
        let now = self.now(&mut core);
        let Core { engine, router, routes, silences, received, .. } = &mut *core;
        let now = engine.last().unwrap_or(now);
        let (fallbacks, others) = (self.outbox.fallbacks(), self.others());
        self.keeper.own(&Kept { engine, router, routes, silences, fallbacks, others, received, evaluated: None, now })
    }

    /// Stores everything, detectors too: at the end of the process.
    pub fn save(&self) {
        let mut core = self.core();
        let now = self.now(&mut core);
        let Core { engine, router, routes, silences, evaluations, received, .. } = &mut *core;
        // The instant of the last step stays: what is not evaluated is not under watch.
        let now = engine.last().unwrap_or(now);
        let fallbacks = self.outbox.fallbacks();
        let others = self.others();
        let mut kept = Kept { engine, router, routes, silences, fallbacks, others, received, evaluated: None, now };
        let happened = Happened { history: evaluations.close(), ..Happened::default() };
        self.keeper.commit(&mut kept, happened);
        self.keeper.save_detectors(engine);
    }
}
