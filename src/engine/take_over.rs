//! Another set of rules: who keeps which state, and what ends.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Engine;
use crate::model::{AbsenceReason, Now, Renamed, Transition};
use crate::rule::Rule;
use crate::state::{Advance, RuleState};

impl Engine {
    /// Gives what is kept of rules that were renamed to the rules that they are now: before [`Self::replace_rules`]. A
    /// rule that has a state of its own keeps that.
    pub fn take_over(&mut self, rules: &[Rule]) -> Vec<Renamed> {
        let mut renamed = Vec::new();
        for rule in rules {
            let from = self.former_uid(rule).clone();
            let retired = self.retired.len();
            if let Some(last) = self.last {
                self.retire(&from, None, last);
            }
            let Some(mut state) = self.states.remove(&from) else { continue };
            let alerts = crate::state::rename::rename(&mut state, &rule.name);
            state.keys.clear();
            self.states.insert(rule.uid.clone(), state);
            if from != rule.uid || !alerts.is_empty() {
                renamed.push(Renamed { from, to: rule.uid.clone(), name: rule.name.clone(), alerts });
            } else {
                self.retired.truncate(retired);
            }
        }
        renamed
    }

    /// The uid under which a rule's state is found: its own, the one it was renamed from, or the one it had when it did
    /// not share its name, or shared it.
    fn former_uid<'a>(&self, rule: &'a Rule) -> &'a Arc<str> {
        if self.states.contains_key(&rule.uid) {
            return &rule.uid;
        }
        let renamed = rule.renamed_from.as_ref().filter(|uid| self.states.contains_key(*uid));
        let fits = |uid: &&Arc<str>| self.states.get(*uid).is_some_and(|state| is_of(rule, state));
        renamed.or_else(|| rule.also_known_as.as_ref().filter(fits)).unwrap_or(&rule.uid)
    }

    /// Takes another set of rules. Rules that keep their uid keep their state; firing alerts of rules that are gone or
    /// disabled end, and what was told of them is taken back.
    pub fn replace_rules(&mut self, rules: Vec<Rule>, now: Now) -> Vec<Transition> {
        let kept: BTreeSet<Arc<str>> =
            rules.iter().filter(|r| r.enabled && self.goes_on(r)).map(|r| r.uid.clone()).collect();
        let mut transitions = Vec::new();
        let before = Arc::clone(&self.rules);
        for rule in before.iter().filter(|r| !kept.contains(&r.uid)) {
            self.retire(&rule.uid, Some(rule), now);
            let Some(state) = self.states.get_mut(&rule.uid) else { continue };
            let advance = Advance {
                rule,
                now,
                externals: &self.options.externals,
                query: &|_| Err("not available for a removed rule".to_owned()),
                absence: &|_| AbsenceReason::SeriesEnded,
                not_seen_yet: &|_| false,
            };
            transitions.extend(advance.remove(state));
        }
        let known: BTreeSet<Arc<str>> = self.rules.iter().map(|r| r.uid.clone()).collect();
        let orphans = self.states.keys().filter(|uid| !kept.contains(*uid) && !known.contains(*uid));
        for uid in orphans.cloned().collect::<Vec<_>>() {
            self.retire(&uid, None, now);
            let Some(state) = self.states.get_mut(&uid) else { continue };
            transitions.extend(crate::state::orphan::remove(&uid, state, now));
        }
        self.states.retain(|uid, _| kept.contains(uid));
        // What was derived from labels may be derived otherwise by the new rules.
        self.states.values_mut().for_each(|state| state.keys.clear());
        self.stand_in(rules);
        transitions
    }

    /// Whether a rule can go on with the state under its uid: not if it alerted and records now, or the other way.
    fn goes_on(&self, rule: &Rule) -> bool {
        let Some(state) = self.states.get(&rule.uid) else { return true };
        if rule.is_recording() { state.instances.is_empty() } else { state.recorded.is_empty() }
    }
}

/// Whether what a state holds carries the labels that a rule sets.
fn is_of(rule: &Rule, state: &RuleState) -> bool {
    let alerts = state.instances.values().map(|instance| &instance.labels);
    alerts.chain(&state.recorded).all(|labels| {
        let constant = rule.labels.iter().filter_map(|(name, value)| Some((name, value.constant()?)));
        constant.into_iter().all(|(name, value)| labels.get(name).unwrap_or_default() == value)
    })
}
