//! The core as one object: rules, their state, and one step.
//!
//! `(rules, state, samples, now) -> (state', transitions)`. The daemon, the dry run, rule tests and simulations own one
//! of these each and differ only in the store, the clock and the handlers around it. It reads no clock, does no I/O,
//! and its result does not depend on how many threads evaluate.

mod nearest;
mod needs;
mod order;
mod refresh;
mod remote;
mod series;
mod take_over;
mod trend;
mod warm;

#[cfg(test)]
mod group_tests;
#[cfg(test)]
mod remote_tests;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::eval::{self, EvalContext, EvalFailure, Outcome};
use crate::model::{AbsenceReason, Labels, Now, Sample, Timestamp, Transition};
use crate::promql::{
    Answers, EvalOptions, ParseOptions, Plan, SLIDE_BYTES_MAX_DEFAULT, SlideCache, SlideStats, SlotCache, Source,
    Value, VectorSample, eval_instant, for_stores, parse,
};
use crate::rule::{Condition, Rule};
use crate::state::{Advance, Advanced, Externals, Health, JudgedPoint, RuleState, SignalKeys};

pub use nearest::{NEAREST_MAX, Near};
pub use needs::Needed;

/// Most series of a signal for which a sparkline is drawn when alerts change.
const TREND_SERIES_MAX: usize = 2_000;

/// Settings of the core.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// Look-back and limits of queries.
    pub query: EvalOptions,
    /// What the installation adds to messages.
    pub externals: Externals,
    /// Threads that evaluate; 1 evaluates on the caller's.
    pub threads: usize,
    /// Bytes that windows may take that go on from slot to slot; those beyond are read whole at each evaluation.
    pub slide_bytes_max: usize,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            query: EvalOptions::default(),
            externals: Externals::default(),
            threads: 1,
            slide_bytes_max: SLIDE_BYTES_MAX_DEFAULT,
        }
    }
}

/// What a step reads and writes besides the state.
pub struct Surroundings<'a> {
    /// The store that rules read.
    pub source: &'a dyn Source,
    /// Takes the series that rules publish (detectors' bands), before rules that read them are evaluated.
    pub publish: &'a mut dyn FnMut(Vec<Sample>),
    /// Whether the store lost its newest samples a short while ago: restarted empty while the state was restored, or
    /// rewound because the clock was set back.
    pub young: bool,
    /// Time since any fixed instant, for measuring evaluations; decides nothing.
    pub stopwatch: &'a (dyn Fn() -> Duration + Sync),
}

/// How the evaluation of one rule went, for metrics and logs.
#[derive(Clone, Debug)]
pub struct Report {
    /// The rule.
    pub uid: Arc<str>,
    /// `ok`, `empty`, `partial` or `error`.
    pub result: &'static str,
    /// The error, if it failed.
    pub error: Option<String>,
    /// How many series the signal had.
    pub series: usize,
    /// Time spent evaluating.
    pub took: Duration,
    /// Series that came nearest to the condition.
    pub nearest: Vec<Near>,
}

impl Report {
    /// Notes an error that was found after the evaluation.
    fn fail(&mut self, error: Option<String>) {
        if error.is_some() {
            (self.error, self.result) = (error, "error");
        }
    }
}

/// What one step gave.
#[derive(Debug, Default)]
pub struct Step {
    /// In rule order, then in label order. The course of signals is there for rules on remote stores alone.
    pub transitions: Vec<Transition>,
    /// One per evaluated rule.
    pub reports: Vec<Report>,
    /// Judged values of anomaly rules, by index of the rule.
    pub judged: Vec<(usize, Vec<JudgedPoint>)>,
}

/// The state of every rule, whole: saved and restored as one value.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SavedState {
    /// Format of this value.
    pub version: u32,
    /// The last instant; the clock goes on from here.
    pub now: Option<Now>,
    /// State by rule uid.
    pub rules: BTreeMap<Arc<str>, RuleState>,
}

/// Format of [`SavedState`] that this version writes.
pub const SAVED_STATE_VERSION: u32 = 1;

/// Rules and their state.
pub struct Engine {
    rules: Arc<[Rule]>,
    /// Their places, by uid.
    places: BTreeMap<Arc<str>, usize>,
    /// Groups of rule indexes; each may read what the groups before it publish.
    order: Vec<Vec<usize>>,
    states: BTreeMap<Arc<str>, RuleState>,
    options: EngineOptions,
    last: Option<Now>,
    slides: Arc<SlideCache>,
    /// Series of rules that are gone, which are to end.
    retired: Vec<series::Retired>,
}

impl Engine {
    /// A core with these rules and no state.
    pub fn new(rules: Vec<Rule>, options: EngineOptions) -> Self {
        let slides = Arc::new(SlideCache::new(options.slide_bytes_max));
        let mut engine = Self {
            rules: Arc::default(),
            places: BTreeMap::new(),
            order: Vec::new(),
            states: BTreeMap::new(),
            options,
            last: None,
            slides,
            retired: Vec::new(),
        };
        engine.stand_in(rules);
        engine
    }

    /// The rules, in file order.
    pub fn rules(&self) -> &Arc<[Rule]> {
        &self.rules
    }

    /// The state of a rule, if it was evaluated.
    pub fn state(&self, uid: &str) -> Option<&RuleState> {
        self.states.get(uid)
    }

    /// The state of every rule that has one, by uid.
    pub fn states(&self) -> impl Iterator<Item = (&Arc<str>, &RuleState)> {
        self.states.iter()
    }

    /// What the windows take that go on from slot to slot, and what became of them.
    pub fn windows(&self) -> SlideStats {
        self.slides.stats()
    }

    /// The instant of the last step.
    pub fn last(&self) -> Option<Now> {
        self.last
    }

    /// The whole state.
    pub fn save(&self) -> SavedState {
        SavedState { version: SAVED_STATE_VERSION, now: self.last, rules: self.states.clone() }
    }

    /// Goes on from a saved state. State of rules that no longer exist is kept until [`Self::replace_rules`] or the
    /// first step ends their alerts.
    pub fn restore(&mut self, saved: SavedState) {
        self.states = saved.rules;
        self.last = saved.now;
    }

    /// Takes rules for the time until the real ones can be read: no state is touched, whoever it belongs to.
    pub fn stand_in(&mut self, rules: Vec<Rule>) {
        self.rules = rules.into();
        self.places = self.rules.iter().enumerate().map(|(place, rule)| (rule.uid.clone(), place)).collect();
        self.order = order::layers(&self.rules);
    }

    /// The index of a rule.
    pub fn index_of(&self, uid: &str) -> Option<usize> {
        self.places.get(uid).copied()
    }

    /// Evaluates the rules with these indexes at one instant and moves their alerts.
    pub fn step(&mut self, now: Now, due: &[usize], around: &mut Surroundings<'_>) -> Step {
        self.step_with(now, due, &Answered::new(), around)
    }

    /// As [`Self::step`], with what remote stores said to the [`questions`](Self::questions) of rules that they
    /// evaluate. A rule whose store said nothing has an error as its outcome.
    pub fn step_with(&mut self, now: Now, due: &[usize], answered: &Answered, around: &mut Surroundings<'_>) -> Step {
        // Answers may come after the step of a later slot.
        let later = |last: &Now| !answered.is_empty() && last.elapsed_ms > now.elapsed_ms;
        self.last = self.last.filter(later).or(Some(now));
        self.slides.forget_idle(now.slot.as_millis());
        let mut cache = SlotCache::with_slides(Arc::clone(&self.slides), now.slot.as_millis());
        let mut step = Step::default();
        let rules = Arc::clone(&self.rules);
        let due: BTreeSet<usize> = due.iter().copied().collect();
        let layers: Vec<Vec<usize>> =
            self.order.iter().map(|layer| layer.iter().copied().filter(|i| due.contains(i)).collect()).collect();
        for layer in layers.into_iter().filter(|layer| !layer.is_empty()) {
            let mut published = Vec::new();
            for (index, (mut outcome, took)) in self.observe_all(&layer, now.slot, (&cache, answered), around) {
                let Some(rule) = rules.get(index) else { continue };
                let reading = Reading { cache: &cache, source: around.source, young: around.young, answered };
                self.take((index, rule), (now, &mut outcome, took), &reading, (&mut step, &mut published));
            }
            if !published.is_empty() {
                (around.publish)(published);
                // What was read before may have been written since.
                self.slides.note_written();
                cache = SlotCache::with_slides(Arc::clone(&self.slides), now.slot.as_millis());
            }
        }
        let mut ended = Vec::new();
        self.bury(now, &mut ended);
        if !ended.is_empty() {
            (around.publish)(ended);
        }
        step
    }

    /// Takes what one evaluation gave: moves the rule's alerts, or records, and collects what is written.
    fn take(
        &mut self,
        (index, rule): (usize, &Rule),
        (now, outcome, took): (Now, &mut Outcome, Duration),
        reading: &Reading<'_>,
        (step, published): (&mut Step, &mut Vec<Sample>),
    ) {
        if rule.is_recording() {
            let mut report = report(rule, outcome, took);
            let state = self.states.entry(rule.uid.clone()).or_default();
            report.fail(series::record(rule, state, outcome, now, published));
            step.reports.push(report);
            return;
        }
        let before = self.states.get(&rule.uid).map(|state| series::active_alerts(rule, state)).unwrap_or_default();
        let advanced = self.advance(rule, now, outcome, reading);
        let mut report = report(rule, outcome, took);
        if let Some(state) = self.states.get_mut(&rule.uid) {
            publish(rule, &mut state.keys, (now.slot.minus(rule.query_offset()), &advanced.judged), published);
            series::write_alerts(rule, state, before, now, published);
            if let Health::Err { message, .. } = &state.health {
                report.fail(Some(message.clone()));
            }
        }
        step.reports.push(report);
        if !advanced.judged.is_empty() {
            step.judged.push((index, advanced.judged));
        }
        step.transitions.extend(advanced.transitions.into_iter().map(|moved| moved.transition));
    }

    /// Evaluates rules, on several threads where that pays; results come back in the order asked for.
    fn observe_all(
        &self,
        layer: &[usize],
        at: Timestamp,
        (cache, answered): (&SlotCache, &Answered),
        around: &Surroundings<'_>,
    ) -> Vec<(usize, (Outcome, Duration))> {
        let (source, stopwatch) = (around.source, around.stopwatch);
        let none = Answers::default();
        let one = |index: usize| {
            let begun = stopwatch();
            // A fault in one rule must not stop the others.
            let (outcome, waited) = match self.rules.get(index) {
                Some(rule) => {
                    let at = at.minus(rule.query_offset());
                    let answers = rule.source.is_some().then(|| answered.get(&rule.uid).unwrap_or(&none));
                    let context = EvalContext { source, options: &self.options.query, cache, answers };
                    let observed = catch_unwind(AssertUnwindSafe(|| eval::observe(rule, &context, at)));
                    let outcome = observed.unwrap_or_else(|panic| Outcome::Error(panicked(&*panic)));
                    (outcome, answers.map(|answers| answers.took).unwrap_or_default())
                }
                None => (Outcome::Error(EvalFailure { message: "no such rule".to_owned() }), Duration::ZERO),
            };
            (outcome, stopwatch().saturating_sub(begun) + waited)
        };
        let threads = self.options.threads.min(layer.len());
        if threads < 2 {
            return layer.iter().map(|&index| (index, one(index))).collect();
        }
        let next = std::sync::atomic::AtomicUsize::new(0);
        let done = Mutex::new(Vec::with_capacity(layer.len()));
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    loop {
                        let n = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        let Some(&index) = layer.get(n) else { break };
                        let result = one(index);
                        done.lock().unwrap_or_else(PoisonError::into_inner).push((n, index, result));
                    }
                });
            }
        });
        let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        done.sort_by_key(|(n, ..)| *n);
        done.into_iter().map(|(_, index, result)| (index, result)).collect()
    }

    fn advance(&mut self, rule: &Rule, now: Now, outcome: &mut Outcome, reading: &Reading<'_>) -> Advanced {
        let state = self.states.entry(rule.uid.clone()).or_default();
        let &Reading { cache, source, young, answered } = reading;
        let none = Answers::default();
        let answers = rule.source.is_some().then(|| answered.get(&rule.uid).unwrap_or(&none));
        let context = EvalContext { source, options: &self.options.query, cache, answers };
        let query = |text: &str| run_query(text, &context, now.slot);
        let at = now.slot.minus(rule.query_offset());
        let absence = |labels: &Labels| eval::absence(rule, source, labels, at);
        // A series that was seen to end is no longer awaited.
        let not_seen_yet = |labels: &Labels| {
            young && !eval::is_known(rule, &context, labels, at) && absence(labels) == AbsenceReason::NoData
        };
        let externals = &self.options.externals;
        let advance = Advance { rule, now, externals, query: &query, absence: &absence, not_seen_yet: &not_seen_yet };
        let advancing = AssertUnwindSafe(|| {
            if let (Condition::Anomaly { detector, .. }, Outcome::Signals { signals, .. }) =
                (&rule.condition, &*outcome)
            {
                state.keys.take(signals);
                if let Err(failure) = warm::cold_detectors(rule, detector, state, (&context, at)) {
                    // Verdicts of detectors that know nothing would be worth nothing: they are asked for again.
                    *outcome = Outcome::Error(failure);
                }
            }
            let mut advanced = advance.run(state, outcome);
            // Of others it is looked up where people are told.
            if answers.is_some()
                && matches!(&*outcome, Outcome::Signals { signals, .. } if signals.len() <= TREND_SERIES_MAX)
            {
                trend::fill(rule, &context, at, &mut advanced.transitions);
            }
            advanced
        });
        match catch_unwind(advancing) {
            Ok(advanced) => advanced,
            Err(panic) => advance.run(state, &Outcome::Error(panicked(&*panic))),
        }
    }
}

/// What remote stores said, by the uid of the rule.
pub type Answered = BTreeMap<Arc<str>, Answers>;

/// What the advance of a rule reads.
struct Reading<'a> {
    cache: &'a SlotCache,
    source: &'a dyn Source,
    young: bool,
    answered: &'a Answered,
}

fn report(rule: &Rule, outcome: &Outcome, took: Duration) -> Report {
    let (error, series) = match outcome {
        Outcome::Error(failure) => (Some(failure.message.clone()), 0),
        Outcome::Signals { signals, .. } => (None, signals.len()),
    };
    let nearest = nearest::nearest(rule, outcome);
    Report { uid: rule.uid.clone(), result: outcome.word(), error, series, took, nearest }
}

/// The series `<rule>:value`, `:expected`, `:lower`, `:upper`, `:score`.
fn publish(rule: &Rule, keys: &mut SignalKeys, (at, judged): (Timestamp, &[JudgedPoint]), out: &mut Vec<Sample>) {
    for (place, point) in judged.iter().enumerate() {
        // One point is judged per signal, in their order.
        let Some(published) = keys.published(place, &rule.name) else { continue };
        let series = published.iter().cloned().zip(point.band());
        out.extend(series.map(|(labels, value)| Sample { labels, at, value: value.into() }));
    }
}

/// A query of a template, at the slot of the rule.
fn run_query(text: &str, context: &EvalContext<'_>, at: Timestamp) -> Result<Vec<(Labels, f64)>, String> {
    let expr = parse(text, &ParseOptions::default()).map_err(|errors| match errors.first() {
        Some(error) => error.message.clone(),
        None => "not a query".to_owned(),
    })?;
    let value = match context.answers {
        Some(answers) => match answers.at(&for_stores(text), at.as_millis()) {
            Some(said) => said.map_err(|error| error.to_string()),
            None => Err("the store of the rule was not asked".to_owned()),
        },
        None => {
            let plan = Plan::new(&expr);
            eval_instant(&plan, context.source, at.as_millis(), context.options, context.cache)
                .map_err(|error| error.to_string())
        }
    };
    match value {
        // The value of a native histogram is 0, as in Prometheus.
        Ok(Value::Vector(samples)) => {
            let number = |s: &VectorSample| if s.histogram.is_some() { 0.0 } else { s.value };
            Ok(samples.into_iter().map(|s| (s.labels.clone(), number(&s))).collect())
        }
        Ok(Value::Scalar(value)) => Ok(vec![(Labels::empty(), value)]),
        Ok(_) => Err("query yields neither a vector nor a number".to_owned()),
        Err(message) => Err(message),
    }
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> EvalFailure {
    let text =
        panic.downcast_ref::<&str>().map(|s| (*s).to_owned()).or_else(|| panic.downcast_ref::<String>().cloned());
    let text = text.unwrap_or_else(|| "unknown cause".to_owned());
    EvalFailure { message: format!("internal error while evaluating (a fault of alertd, please report it): {text}") }
}
