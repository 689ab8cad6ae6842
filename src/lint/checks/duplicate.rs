//! A450, A451: rules that are the same, in whole or under two names.

use std::collections::HashMap;
use std::time::Duration;

use super::{Check, Context, Found};
use crate::diag::Diagnostic;
use crate::lint::subject::{Makes, Pair, Subject};

pub(super) const RULE: Check = Check::all("A450", rule);
pub(super) const EXPRESSION: Check = Check::all("A451", expression);

/// Names and texts of labels, sorted.
type LabelTexts<'a> = Vec<(&'a str, &'a str)>;

fn labels<'a>(pairs: &[Pair<'a>]) -> LabelTexts<'a> {
    let text = |node: &'a crate::yaml::Node| node.text().unwrap_or_default();
    let mut labels: LabelTexts<'a> = pairs.iter().map(|pair| (text(pair.key), text(pair.value))).collect();
    labels.sort();
    labels
}

/// Writes down what a rule asks: by the thread that reads the rule, before rules are compared.
pub(super) fn prepare(rule: &Subject<'_>) {
    query(rule);
}

/// What a rule asks, whatever blanks and line breaks it is written with.
fn query<'r>(rule: &'r Subject<'_>) -> Option<&'r str> {
    rule.asks.get_or_init(|| written(rule)).as_deref()
}

fn written(rule: &Subject<'_>) -> Option<String> {
    let parts: Vec<String> = rule.formulas.iter().map(|f| f.expr.to_string()).collect();
    if parts.is_empty() {
        return None;
    }
    // How values of a signal are judged stands in keys.
    let judged = ["threshold", "levels", "recover", "when", "recover_when", "value", "anomaly", "on_no_data"];
    let keys: Vec<String> = judged.iter().filter_map(|key| Some(format!("{key}={:?}", bare(rule.get(key)?)))).collect();
    Some(parts.join("\n") + "\n" + &keys.join("\n"))
}

fn bare(node: &crate::yaml::Node) -> String {
    match (node.entries(), node.items()) {
        (Some(entries), _) => entries.iter().map(|(k, v)| format!("{}:{},", bare(k), bare(v))).collect(),
        (_, Some(items)) => items.iter().map(|item| bare(item) + ",").collect(),
        _ => node.text().unwrap_or_default().to_owned(),
    }
}

fn place(rule: &Subject<'_>, first: &Subject<'_>) -> String {
    let line = first.file.position(first.name.span.start).line;
    if std::sync::Arc::ptr_eq(rule.file, first.file) {
        format!("first on line {line}")
    } else {
        format!("first in {}:{line}", first.file.path)
    }
}

fn hold(rule: &Subject<'_>) -> Duration {
    rule.duration("for").map(|(hold, _)| hold).unwrap_or_default()
}

/// Same name, labels and query; `for` may tell them apart, as two stages of one alert.
fn rule(rules: &[Subject<'_>], _: &Context<'_>, out: &mut Found) {
    let mut seen: HashMap<(&str, &str, LabelTexts<'_>, Duration), &Subject<'_>> = HashMap::new();
    for rule in rules {
        let Some(query) = query(rule) else { continue };
        let key = (rule.name(), query, labels(&rule.labels), hold(rule));
        let Some(first) = seen.get(&key) else {
            seen.insert(key, rule);
            continue;
        };
        let what = if rule.makes == Makes::Alerts { "alert" } else { "recording rule" };
        let message = format!("the {what} `{}` is there twice, with the same labels and the same query", rule.name());
        let found = rule.warn_at("A450", rule.name, message).with_label(place(rule, first));
        out.push(found.with_help("remove one of them"));
    }
}

/// Keys that make of one condition two things: told otherwise, at other times, or asked elsewhere.
const APART: [&str; 7] = ["severity", "notify", "active", "mute", "every", "cron", "source"];

/// Two names for one condition: whoever is told is told twice.
fn expression(rules: &[Subject<'_>], _: &Context<'_>, out: &mut Found) {
    let mut seen: HashMap<(&str, String, LabelTexts<'_>, Duration, bool), Vec<&Subject<'_>>> = HashMap::new();
    for rule in rules {
        let Some(query) = query(rule) else { continue };
        let apart: Vec<String> =
            APART.iter().filter_map(|key| Some(format!("{key}:{}", bare(rule.get(key)?)))).collect();
        let key = (query, apart.join(";"), labels(&rule.labels), hold(rule), rule.makes == Makes::Alerts);
        let others = seen.entry(key).or_default();
        // Of the same name it is the same rule twice.
        if others.iter().all(|other| other.name() != rule.name()) {
            out.extend(others.first().map(|first| twice(rule, first)));
            others.push(rule);
        }
    }
}

fn twice(rule: &Subject<'_>, first: &Subject<'_>) -> Diagnostic {
    let message = format!("`{}` asks the same as `{}`", rule.name(), first.name());
    rule.warn_at("A451", rule.name, message)
        .with_label(place(rule, first))
        .with_help("keep one of the two: both fire together")
}
