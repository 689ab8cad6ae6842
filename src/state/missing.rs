//! Signals that did not come back: ended, silent, or never there; and what the rule says about it.

use std::collections::BTreeSet;

use super::advance::{Advance, Walk, held_by_recovery, is_internal};
use super::displaced::is_displaced;
use super::instance::Input;
use super::{Instance, RuleState};
use crate::model::{AbsenceReason, Labels, ResolveReason};
use crate::rule::{Condition, OnMissing};

/// Most label sets remembered to notice their disappearance.
const SEEN_MAX: usize = 100_000;

impl Advance<'_> {
    /// What a missing signal means. Plain PromQL without `on_no_data` takes it for a condition that does not hold.
    fn on_no_data(&self) -> Option<OnMissing> {
        match self.rule.condition {
            Condition::PromQl { .. } => self.rule.on_no_data,
            _ => Some(self.rule.on_no_data.unwrap_or_default()),
        }
    }

    /// Active alerts whose signal did not come back.
    pub(super) fn missing(&self, state: &mut RuleState, walk: &mut Walk<'_>, any: bool) {
        // In order already, as signals are: then this looks at each once.
        walk.visited.sort();
        let mut visited = walk.visited.iter().peekable();
        let mut was_visited = |key: &Labels| {
            while visited.next_if(|v| *v < key).is_some() {}
            visited.peek().is_some_and(|v| *v == key)
        };
        let active = state.instances.iter().filter(|(key, i)| i.is_active() && !is_internal(key));
        let gone: Vec<Labels> = active.map(|(key, _)| key).filter(|key| !was_visited(key)).cloned().collect();
        for key in gone {
            let input = match self.on_no_data() {
                _ if state.instances.get(&key).is_some_and(|i| is_displaced(&key, i)) => Input::Clear { value: None },
                // The alert of a rule that had no signal at all: now there is one.
                Some(_) if key.is_empty() && any => Input::Gone { reason: ResolveReason::Recovered },
                None if held_by_recovery(state, &key, walk.recovered) => continue,
                None if (self.not_seen_yet)(&key) => Input::Silent,
                None => Input::Clear { value: None },
                Some(policy) => self.missing_input(state, &key, policy),
            };
            self.apply(state, walk, &key, input);
        }
    }

    fn missing_input(&self, state: &RuleState, key: &Labels, policy: OnMissing) -> Input {
        match ((self.absence)(key), policy) {
            (AbsenceReason::SeriesEnded, _) => Input::Gone { reason: ResolveReason::SeriesEnded },
            (AbsenceReason::NoData, OnMissing::Keep) => Input::Silent,
            (AbsenceReason::NoData, OnMissing::Resolve) => Input::Gone { reason: ResolveReason::NoData },
            (AbsenceReason::NoData, OnMissing::Fire) => {
                Input::Holds { level: self.level_before(state, key), value: f64::NAN }
            }
        }
    }

    /// `on_no_data: fire`: label sets that had a value and have none now, and a rule that never had any.
    pub(super) fn unseen(&self, state: &mut RuleState, walk: &mut Walk<'_>) {
        if self.on_no_data() != Some(OnMissing::Fire) {
            return;
        }
        let present: BTreeSet<Labels> = state.keys.keys().cloned().collect();
        let silent: Vec<Labels> = state.seen.difference(&present).cloned().collect();
        for key in silent {
            if (self.absence)(&key) == AbsenceReason::SeriesEnded {
                state.seen.remove(&key);
            } else if !state.instances.get(&key).is_some_and(Instance::is_active) {
                self.no_data_alert(state, walk, key);
            }
        }
        let empty = Labels::empty();
        if present.is_empty()
            && state.seen.is_empty()
            && !state.instances.get(&empty).is_some_and(Instance::is_active)
            && (self.absence)(&empty) == AbsenceReason::NoData
        {
            self.no_data_alert(state, walk, empty);
        }
        let room = SEEN_MAX.saturating_sub(state.seen.len());
        let new: Vec<Labels> = present.into_iter().filter(|l| !state.seen.contains(l)).take(room).collect();
        state.seen.extend(new);
    }

    fn no_data_alert(&self, state: &mut RuleState, walk: &mut Walk<'_>, key: Labels) {
        if walk.active >= self.rule.alerts_max {
            walk.refused += 1;
            return;
        }
        walk.active += 1;
        let labels = self.alert_labels(&key, f64::NAN);
        let instance =
            state.instances.entry(key.clone()).or_insert_with(|| Instance::new(key.clone(), labels.clone(), self.now));
        instance.labels = labels;
        instance.annotations = self.annotations(&key, f64::NAN);
        self.apply(state, walk, &key, Input::Holds { level: 0, value: f64::NAN });
    }
}
