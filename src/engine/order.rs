//! In which order the rules of a slot are evaluated: a rule that reads what another publishes comes after it.

use std::collections::BTreeMap;

use crate::eval::signal_queries;
use crate::model::labels::METRIC_NAME;
use crate::promql::Matcher;
use crate::rule::{Condition, Rule};

const SUFFIXES: [&str; 5] = [":value", ":expected", ":lower", ":upper", ":score"];

/// Layers of rule indexes, each in file order. Rules that read one another in a circle stay in one layer: each then
/// sees what the others published at the slot before.
pub(super) fn layers(rules: &[Rule]) -> Vec<Vec<usize>> {
    let publishers: BTreeMap<&str, usize> = rules
        .iter()
        .enumerate()
        .filter(|(_, r)| matches!(r.condition, Condition::Anomaly { .. }))
        .map(|(i, r)| (&*r.name, i))
        .collect();
    let reads: Vec<Vec<usize>> = rules.iter().enumerate().map(|(i, rule)| dependencies(i, rule, &publishers)).collect();
    let mut layers = Vec::new();
    let mut placed = vec![false; rules.len()];
    let mut left: Vec<usize> = (0..rules.len()).filter(|&i| rules[i].enabled).collect();
    while !left.is_empty() {
        let free = |i: &usize| reads[*i].iter().all(|d| placed[*d] || !rules[*d].enabled);
        let mut layer: Vec<usize> = left.iter().copied().filter(free).collect();
        if layer.is_empty() {
            layer = left.clone();
        }
        for &i in &layer {
            placed[i] = true;
        }
        left.retain(|i| !placed[*i]);
        layers.push(layer);
    }
    layers
}

/// Rules whose published series a rule's queries select.
fn dependencies(own: usize, rule: &Rule, publishers: &BTreeMap<&str, usize>) -> Vec<usize> {
    if publishers.is_empty() {
        return Vec::new();
    }
    let mut found = Vec::new();
    for query in signal_queries(rule) {
        for selector in query.plan.selectors() {
            let names: Vec<&Matcher> = selector.matchers.iter().filter(|m| m.name == METRIC_NAME).collect();
            for (name, &index) in publishers {
                let reads = SUFFIXES.iter().any(|suffix| {
                    let series = format!("{name}{suffix}");
                    names.iter().all(|m| m.matches(&series))
                });
                if reads && index != own {
                    found.push(index);
                }
            }
        }
    }
    found
}
