//! In which order the rules of a slot are evaluated: a rule that reads what another writes comes after it, and the rules
//! of a group are as if they were evaluated one after the other.
//!
//! What a rule writes: a recording rule its series, an anomaly rule the series of its band, every alerting rule `ALERTS`
//! and `ALERTS_FOR_STATE`. Found as in Prometheus: by the names of selectors, for alerts by `alertname`; a selector
//! without a name may read anything, so that its group is evaluated in order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::series::{ALERTS, ALERTS_FOR_STATE};
use crate::eval::signal_queries;
use crate::model::labels::{ALERT_NAME, METRIC_NAME};
use crate::promql::{Matcher, PlanSelector};
use crate::rule::{Condition, Query, Rule};
use crate::state::SUFFIXES;

/// Layers of rule indexes, each in file order. Rules of several groups that read one another in a circle stay in one
/// layer: each then sees what the others wrote at the slot before. Within a group there are no circles.
pub(super) fn layers(rules: &[Rule]) -> Vec<Vec<usize>> {
    let mut after = Edges::default();
    let mut reads = Reads::new(rules);
    for (index, rule) in rules.iter().enumerate().filter(|(_, rule)| rule.enabled) {
        for other in reads.of(index, rule) {
            match same_group(rule, &rules[other]) {
                // Read before it is written anew: what is written waits until it was read.
                true => after.must(index.max(other), index.min(other)),
                false => after.may(index, other),
            }
        }
    }
    for (earlier, pair) in rules.windows(2).enumerate() {
        let [a, b] = pair else { continue };
        if same_group(a, b) && b.group.as_ref().is_some_and(|group| reads.unknown.contains(&Arc::as_ptr(group))) {
            after.must(earlier + 1, earlier);
        }
    }
    after.layers(rules)
}

fn same_group(a: &Rule, b: &Rule) -> bool {
    matches!((&a.group, &b.group), (Some(a), Some(b)) if Arc::ptr_eq(a, b))
}

/// Who comes after whom.
#[derive(Default)]
struct Edges {
    /// Within a group: later rule, earlier rule.
    must: BTreeSet<(usize, usize)>,
    /// Elsewhere: reader, writer.
    may: BTreeSet<(usize, usize)>,
}

impl Edges {
    fn must(&mut self, later: usize, earlier: usize) {
        self.must.insert((later, earlier));
    }

    fn may(&mut self, reader: usize, writer: usize) {
        self.may.insert((reader, writer));
    }

    fn layers(&self, rules: &[Rule]) -> Vec<Vec<usize>> {
        let enabled = |index: &usize| rules.get(*index).is_some_and(|rule| rule.enabled);
        // How many others each rule waits for: those of its group, and all.
        let mut waits = vec![(0_usize, 0_usize); rules.len()];
        let mut followers: Vec<Vec<(usize, bool)>> = vec![Vec::new(); rules.len()];
        for (edges, must) in [(&self.must, true), (&self.may, false)] {
            for &(later, earlier) in edges.iter().filter(|(later, earlier)| enabled(later) && enabled(earlier)) {
                waits[later].0 += usize::from(must);
                waits[later].1 += 1;
                followers[earlier].push((later, must));
            }
        }
        let mut placed: Vec<bool> = (0..rules.len()).map(|i| !enabled(&i)).collect();
        let mut free: Vec<usize> = (0..rules.len()).filter(|i| !placed[*i] && waits[*i].1 == 0).collect();
        let mut layers = Vec::new();
        loop {
            if free.is_empty() {
                // A circle: only what must come first does. Nothing left: done.
                free = (0..rules.len()).filter(|i| !placed[*i] && waits[*i].0 == 0).collect();
            }
            let mut layer = std::mem::take(&mut free);
            if layer.is_empty() {
                break;
            }
            layer.sort_unstable();
            layer.iter().for_each(|i| placed[*i] = true);
            for &(later, must) in layer.iter().flat_map(|i| &followers[*i]) {
                waits[later].0 -= usize::from(must);
                waits[later].1 -= 1;
                if waits[later].1 == 0 && !placed[later] {
                    free.push(later);
                }
            }
            layers.push(layer);
        }
        layers
    }
}

/// Who writes what.
struct Reads {
    /// Rules by the series that they record or publish.
    writers: BTreeMap<String, Vec<usize>>,
    /// Alerting rules by name.
    alerting: BTreeMap<Arc<str>, Vec<usize>>,
    /// Groups with a selector that may read anything.
    unknown: BTreeSet<*const crate::rule::Group>,
}

impl Reads {
    fn new(rules: &[Rule]) -> Self {
        let mut reads = Self { writers: BTreeMap::new(), alerting: BTreeMap::new(), unknown: BTreeSet::new() };
        for (index, rule) in rules.iter().enumerate().filter(|(_, rule)| rule.enabled) {
            match &rule.condition {
                Condition::Record { .. } => reads.writers.entry(rule.name.to_string()).or_default().push(index),
                _ => reads.alerting.entry(rule.name.clone()).or_default().push(index),
            }
            if matches!(rule.condition, Condition::Anomaly { .. }) {
                for suffix in SUFFIXES {
                    reads.writers.entry(format!("{}:{suffix}", rule.name)).or_default().push(index);
                }
            }
        }
        reads
    }

    /// The rules that write what a rule's queries read; itself is not among them.
    fn of(&mut self, own: usize, rule: &Rule) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        for selector in queries(rule).iter().flat_map(|query| query.plan.selectors()) {
            match &selector.name {
                Some(name) if matches!(&**name, ALERTS | ALERTS_FOR_STATE) => self.alerts(selector, &mut found),
                Some(name) => found.extend(self.writers.get(&**name).into_iter().flatten()),
                None => self.by_matchers(selector, rule, &mut found),
            }
        }
        found.remove(&own);
        found
    }

    fn by_matchers(&mut self, selector: &PlanSelector, rule: &Rule, found: &mut BTreeSet<usize>) {
        let names: Vec<&Matcher> = selector.matchers.iter().filter(|m| m.name == METRIC_NAME).collect();
        if let (true, Some(group)) = (names.is_empty(), &rule.group) {
            self.unknown.insert(Arc::as_ptr(group));
            return;
        }
        let fits = |name: &str| names.iter().all(|m| m.matches(name));
        found.extend(self.writers.iter().filter(|(name, _)| fits(name)).flat_map(|(_, writers)| writers));
        if !names.is_empty() && (fits(ALERTS) || fits(ALERTS_FOR_STATE)) {
            self.alerts(selector, found);
        }
    }

    /// Alerting rules whose alerts a selector may read.
    fn alerts(&self, selector: &PlanSelector, found: &mut BTreeSet<usize>) {
        let fits = |alert: &str| selector.matchers.iter().filter(|m| m.name == ALERT_NAME).all(|m| m.matches(alert));
        found.extend(self.alerting.iter().filter(|(name, _)| fits(name)).flat_map(|(_, rules)| rules));
    }
}

/// Every query of a rule.
pub(super) fn queries(rule: &Rule) -> Vec<&Query> {
    let mut queries = signal_queries(rule);
    if let Condition::PromQl { recover: Some(recover), .. } = &rule.condition {
        queries.push(recover);
    }
    queries
}
