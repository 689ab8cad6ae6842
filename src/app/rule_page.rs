//! A rule in words, for `alertd explain RULE`: what it asks, when it fires and resolves, who hears of it and when.

use std::fmt::Write as _;
use std::time::Duration;

use super::load::Inputs;
use crate::diag::harmless;
use crate::model::labels::ALERT_NAME;
use crate::model::{EscalationStep, Labels, format_duration};
use crate::route::{Route, Routes};
use crate::rule::{Condition, OnMissing, Rule};
use crate::schedule::{MuteTimes, Schedule};
use crate::state::SEVERITY;

/// The page of a rule.
pub fn rule_page(rule: &Rule, inputs: &Inputs) -> String {
    let mut out = format!("{}  ({})\n", harmless(&rule.name), rule.origin);
    let mut line = |head: &str, text: String| {
        let _ = writeln!(out, "  {head:<10} {}", harmless(&text));
    };
    if let Some(description) = &rule.description {
        line("watches", description.text().to_owned());
    }
    for (name, query) in queries(&rule.condition) {
        line("query", name.map_or_else(|| query.to_owned(), |name| format!("{name} = {query}")));
    }
    line("evaluated", evaluated(rule));
    if rule.is_recording() {
        line("records", format!("the result as the series {}", rule.name));
        return out;
    }
    line("fires", fires(rule));
    line("resolves", resolves(rule));
    line("no data", missing(rule.on_no_data, rule));
    line("told", told(rule, inputs));
    line("timing", timing(rule, inputs));
    out
}

fn queries(condition: &Condition) -> Vec<(Option<&str>, &str)> {
    match condition {
        Condition::Threshold { signal, .. } | Condition::Anomaly { signal, .. } => vec![(None, &*signal.text)],
        Condition::Expression { queries, .. } => queries.iter().map(|(name, q)| (Some(&**name), &*q.text)).collect(),
        Condition::PromQl { query, .. } | Condition::Record { query } => vec![(None, &*query.text)],
    }
}

fn evaluated(rule: &Rule) -> String {
    let when = match &rule.schedule {
        Schedule::Every(every) => format!("every {}", format_duration(*every)),
        Schedule::Cron(cron) => format!("at {}", cron.text()),
    };
    if rule.enabled { when } else { format!("not at all: it is disabled (else {when})") }
}

/// The condition, and how long it must hold.
fn fires(rule: &Rule) -> String {
    let when = match &rule.condition {
        Condition::Threshold { levels, .. } => {
            let level = |level: &crate::rule::Level| format!("{} at {}", level.severity, level.threshold);
            levels.iter().map(level).collect::<Vec<_>>().join(", ")
        }
        Condition::Expression { when, .. } => format!("when {}", when.text),
        Condition::PromQl { .. } | Condition::Record { .. } => "for every series that the query yields".to_owned(),
        Condition::Anomaly { detector, .. } => format!(
            "when the value leaves what is usual over {} ({}), {} sigma wide",
            format_duration(detector.window),
            detector.method.name(),
            detector.sigma
        ),
    };
    if rule.hold.is_zero() {
        return format!("{when}; at once");
    }
    let hold = format_duration(rule.hold);
    match real_delay(rule) {
        Some(real) if real != rule.hold => {
            format!("{when}; after {}, for which `for` says {hold}", format_duration(real))
        }
        _ => format!("{when}; after {hold}"),
    }
}

/// `for`, rounded up to evaluations.
fn real_delay(rule: &Rule) -> Option<Duration> {
    let Schedule::Every(every) = rule.schedule else { return None };
    let slots = rule.hold.as_millis().div_ceil(every.as_millis().max(1));
    Some(every.saturating_mul(u32::try_from(slots).ok()?))
}

fn resolves(rule: &Rule) -> String {
    let recovery = match &rule.condition {
        Condition::Threshold { levels, .. } => levels.first().and_then(|l| l.recover).map(|r| r.to_string()),
        Condition::Expression { recover_when, .. } => recover_when.as_ref().map(|r| r.text.to_string()),
        Condition::PromQl { recover, .. } => recover.as_ref().map(|r| r.text.to_string()),
        Condition::Anomaly { .. } | Condition::Record { .. } => None,
    };
    let when = recovery.map_or_else(|| "when that is no longer so".to_owned(), |recovery| format!("when {recovery}"));
    if rule.keep_firing_for.is_zero() {
        return when;
    }
    format!("{when}, and {} later", format_duration(rule.keep_firing_for))
}

fn missing(on_missing: Option<OnMissing>, rule: &Rule) -> String {
    let plain = matches!(rule.condition, Condition::PromQl { .. });
    match on_missing {
        Some(OnMissing::Fire) => "counts as firing".to_owned(),
        Some(OnMissing::Resolve) => "resolves it".to_owned(),
        None if plain => "resolves it, as in Prometheus".to_owned(),
        _ => format!("is held, at most {}", format_duration(rule.no_data_timeout)),
    }
}

/// The routes that alerts of a rule take by the labels that it sets itself.
fn taken<'a>(rule: &Rule, routes: &'a Routes) -> Vec<&'a Route> {
    let own = rule.labels.iter().map(|(name, value)| (&**name, value.text()));
    let severity = rule.severity_label.then(|| (SEVERITY, rule.severity.as_str()));
    let pairs = own.filter(|(_, value)| !value.contains("{{")).chain(severity).chain([(ALERT_NAME, &*rule.name)]);
    let labels = routes.external_labels.iter().chain(pairs);
    routes.root.taken(&Labels::from_pairs(labels))
}

fn told(rule: &Rule, inputs: &Inputs) -> String {
    let routes = inputs.routes();
    let taken = if rule.notify.is_empty() { taken(rule, &routes) } else { Vec::new() };
    let everybody = taken.iter().any(|route| route.handlers.is_empty());
    let mut names: Vec<&str> = Vec::new();
    for name in rule.notify.iter().chain(taken.iter().flat_map(|route| &route.handlers)) {
        if !everybody && !names.contains(&&**name) {
            names.push(name);
        }
    }
    let mut text = if names.is_empty() { "every handler".to_owned() } else { names.join(", ") };
    for step in steps(rule, &taken) {
        let after = format_duration(step.after);
        text.push_str(&format!("; after {after} {} where nobody acknowledges it", step.handlers.join(", ")));
    }
    let mut limit = |times: &MuteTimes| {
        for (word, list) in [("only in", &times.active), ("not in", &times.mute)] {
            let names: Vec<&str> = list.iter().map(|interval| &*interval.name).collect();
            if !names.is_empty() {
                text.push_str(&format!("; {word} {}", names.join(", ")));
            }
        }
    };
    limit(&rule.times);
    // Routes with times of their own may differ in them.
    if let [route] = taken.as_slice() {
        limit(&route.times);
    }
    if rule.notify.is_empty() && !routes.root.routes.is_empty() {
        text.push_str(" (by the labels that the rule sets; those of its series may lead elsewhere)");
    }
    text
}

/// The steps of a rule, or of the first route that it takes.
fn steps<'a>(rule: &'a Rule, taken: &[&'a Route]) -> &'a [EscalationStep] {
    match (&rule.escalate, taken.first()) {
        (Some(own), _) => own,
        (None, Some(route)) => &route.escalate,
        (None, None) => &[],
    }
}

/// From the first evaluation that sees it to the last message about it.
fn timing(rule: &Rule, inputs: &Inputs) -> String {
    let routes = inputs.routes();
    let taken = if rule.notify.is_empty() { taken(rule, &routes) } else { Vec::new() };
    let route = taken.first().copied().unwrap_or(&routes.root);
    let hold = real_delay(rule).unwrap_or(rule.hold);
    let first = hold + route.group_wait;
    let mut text = format!("first message {} after it begins", format_duration(first));
    if !route.group_interval.is_zero() {
        text.push_str(&format!(", news of its group at most every {}", format_duration(route.group_interval)));
    }
    text.push_str(&format!(", again every {} while it fires", format_duration(route.repeat_interval)));
    if !rule.cooldown.is_zero() {
        text.push_str(&format!(", the same alert at most every {}", format_duration(rule.cooldown)));
    }
    text
}
