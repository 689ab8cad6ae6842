//! Labels, annotations and the shown form of an alert.

use std::sync::Arc;
use std::time::Duration;

use super::{Instance, RuleState, advance::Advance};
use crate::detect::{AnomalyConfig, Direction, Season};
use crate::model::labels::ALERT_NAME;
use crate::model::{Alert, Flapping, Labels, LabelsBuilder, Severity};
use crate::rule::{Condition, Level, Rule};
use crate::template::{AlertContext, RenderLimits, Template};

/// The label under which a severity is shown and routed.
pub const SEVERITY: &str = "severity";

impl Advance<'_> {
    /// The levels of a rule with several.
    pub(super) fn levels(&self) -> &[Level] {
        match &self.rule.condition {
            Condition::Threshold { levels, .. } if levels.len() > 1 => levels,
            _ => &[],
        }
    }

    /// The level that the condition of an alert held at last.
    pub(super) fn level_before(&self, state: &RuleState, key: &Labels) -> u8 {
        state.instances.get(key).map_or(0, |instance| instance.level_of_condition(self.levels()))
    }

    /// Labels of an alert: the sample's without name, overridden by the rule's, `alertname`, and the severity where the
    /// rule has one level (with several it changes, and an alert keeps its identity when its level does).
    pub(super) fn alert_labels(&self, sample: &Labels, value: f64) -> Labels {
        let rule = self.rule;
        let mut builder = LabelsBuilder::from(sample);
        builder.remove(crate::model::labels::METRIC_NAME);
        if rule.severity_label && levels_of(rule) <= 1 {
            builder.set(SEVERITY, rule.severity.as_str());
        }
        for (name, template) in &rule.labels {
            builder.set(&**name, self.expand(template, sample, value));
        }
        builder.set(ALERT_NAME, &*rule.name);
        builder.build()
    }

    /// Whether the labels of an alert follow from those of its sample alone, whatever the value and the time.
    pub(super) fn labels_are_fixed(&self) -> bool {
        self.rule.labels.iter().all(|(_, template)| template.constant().is_some())
    }

    /// Expanded annotations; the rule's description is one of them.
    pub(super) fn annotations(&self, sample: &Labels, value: f64) -> Labels {
        let mut builder = LabelsBuilder::default();
        if let Some(description) = &self.rule.description {
            builder.set("description", self.expand(description, sample, value));
        }
        for (name, template) in &self.rule.annotations {
            builder.set(&**name, self.expand(template, sample, value));
        }
        builder.build()
    }

    /// A template that fails puts its error into the text, as in Prometheus: the alert is sent all the same.
    fn expand(&self, template: &Template, sample: &Labels, value: f64) -> String {
        if let Some(text) = template.constant() {
            return text.to_owned();
        }
        let context = AlertContext {
            labels: sample,
            value,
            external_labels: &self.externals.labels,
            external_url: &self.externals.url,
            query: self.query,
            now: self.now.slot,
        };
        match template.render(&context, &RenderLimits::default()) {
            Ok(text) => text,
            Err(error) => format!("<error expanding template: {error}>"),
        }
    }
}

/// An alert as people and handlers see it.
pub fn shown(rule: &Rule, instance: &Instance) -> Alert {
    let severity = match instance.labels.get(SEVERITY).filter(|_| !rule.severity_label && levels_of(rule) <= 1) {
        Some(label) => Severity::from_label(label).unwrap_or(rule.severity),
        None => severity_of(rule, instance.level),
    };
    let labels = shown_labels(rule, instance);
    let (condition, limit) = condition_in_words(rule, instance);
    Alert {
        rule_uid: rule.uid.clone(),
        rule: rule.name.clone(),
        origin: rule.origin.clone(),
        fingerprint: instance.labels.fingerprint(),
        labels,
        annotations: instance.annotations.clone(),
        state: instance.state,
        severity,
        value: instance.value,
        peak: instance.peak,
        condition,
        limit,
        active_at: instance.active_at,
        fired_at: instance.fired_at,
        resolved_at: instance.ended_at.map(|(at, _)| at),
        no_data_since: instance.no_data.map(|since| since.at),
        flapping: flapping(rule, instance),
        notify: rule.notify.clone(),
        generator_url: None,
    }
}

/// That it flaps.
fn flapping(rule: &Rule, instance: &Instance) -> Option<Flapping> {
    let (found, terms) = (instance.flaps.as_ref()?.found()?, rule.flapping?);
    let within = Duration::from_millis(found.within_ms.unsigned_abs());
    let keeps = (levels_of(rule) > 1).then(|| severity_of(rule, instance.level));
    Some(Flapping { since: found.since, changes: found.changes, within, quiet: terms.quiet, keeps })
}

/// The labels of an alert with its severity, which is no part of its identity where the rule has several levels.
pub fn shown_labels(rule: &Rule, instance: &Instance) -> Labels {
    let labels = instance.labels.clone();
    match levels_of(rule) > 1 && labels.get(SEVERITY).is_none() {
        true => labels.with(SEVERITY, severity_of(rule, instance.level).as_str()),
        false => labels,
    }
}

fn condition_in_words(rule: &Rule, instance: &Instance) -> (Arc<str>, Option<f64>) {
    let shown = |threshold: crate::rule::Threshold| {
        (Arc::from(threshold.to_string()), Some(threshold.limit_for(instance.value)))
    };
    match &rule.condition {
        Condition::Threshold { levels, .. } => match levels.get(usize::from(instance.level)) {
            Some(level) => shown(level.threshold),
            None => (Arc::from(""), None),
        },
        Condition::PromQl { signal: Some((_, threshold)), .. } => shown(*threshold),
        Condition::PromQl { query, .. } | Condition::Record { query } => (query.text.clone(), None),
        Condition::Expression { when, .. } => (when.text.clone(), None),
        Condition::Anomaly { detector, .. } => {
            (Arc::from(anomaly_in_words(detector)), instance.limit.filter(|l| l.is_finite()))
        }
    }
}

/// What an anomaly rule asks, in words.
fn anomaly_in_words(config: &AnomalyConfig) -> String {
    let side = match config.direction {
        Direction::Both => "outside",
        Direction::Above => "above",
        Direction::Below => "below",
    };
    let window = crate::model::format_duration(config.window);
    let season = match config.season {
        Season::None => String::new(),
        season => format!(", season {}", season.name()),
    };
    format!("{side} the expected band ({}, {} sigma, {window}{season})", config.method.name(), config.sigma)
}

/// How many levels a rule has.
pub(super) fn levels_of(rule: &Rule) -> usize {
    match &rule.condition {
        Condition::Threshold { levels, .. } => levels.len(),
        _ => 1,
    }
}

/// The severity of a level.
pub fn severity_of(rule: &Rule, level: u8) -> Severity {
    match &rule.condition {
        Condition::Threshold { levels, .. } => levels.get(usize::from(level)).map_or(rule.severity, |l| l.severity),
        _ => rule.severity,
    }
}

/// The worse of two values, as the rule's condition sees it.
pub(super) fn worse(rule: &Rule, level: u8, a: f64, b: f64) -> f64 {
    let threshold = match &rule.condition {
        Condition::Threshold { levels, .. } => levels.get(usize::from(level)).map(|l| l.threshold),
        Condition::PromQl { signal: Some((_, threshold)), .. } => Some(*threshold),
        _ => None,
    };
    match threshold {
        Some(threshold) => threshold.worse(a, b),
        None if b.is_nan() || a >= b => a,
        None => b,
    }
}
