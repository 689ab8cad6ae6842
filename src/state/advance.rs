//! One rule, one slot: from an outcome to transitions.

use std::collections::BTreeMap;

use super::alert_labels::{SEVERITY, severity_of, shown, worse};
use super::instance::{Input, Terms};
use super::{Health, Instance, JudgedPoint, RESOLVED_RETENTION, RuleState};
use crate::eval::{LevelBits, Outcome, Signal};
use crate::model::labels::ALERT_NAME;
use crate::model::time::millis;
use crate::model::{AbsenceReason, AlertState, Labels, Now, ResolveReason, Transition, TransitionKind};
use crate::rule::{Condition, OnMissing, Rule};

/// Key of the alert that says that a rule cannot be evaluated (`on_error: fire`).
const ERROR_KEY: (&str, &str) = ("alertd_reason", "error");
/// Key of the alert that says that a rule has more alerts than `max_alerts`.
const LIMIT_KEY: (&str, &str) = ("alertd_reason", "max_alerts");

/// What the installation adds to templates and messages.
#[derive(Clone, Debug, Default)]
pub struct Externals {
    /// `external_labels` of the configuration.
    pub labels: Labels,
    /// `external_url`.
    pub url: String,
}

/// Result of a template's `query`.
pub type TemplateQuery<'a> = &'a dyn Fn(&str) -> Result<Vec<(Labels, f64)>, String>;

/// Everything one step reads besides the rule's own state.
pub struct Advance<'a> {
    /// The rule.
    pub rule: &'a Rule,
    /// The instant.
    pub now: Now,
    /// What the installation adds.
    pub externals: &'a Externals,
    /// Runs a query for a template, at the slot.
    pub query: TemplateQuery<'a>,
    /// Why the signal with these labels (without name) is missing.
    pub absence: &'a dyn Fn(&Labels) -> AbsenceReason,
    /// Whether the store was restarted empty and has not seen the series behind these labels yet: even plain PromQL
    /// then has no answer, not an empty one.
    pub not_seen_yet: &'a dyn Fn(&Labels) -> bool,
}

/// A transition and the labels (without name) of the signal it came from.
#[derive(Clone, Debug, PartialEq)]
pub struct Moved {
    /// Key of the alert within the rule.
    pub key: Labels,
    /// What happened.
    pub transition: Transition,
}

/// What one step gave.
#[derive(Debug, Default, PartialEq)]
pub struct Advanced {
    /// In label order; of one alert in the order they happened. `trend` is empty: the engine fills it.
    pub transitions: Vec<Moved>,
    /// Of an anomaly rule: every judged value.
    pub judged: Vec<JudgedPoint>,
}

/// Collects while the rule's alerts are walked.
#[derive(Default)]
pub(super) struct Walk<'a> {
    /// Label sets for which a separate recovery query holds, sorted; `None` where the rule has none.
    pub(super) recovered: Option<&'a [Labels]>,
    /// Keys of alerts that had an input, in the order of the signals.
    pub(super) visited: Vec<Labels>,
    pub(super) active: usize,
    pub(super) refused: usize,
    pub(super) done: Advanced,
}

impl Advance<'_> {
    /// Moves every alert of the rule by one observation.
    pub fn run(&self, state: &mut RuleState, outcome: &Outcome) -> Advanced {
        state.evaluated_at = Some(self.now.slot);
        let mut advanced = match outcome {
            Outcome::Error(failure) => self.failed(state, &failure.message),
            Outcome::Signals { signals, recovered, complete, .. } => {
                state.keys.take(signals);
                match self.duplicate(state, signals) {
                    Some(message) => self.failed(state, &message),
                    None => {
                        state.health = Health::Ok;
                        self.observed(state, signals, recovered.as_deref(), *complete)
                    }
                }
            }
        };
        self.prune(state);
        for moved in &mut advanced.transitions {
            state.sequence += 1;
            moved.transition.sequence = state.sequence;
        }
        advanced
    }

    fn terms(&self) -> Terms<'_> {
        Terms {
            levels: self.levels(),
            hold: self.rule.hold,
            keep_firing_for: self.rule.keep_firing_for,
            no_data_timeout: self.rule.no_data_timeout,
            flapping: self.rule.flapping,
        }
    }

    fn observed(
        &self,
        state: &mut RuleState,
        signals: &[Signal],
        recovered: Option<&[Labels]>,
        complete: bool,
    ) -> Advanced {
        // The alerts about the rule itself take no place of those it is about.
        let active = state.instances.iter().filter(|(key, i)| i.is_active() && !is_internal(key)).count();
        let mut walk = Walk { recovered, active, ..Walk::default() };
        let detects = matches!(self.rule.condition, Condition::Anomaly { .. });
        let active = state.keys.active(&state.instances);
        for (place, signal) in signals.iter().enumerate() {
            // Nearly all signals of nearly all rules: nothing holds, and no alert is there to end.
            if signal.reached == 0 && !detects && !active.get(place).copied().unwrap_or(false) {
                continue;
            }
            let key = state.keys.key(place, signal);
            let level = self.level_of(state, &mut walk, &key, signal);
            self.signal(state, &mut walk, (place, key, signal), level);
        }
        if complete {
            self.missing(state, &mut walk, !signals.is_empty());
            self.unseen(state, &mut walk);
        }
        self.summary(state, &mut walk);
        walk.done
    }

    /// The level a signal puts its alert at; `None` if the condition does not hold.
    fn level_of(&self, state: &mut RuleState, walk: &mut Walk<'_>, key: &Labels, signal: &Signal) -> Option<u8> {
        if let Condition::Anomaly { detector: config, .. } = &self.rule.condition {
            let judged = state.detectors.judge(config, (key, signal.value), self.now.slot);
            let level = judged.judgement.anomalous.then_some(0);
            walk.done.judged.push(judged);
            return level;
        }
        let firing = state.instances.get(key).filter(|i| i.state == AlertState::Firing);
        let firing_at = firing.map(|i| i.level_of_condition(self.levels()));
        let mut bits = signal.reached;
        if let Some(level) = firing_at {
            let up_to_here = LevelBits::MAX >> (LevelBits::BITS - 1 - u32::from(level.min(7)));
            bits |= signal.kept & up_to_here;
        }
        (bits != 0).then(|| (LevelBits::BITS - 1 - bits.leading_zeros()) as u8)
    }

    fn signal(
        &self,
        state: &mut RuleState,
        walk: &mut Walk<'_>,
        (place, key, signal): (usize, Labels, &Signal),
        level: Option<u8>,
    ) {
        let input = match level {
            Some(level) => Input::Holds { level, value: signal.value },
            None if !state.instances.get(&key).is_some_and(Instance::is_active) => return,
            // With a separate recovery query only its answer ends the alert.
            None if held_by_recovery(state, &key, walk.recovered) => {
                Input::Holds { level: self.level_before(state, &key), value: signal.value }
            }
            None => Input::Clear { value: Some(signal.value) },
        };
        if let Input::Holds { value, .. } = input
            && !self.hold(state, walk, (place, &key, signal), value)
        {
            return;
        }
        if let Some(judged) = walk.done.judged.last().filter(|j| j.labels == key && j.judgement.anomalous) {
            let limit =
                if judged.value > judged.judgement.upper { judged.judgement.upper } else { judged.judgement.lower };
            if let Some(instance) = state.instances.get_mut(&key) {
                instance.limit = Some(limit);
            }
        }
        self.apply(state, walk, &key, input);
        walk.visited.push(key);
    }

    /// Makes or refreshes the alert of a signal whose condition holds; false where `max_alerts` keeps it out.
    fn hold(
        &self,
        state: &mut RuleState,
        walk: &mut Walk<'_>,
        (place, key, signal): (usize, &Labels, &Signal),
        value: f64,
    ) -> bool {
        let sample = &signal.labels;
        let labels = match self.labels_are_fixed() {
            true => state.keys.alert_labels(place, || self.alert_labels(sample, value)),
            false => self.alert_labels(sample, value),
        };
        let refresh = |instance: &mut Instance| {
            instance.sample_labels = sample.clone();
            instance.annotations = self.annotations(sample, value);
        };
        let flaps = match state.instances.get_mut(key) {
            Some(instance) if instance.is_active() && instance.labels == labels => {
                refresh(instance);
                return true;
            }
            // A label that follows the value makes another alert of it, as in Prometheus.
            Some(instance) if instance.is_active() => self.displace(state, walk, key),
            Some(instance) => instance.flaps.clone(),
            None => None,
        };
        if self.take_up(state, key, &labels) {
            if let Some(instance) = state.instances.get_mut(key) {
                instance.flaps = flaps;
                refresh(instance);
            }
            return true;
        }
        if walk.active >= self.rule.alerts_max {
            walk.refused += 1;
            return false;
        }
        walk.active += 1;
        let new = || Instance::new(sample.clone(), labels.clone(), self.now);
        let instance = state.instances.entry(key.clone()).or_insert_with(new);
        // What was counted of the signal goes on, whichever alert it had until now.
        (instance.labels, instance.flaps) = (labels, flaps);
        refresh(instance);
        true
    }

    /// One alert that tells the true count where `max_alerts` keeps the rest out.
    fn summary(&self, state: &mut RuleState, walk: &mut Walk<'_>) {
        state.over_limit = walk.refused;
        let (total, most) = (walk.active + walk.refused, self.rule.alerts_max);
        let text = match self.rule.group.as_ref().and_then(|group| group.limit) {
            Some(limit) if limit == most => format!("limit exceeded: {total} > {limit} alerts, {} kept", walk.active),
            _ => format!("{total} alerts, {} of them kept (max_alerts: {most})", walk.active),
        };
        let value = (walk.refused > 0).then_some((walk.active + walk.refused) as f64);
        self.internal(state, walk, LIMIT_KEY, (value, &text));
        self.internal(state, walk, ERROR_KEY, (None, ""));
    }

    /// Holds the state, unless the rule says otherwise.
    fn failed(&self, state: &mut RuleState, message: &str) -> Advanced {
        state.fail(message, self.now.slot);
        let mut walk = Walk::default();
        match self.rule.on_error {
            OnMissing::Keep => {}
            OnMissing::Fire => {
                let text = format!("the rule cannot be evaluated: {message}");
                self.internal(state, &mut walk, ERROR_KEY, (Some(f64::NAN), &text));
            }
            OnMissing::Resolve => {
                let active: Vec<Labels> =
                    state.instances.iter().filter(|(_, i)| i.is_active()).map(|(k, _)| k.clone()).collect();
                for key in active {
                    self.apply(state, &mut walk, &key, Input::Gone { reason: ResolveReason::Error });
                }
            }
        }
        walk.done
    }

    /// Raises (`Some(value)`) or ends an alert about the rule itself.
    fn internal(
        &self,
        state: &mut RuleState,
        walk: &mut Walk<'_>,
        key: (&str, &str),
        (value, text): (Option<f64>, &str),
    ) {
        let key = Labels::from_pairs([key]);
        let active = state.instances.get(&key).is_some_and(Instance::is_active);
        let Some(value) = value else {
            if active {
                self.apply(state, walk, &key, Input::Gone { reason: ResolveReason::Recovered });
            }
            return;
        };
        let labels = self.alert_labels(&key, value);
        let instance =
            state.instances.entry(key.clone()).or_insert_with(|| Instance::new(key.clone(), labels.clone(), self.now));
        instance.labels = labels;
        instance.annotations = self.annotations(&key, value).with("summary", text);
        self.apply(state, walk, &key, Input::Holds { level: 0, value });
    }

    /// Steps one alert and records what happened.
    pub(super) fn apply(&self, state: &mut RuleState, walk: &mut Walk<'_>, key: &Labels, input: Input) {
        let Some(instance) = state.instances.get_mut(key) else { return };
        let level_before = instance.level;
        let peak_before = if instance.is_active() { instance.peak } else { f64::NAN };
        let was_active = instance.is_active();
        let kinds = instance.step(input, self.terms(), self.now);
        if was_active && !instance.is_active() && !is_internal(key) {
            walk.active = walk.active.saturating_sub(1);
        }
        if matches!(input, Input::Holds { .. }) {
            instance.peak = worse(self.rule, instance.level, peak_before, instance.value);
        }
        for kind in kinds {
            let from = severity_of(self.rule, level_before);
            let kind = match kind {
                TransitionKind::Raised { .. } => TransitionKind::Raised { from },
                TransitionKind::Lowered { .. } => TransitionKind::Lowered { from },
                other => other,
            };
            let transition = Transition {
                at: self.now.slot,
                sequence: 0,
                kind,
                alert: shown(self.rule, instance),
                trend: Vec::new(),
                link: None,
            };
            walk.done.transitions.push(Moved { key: key.clone(), transition });
        }
    }

    /// Two signals that would make one alert: the rule's labels hide what tells them apart.
    fn duplicate(&self, state: &mut RuleState, signals: &[Signal]) -> Option<String> {
        // Only a label that the samples carry too can make two of them equal.
        let overrides =
            |name: &str| name == ALERT_NAME || name == SEVERITY || self.rule.labels.iter().any(|(n, _)| **n == *name);
        if !state.keys.overridden(overrides) {
            return None;
        }
        let mut seen: BTreeMap<Labels, &Labels> = BTreeMap::new();
        for signal in signals {
            let active = || state.instances.get(&signal.labels.without_name()).is_some_and(Instance::is_active);
            if signal.reached == 0 && !active() {
                continue;
            }
            if let Some(other) = seen.insert(self.alert_labels(&signal.labels, signal.value), &signal.labels) {
                return Some(format!(
                    "{other} and {} give the same labels after the rule's labels are applied",
                    signal.labels
                ));
            }
        }
        None
    }

    /// Forgets ended alerts that nothing waits for any more.
    fn prune(&self, state: &mut RuleState) {
        let now = self.now;
        state.instances.retain(|_, i| {
            let Some((_, ended_ms)) = i.ended_at else { return true };
            let kept = now.elapsed_ms.saturating_sub(ended_ms) < millis(RESOLVED_RETENTION);
            let counts = || i.flaps.as_ref().zip(self.rule.flapping).is_some_and(|(flaps, of)| flaps.counts(of, now));
            i.is_active() || kept || counts()
        });
        if let Condition::Anomaly { detector, .. } = &self.rule.condition {
            state.detectors.forget_before(now.slot.minus(detector.memory()));
        }
    }

    /// Ends every alert of a rule that was removed or disabled: what was told is taken back.
    pub fn remove(&self, state: &mut RuleState) -> Vec<Transition> {
        let mut transitions = Vec::new();
        for instance in state.instances.values_mut().filter(|i| i.is_active()) {
            let kind = instance.end(ResolveReason::RuleRemoved, self.now);
            state.sequence += 1;
            let alert = shown(self.rule, instance);
            transitions.push(Transition {
                at: self.now.slot,
                sequence: state.sequence,
                kind,
                alert,
                trend: Vec::new(),
                link: None,
            });
        }
        transitions
    }
}

/// Whether a firing alert waits for the rule's recovery query.
pub(super) fn held_by_recovery(state: &RuleState, key: &Labels, recovered: Option<&[Labels]>) -> bool {
    let firing = state.instances.get(key).is_some_and(|i| i.state == AlertState::Firing);
    firing && recovered.is_some_and(|labels| labels.binary_search(key).is_err())
}

/// Whether this is the key of an alert about the rule itself.
pub fn is_internal(key: &Labels) -> bool {
    key.len() == 1 && [ERROR_KEY, LIMIT_KEY].iter().any(|(n, v)| key.get(n) == Some(v))
}
