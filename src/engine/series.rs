//! The series that rules write: what recording rules record, and `ALERTS` and `ALERTS_FOR_STATE` of alerting rules; and
//! the marks that end those that are written no more.
//!
//! Place in the flow: [`Engine::step`](super::Engine::step) calls this for each rule it has evaluated and hands the
//! samples to the store. Everything is stamped with the rule's instant, which is the slot less the group's offset.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Engine;
use crate::eval::{Outcome, Signal};
use crate::model::labels::{ALERT_NAME, METRIC_NAME};
use crate::model::{AlertState, Histogram, Labels, LabelsBuilder, Now, STALE_NAN, Sample, SampleValue, Timestamp};
use crate::rule::Rule;
use crate::state::{Health, Instance, RuleState, shown_labels};

/// The series of active alerts, whose value is 1.
pub(super) const ALERTS: &str = "ALERTS";
/// The series of active alerts, whose value is when the condition began to hold, in Unix seconds.
pub(super) const ALERTS_FOR_STATE: &str = "ALERTS_FOR_STATE";
/// The label of `ALERTS` that says `pending` or `firing`.
const ALERT_STATE: &str = "alertstate";

/// A series of a rule that was removed: it ends as soon as it is known that no other rule goes on with it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Retired {
    labels: Labels,
    since: Timestamp,
    offset: std::time::Duration,
}

/// Records the result of a recording rule; the error, if it has none that can be recorded.
pub(super) fn record(
    rule: &Rule,
    state: &mut RuleState,
    outcome: &Outcome,
    now: Now,
    out: &mut Vec<Sample>,
) -> Option<String> {
    state.evaluated_at = Some(now.slot);
    let at = now.slot.minus(rule.query_offset());
    let failure = match outcome {
        Outcome::Error(failure) => Some(failure.message.clone()),
        Outcome::Signals { signals, histograms, complete, .. } => match named(rule, state, signals) {
            Ok(series) => {
                state.health = Health::Ok;
                write(state, series, (signals, histograms, *complete), at, out);
                None
            }
            Err(message) => Some(message),
        },
    };
    if let Some(message) = &failure {
        state.fail(message, now.slot);
    }
    failure
}

/// The series that the signals become, in their order.
fn named(rule: &Rule, state: &mut RuleState, signals: &[Signal]) -> Result<Vec<Labels>, String> {
    if let Some(limit) = rule.group.as_ref().and_then(|group| group.limit).filter(|limit| signals.len() > *limit) {
        return Err(format!("limit exceeded: {} > {limit} series; nothing is recorded", signals.len()));
    }
    state.keys.take(signals);
    let one = |(place, signal): (usize, &Signal)| {
        state.keys.alert_labels(place, || {
            let mut builder = LabelsBuilder::from(&signal.labels);
            builder.set(METRIC_NAME, &*rule.name);
            for (name, value) in &rule.labels {
                builder.set(&**name, value.text());
            }
            builder.build()
        })
    };
    let series: Vec<Labels> = signals.iter().enumerate().map(one).collect();
    if state.keys.unchanged() && state.recorded.len() == series.len() {
        return Ok(series);
    }
    let mut sorted: Vec<&Labels> = series.iter().collect();
    sorted.sort_unstable();
    match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(format!("two series have the labels {} after the rule's labels are applied", pair[0])),
        None => Ok(series),
    }
}

fn write(
    state: &mut RuleState,
    series: Vec<Labels>,
    (signals, histograms, complete): (&[Signal], &BTreeMap<Labels, Arc<Histogram>>, bool),
    at: Timestamp,
    out: &mut Vec<Sample>,
) {
    out.extend(series.iter().zip(signals).map(|(labels, signal)| Sample {
        labels: labels.clone(),
        at,
        value: match histograms.get(&signal.labels) {
            Some(histogram) => SampleValue::Histogram(Arc::clone(histogram)),
            None => SampleValue::Float(signal.value),
        },
    }));
    if state.keys.unchanged() && state.recorded.len() == series.len() {
        return;
    }
    let mut recorded: BTreeSet<Labels> = series.into_iter().collect();
    let before = std::mem::take(&mut state.recorded);
    let gone = before.into_iter().filter(|labels| !recorded.contains(labels)).collect::<Vec<_>>();
    if complete {
        out.extend(gone.into_iter().map(|labels| Sample { labels, at, value: STALE_NAN.into() }));
    } else {
        // What is missing may be there all the same.
        recorded.extend(gone);
    }
    state.recorded = recorded;
}

/// The two series of an alert.
fn of_alert(labels: &Labels, state: AlertState) -> [Labels; 2] {
    let mut builder = LabelsBuilder::from(labels);
    let since = builder.set(METRIC_NAME, ALERTS_FOR_STATE).build();
    [builder.set(METRIC_NAME, ALERTS).set(ALERT_STATE, state.as_str()).build(), since]
}

fn active(state: &RuleState) -> impl Iterator<Item = &Instance> {
    state.instances.values().filter(|instance| instance.is_active())
}

/// An active alert: its labels as shown, and its state.
pub(super) type Active = (Labels, AlertState);

/// A rule's active alerts.
pub(super) fn active_alerts(rule: &Rule, state: &RuleState) -> Vec<Active> {
    if rule.internal {
        return Vec::new();
    }
    active(state).map(|instance| (shown_labels(rule, instance), instance.state)).collect()
}

/// Writes the series of a rule's active alerts and ends those of alerts that were active `before`.
pub(super) fn write_alerts(rule: &Rule, state: &RuleState, before: Vec<Active>, now: Now, out: &mut Vec<Sample>) {
    if rule.internal || (before.is_empty() && active(state).next().is_none()) {
        return;
    }
    let at = now.slot.minus(rule.query_offset());
    let mut alive: BTreeSet<Active> = BTreeSet::new();
    for instance in active(state) {
        let since = instance.active_at.0.div_euclid(1000) as f64;
        let labels = shown_labels(rule, instance);
        let series = of_alert(&labels, instance.state).into_iter().zip([1.0, since]);
        out.extend(series.map(|(labels, value)| Sample { labels, at, value: value.into() }));
        alive.insert((labels, instance.state));
    }
    for (labels, state) in before.into_iter().filter(|alert| !alive.contains(alert)) {
        let [alert, since] = of_alert(&labels, state);
        let other = if state == AlertState::Firing { AlertState::Pending } else { AlertState::Firing };
        let goes_on = alive.contains(&(labels, other));
        let gone = std::iter::once(alert).chain((!goes_on).then_some(since));
        out.extend(gone.map(|labels| Sample { labels, at, value: STALE_NAN.into() }));
    }
}

impl Engine {
    /// Notes the series of a rule that goes; of one that is known by its state alone there are those of its alerts.
    pub(super) fn retire(&mut self, uid: &str, rule: Option<&Rule>, now: Now) {
        let Some(state) = self.states.get(uid) else { return };
        let alerts = match rule {
            Some(rule) => active_alerts(rule, state),
            None => active(state).map(|instance| (instance.labels.clone(), instance.state)).collect(),
        };
        let alerts = alerts.iter().flat_map(|(labels, state)| of_alert(labels, *state));
        let offset = rule.map(Rule::query_offset).unwrap_or_default();
        let all = state.recorded.iter().cloned().chain(alerts);
        self.retired.extend(all.map(|labels| Retired { labels, since: now.slot, offset }));
    }

    /// Ends the series of rules that are gone, once every rule that may go on with them was evaluated.
    pub(super) fn bury(&mut self, now: Now, out: &mut Vec<Sample>) {
        if self.retired.is_empty() {
            return;
        }
        let retired = std::mem::take(&mut self.retired);
        let mut live: BTreeSet<Labels> = BTreeSet::new();
        for rule in self.rules.iter().filter(|rule| rule.enabled) {
            let Some(state) = self.states.get(&rule.uid) else { continue };
            live.extend(state.recorded.iter().cloned());
            live.extend(active_alerts(rule, state).iter().flat_map(|(labels, state)| of_alert(labels, *state)));
        }
        for one in retired {
            if live.contains(&one.labels) {
                continue;
            }
            if self.rules.iter().any(|rule| self.awaited(rule, &one)) {
                self.retired.push(one);
                continue;
            }
            let at = now.slot.minus(one.offset);
            out.push(Sample { labels: one.labels, at, value: STALE_NAN.into() });
        }
    }

    /// Whether a rule may go on with a series and was not evaluated since that lost its own.
    fn awaited(&self, rule: &Rule, retired: &Retired) -> bool {
        let writes = match rule.is_recording() {
            true => retired.labels.get(METRIC_NAME) == Some(&*rule.name),
            false => {
                let alerts = matches!(retired.labels.get(METRIC_NAME), Some(ALERTS | ALERTS_FOR_STATE));
                alerts && retired.labels.get(ALERT_NAME) == Some(&*rule.name)
            }
        };
        let evaluated = || self.states.get(&rule.uid).and_then(|state| state.evaluated_at);
        writes && rule.enabled && evaluated().is_none_or(|at| at <= retired.since)
    }
}
