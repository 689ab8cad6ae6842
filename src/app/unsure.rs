//! Alerts that people may believe in and the core may have lost: after a restart, maybe from damaged state, what
//! handlers were told is compared with what is so, rule by rule, and taken back where nothing fires.
//!
//! Place in the flow: [`Hub`](super::hub::Hub) asks after each step and when it takes rules, and tells what comes of it
//! with everything else. A rule is compared once it was evaluated without an error: before that nobody knows.

use std::collections::BTreeSet;
use std::sync::Arc;

use tracing::warn;

use crate::engine::{Engine, Step};
use crate::model::alert::RECEIVED;
use crate::model::{AlertState, Fingerprint, Now, Renamed, ResolveReason, Timestamp, Transition, TransitionKind};
use crate::route::{AlertKey, Router};

/// Rules of which it is not known yet whether handlers believe what is so.
#[derive(Debug, Default)]
pub struct Unsure(BTreeSet<Arc<str>>);

impl Unsure {
    /// Every rule with a state, and those of which only what was told is left.
    pub(super) fn of(engine: &Engine, router: &Router) -> Self {
        let states = engine.states().map(|(uid, _)| uid.clone());
        // What others report is compared with what they report.
        let rules = states.chain(router.believed_rules()).filter(|uid| **uid != *RECEIVED);
        Self(rules.collect())
    }

    /// A rule goes on under another uid.
    pub(super) fn rename(&mut self, renamed: &Renamed) {
        if self.0.remove(&renamed.from) {
            self.0.insert(renamed.to.clone());
        }
    }

    /// Takes back what a step shows not to be so.
    pub(super) fn compare(&mut self, (engine, router): (&Engine, &Router), step: &mut Step, now: Now) {
        if self.0.is_empty() {
            return;
        }
        let moved: BTreeSet<AlertKey> = step.transitions.iter().map(|t| AlertKey::of(&t.alert)).collect();
        for report in step.reports.iter().filter(|report| report.error.is_none()) {
            if !self.0.remove(&report.uid) {
                continue;
            }
            let instances = engine.state(&report.uid).into_iter().flat_map(|state| state.instances.values());
            let firing = instances.filter(|i| i.state == AlertState::Firing);
            let firing: BTreeSet<Fingerprint> = firing.map(|i| i.labels.fingerprint()).collect();
            let is_so =
                |t: &&Transition| firing.contains(&t.alert.fingerprint) || moved.contains(&AlertKey::of(&t.alert));
            let lost = router.believed(&report.uid).filter(|t| !is_so(t));
            let over: Vec<Transition> = lost.map(|t| over(t, ResolveReason::Recovered, now.slot)).collect();
            if !over.is_empty() {
                warn!(rule = %report.uid, alerts = over.len(), "Alerts that were told are not known any more; they are told as resolved");
            }
            step.transitions.extend(over);
        }
    }

    /// Takes back what was told of rules that are gone, beside what their own state did. Called with the new rules.
    pub(super) fn of_no_rule(
        &mut self,
        (engine, router): (&Engine, &Router),
        transitions: &mut Vec<Transition>,
        now: Now,
    ) {
        if self.0.is_empty() {
            return;
        }
        let rules: BTreeSet<&Arc<str>> = engine.rules().iter().filter(|r| r.enabled).map(|r| &r.uid).collect();
        let moved: BTreeSet<AlertKey> = transitions.iter().map(|t| AlertKey::of(&t.alert)).collect();
        self.0.retain(|uid| {
            if rules.contains(uid) {
                return true;
            }
            let lost = router.believed(uid).filter(|t| !moved.contains(&AlertKey::of(&t.alert)));
            transitions.extend(lost.map(|t| over(t, ResolveReason::RuleRemoved, now.slot)));
            false
        });
    }
}

/// The end of an alert of which only what was told is left.
pub(super) fn over(told: &Transition, reason: ResolveReason, at: Timestamp) -> Transition {
    let mut over = told.clone();
    over.at = at;
    over.sequence += 1;
    over.kind = TransitionKind::Resolved { reason };
    over.alert.state = AlertState::Inactive;
    over.alert.resolved_at = Some(at);
    over.trend.clear();
    over
}

#[cfg(test)]
mod tests {
    use crate::app::keeper::{Keeper, Restored};
    use crate::app::tests::bench::{Bench, START};

    /// A restart of which routing alone was kept, with its text changed by `edit`.
    fn restarted(edit: impl Fn(String) -> String) -> Bench {
        let before = Bench::new();
        before.tick(9.0);
        assert_eq!(before.told(), ["firing first notification"]);
        let core = before.hub.core();
        let router = edit(serde_json::to_string(&core.router.save()).unwrap());
        let mut restored = Restored::default();
        restored.router = serde_json::from_str(&router).unwrap();
        restored.state.now = core.engine.last();
        Bench::over(|metrics| (Keeper::in_memory(metrics), restored), START + 30)
    }

    #[test]
    fn what_was_told_of_a_rule_whose_record_is_lost_is_taken_back_once_it_is_known_not_to_fire() {
        let bench = restarted(|text| text);
        assert_eq!(bench.told(), Vec::<String>::new(), "nobody knows yet");
        bench.tick(1.0);
        assert_eq!(bench.told(), ["resolved resolved"]);
        let bench = restarted(|text| text);
        bench.tick(9.0);
        bench.tick(9.0);
        assert!(!bench.told().iter().any(|told| told.starts_with("resolved")), "it fires still");
    }

    #[test]
    fn what_was_told_of_a_rule_that_is_gone_with_its_record_is_taken_back() {
        let bench = restarted(|text| text.replace("\"high\"", "\"gone\""));
        bench.hub.run_due();
        assert_eq!(bench.told(), ["resolved resolved"]);
    }
}
