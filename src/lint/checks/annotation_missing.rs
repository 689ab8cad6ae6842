//! A305: an alert without the annotation that every other alert of its file has.

use std::collections::BTreeMap;

use super::{Check, Context, Found};
use crate::lint::subject::{Makes, Subject};

pub(super) const CHECK: Check = Check::all("A305", look);

/// Fewer alerts with an annotation are no habit.
const HABIT_MIN: usize = 5;

fn look(rules: &[Subject<'_>], _: &Context<'_>, out: &mut Found) {
    for of_file in rules.chunk_by(|a, b| std::sync::Arc::ptr_eq(a.file, b.file)) {
        let alerts: Vec<&Subject<'_>> = of_file.iter().filter(|rule| rule.makes == Makes::Alerts).collect();
        let mut having: BTreeMap<&str, usize> = BTreeMap::new();
        for pair in alerts.iter().flat_map(|rule| &rule.annotations) {
            *having.entry(pair.key.text().unwrap_or_default()).or_default() += 1;
        }
        for (name, count) in having.into_iter().filter(|(_, n)| *n >= HABIT_MIN && *n + 1 == alerts.len()) {
            let has = |rule: &&&Subject<'_>| rule.annotations.iter().any(|pair| pair.key.text() == Some(name));
            for rule in alerts.iter().filter(|rule| !has(rule)) {
                let message = format!("the alert has no annotation `{name}`");
                let found = rule.warn_at("A305", rule.name, message);
                out.push(found.with_label(format!("the other {count} alerts of this file have it")));
            }
        }
    }
}
