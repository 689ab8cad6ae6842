//! A450, A451: rules that are the same, in whole or under two names.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use super::{Check, Context, Found};
use crate::diag::Diagnostic;
use crate::lint::same::Same;
use crate::lint::subject::{Makes, Subject};
use crate::schedule::Schedule;

pub(super) const RULE: Check = Check::all("A450", rule);
pub(super) const EXPRESSION: Check = Check::all("A451", expression);

/// When a rule is evaluated: two rules that ask the same at other times are two.
#[derive(PartialEq, Eq, Hash)]
enum When {
    Every(Duration),
    Cron(String),
}

impl When {
    fn of(schedule: &Schedule) -> Self {
        match schedule {
            Schedule::Every(every) => Self::Every(*every),
            Schedule::Cron(cron) => Self::Cron(format!("{cron:?}")),
        }
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

/// The same under one name.
#[expect(clippy::mutable_key_type, reason = "what changes in a query, its plan, is no part of the comparison")]
fn rule(rules: &[Subject<'_>], _: &Context<'_>, out: &mut Found) {
    let mut seen: HashMap<(&str, &Same<'_>), &Subject<'_>> = HashMap::with_capacity(rules.len());
    for rule in rules {
        let first = *seen.entry((rule.name(), &rule.same)).or_insert(rule);
        if std::ptr::eq(first, rule) {
            continue;
        }
        let what = if rule.makes == Makes::Alerts { "alert" } else { "recording rule" };
        let message = format!("the {what} `{}` is there twice, with the same labels and the same query", rule.name());
        let found = rule.warn_at("A450", rule.name, message).with_label(place(rule, first));
        out.push(found.with_help("remove one of them"));
    }
}

/// Two names for one condition: whoever is told is told twice.
#[expect(clippy::mutable_key_type, reason = "what changes in a query, its plan, is no part of the comparison")]
fn expression(rules: &[Subject<'_>], _: &Context<'_>, out: &mut Found) {
    let mut seen: HashMap<(&Same<'_>, When), (&Subject<'_>, BTreeSet<&str>)> = HashMap::with_capacity(rules.len());
    for rule in rules {
        let first = seen.entry((&rule.same, When::of(&rule.rule.schedule)));
        let (first, names) = first.or_insert_with(|| (rule, BTreeSet::new()));
        // Of the same name it is the same rule twice.
        if names.insert(rule.name()) && !std::ptr::eq(*first, rule) {
            out.push(twice(rule, first));
        }
    }
}

fn twice(rule: &Subject<'_>, first: &Subject<'_>) -> Diagnostic {
    let message = format!("`{}` asks the same as `{}`", rule.name(), first.name());
    rule.warn_at("A451", rule.name, message)
        .with_label(place(rule, first))
        .with_help("keep one of the two: both fire together")
}
