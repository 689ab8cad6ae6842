//! What is shown of rules, alerts and query results.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::hub::{Core, Hub};
use crate::http::{GroupView, Mutings, RuleView};
use crate::model::alert::{CANARY, float_text};
use crate::model::{Alert, AlertState, Labels, SeriesPoints, Timestamp};
use crate::promql::{Value, VectorSample};
use crate::received::ReceivedAlert;
use crate::rule::{Condition, Rule};
use crate::state::{Health, SEVERITY};
use crate::template::Template;

/// Every pending and firing alert, in rule order, then those that others report.
pub fn active(core: &Core) -> Vec<Alert> {
    let rules = core.engine.rules();
    let received = core.received.firing().map(ReceivedAlert::shown);
    rules.iter().flat_map(|rule| of_rule(core, rule)).chain(received).collect()
}

/// What keeps them from being told now.
pub fn mutings(hub: &Hub) -> Mutings {
    let core = hub.core();
    let now = hub.clock.at_slot(hub.clock.now());
    let of = |alert: &Alert| core.router.muting(alert, &core.routes, &core.silences, now);
    let all = active(&core).into_iter().map(|alert| ((alert.rule_uid.clone(), alert.fingerprint), of(&alert)));
    all.filter(|(_, muting)| !muting.is_empty()).collect()
}

/// The pending and firing alerts of a rule.
pub(super) fn of_rule(core: &Core, rule: &Rule) -> Vec<Alert> {
    // The canary fires at every other slot to prove that it can; it is nobody's alert.
    let Some(state) = core.engine.state(&rule.uid).filter(|_| *rule.uid != *CANARY) else { return Vec::new() };
    state.instances.values().filter(|i| i.is_active()).map(|i| crate::state::shown(rule, i)).collect()
}

/// All rules with their alerts: the groups of Prometheus rule files, and one per file of alertd's own.
pub fn groups(hub: &Hub) -> Vec<GroupView> {
    let core = hub.core();
    let mut groups: Vec<GroupView> = Vec::new();
    for rule in Arc::clone(core.engine.rules()).iter() {
        let shown = rule_view(&core, rule);
        let name = rule.group.as_ref().map_or(&rule.origin.file, |group| &group.name);
        match groups.last_mut() {
            Some(group) if group.file == rule.origin.file && group.name == *name => {
                group.last_evaluation = group.last_evaluation.max(shown.last_evaluation);
                group.evaluation_time += shown.evaluation_time;
                group.rules.push(shown);
            }
            _ => groups.push(GroupView {
                name: name.clone(),
                file: rule.origin.file.clone(),
                interval: rule.schedule.every_hint(),
                limit: rule.group.as_ref().and_then(|group| group.limit).unwrap_or(0),
                last_evaluation: shown.last_evaluation,
                evaluation_time: shown.evaluation_time,
                rules: vec![shown],
            }),
        }
    }
    groups
}

fn rule_view(core: &Core, rule: &Rule) -> RuleView {
    let state = core.engine.state(&rule.uid);
    let last_error = match state.map(|s| &s.health) {
        Some(Health::Err { message, .. }) => Some(message.clone()),
        _ => None,
    };
    let texts = |list: &[(Arc<str>, Template)]| Labels::from_pairs(list.iter().map(|(n, t)| (&**n, t.text())));
    RuleView {
        name: rule.name.clone(),
        uid: rule.uid.clone(),
        recording: rule.is_recording(),
        query: query_text(rule).into(),
        hold: rule.hold,
        keep_firing_for: rule.keep_firing_for,
        labels: if rule.severity_label {
            texts(&rule.labels).with(SEVERITY, rule.severity.as_str())
        } else {
            texts(&rule.labels)
        },
        annotations: texts(&rule.annotations),
        state: state.map(|s| s.state()).unwrap_or_default(),
        last_error,
        last_evaluation: state.and_then(|s| s.evaluated_at),
        evaluated_here: core.reports.contains_key(&rule.uid),
        evaluation_time: core.reports.get(&rule.uid).map(|r| r.took).unwrap_or_default(),
        alerts: of_rule(core, rule),
        line: rule.origin.line,
    }
}

/// The rule's condition as PromQL, or as near to it as its form comes.
pub fn query_text(rule: &Rule) -> String {
    match &rule.condition {
        Condition::Threshold { signal, levels } => match levels.first() {
            Some(level) => format!("{} {}", signal.text, level.threshold),
            None => signal.text.to_string(),
        },
        Condition::Expression { when, .. } => when.text.to_string(),
        Condition::PromQl { query, .. } | Condition::Record { query } => query.text.to_string(),
        Condition::Anomaly { signal, .. } => signal.text.to_string(),
    }
}

/// Whole seconds are written without a fraction, as the HTTP API does.
fn seconds(t_ms: i64) -> Json {
    if t_ms % 1000 == 0 { json!(t_ms / 1000) } else { json!(Timestamp(t_ms).as_secs_f64()) }
}

fn point(t_ms: i64, value: f64) -> Json {
    json!([seconds(t_ms), float_text::text(value)])
}

/// The `data` of an instant query.
pub fn instant(value: &Value, at: Timestamp) -> Json {
    match value {
        Value::Scalar(value) => json!({"resultType": "scalar", "result": point(at.0, *value)}),
        Value::String(text) => json!({"resultType": "string", "result": [at.as_secs_f64(), text]}),
        Value::Vector(samples) => {
            let row = |s: &VectorSample| match &s.histogram {
                None => json!({"metric": s.labels, "value": point(at.0, s.value)}),
                Some(histogram) => json!({"metric": s.labels, "histogram": [seconds(at.0), histogram.to_string()]}),
            };
            let rows: Vec<Json> = samples.iter().map(row).collect();
            json!({"resultType": "vector", "result": rows})
        }
        Value::Matrix(series) => matrix(series),
    }
}

/// The `data` of a range query.
pub fn matrix(series: &[SeriesPoints]) -> Json {
    let row = |s: &SeriesPoints| {
        let values: Vec<Json> = s.points.iter().map(|p| point(p.t_ms, p.value)).collect();
        let mut row = json!({"metric": s.labels, "values": values});
        if !s.histograms.is_empty() {
            let shown = s.histograms.iter().map(|p| json!([seconds(p.t_ms), p.histogram.to_string()]));
            row["histograms"] = shown.collect();
        }
        row
    };
    let rows: Vec<Json> = series.iter().map(row).collect();
    json!({"resultType": "matrix", "result": rows})
}

/// How many alerts fire and how many are pending.
pub fn counts(core: &Core) -> (usize, usize) {
    let (mut firing, mut pending) = (0, 0);
    for rule in core.engine.rules().iter().filter(|rule| *rule.uid != *CANARY) {
        for instance in core.engine.state(&rule.uid).into_iter().flat_map(|state| state.instances.values()) {
            firing += usize::from(instance.state == AlertState::Firing);
            pending += usize::from(instance.state == AlertState::Pending);
        }
    }
    firing += core.received.firing().count();
    (firing, pending)
}
