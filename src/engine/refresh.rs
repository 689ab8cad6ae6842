//! What people are told, brought up to date when they are told: values, annotations, and the course of signals.
//!
//! Place in the flow: routing has decided what is told; [`Engine::refresh`] looks at those notices alone. A slot at which
//! everything fires costs no look back while nobody is told, and one at which everybody is told costs a bounded one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Engine, TREND_SERIES_MAX, trend};
use crate::eval::EvalContext;
use crate::model::{Alert, Fingerprint, Labels, Notice, Now, Timestamp, Transition, TransitionKind};
use crate::promql::{SlotCache, Source};
use crate::rule::Rule;
use crate::state::RuleState;

/// Most looks back when people are told, each of a rule at one instant; what is told besides comes without its course.
const TRENDS_MAX: usize = 64;

/// An alert: its rule and the fingerprint of its labels.
type Key = (Arc<str>, Fingerprint);
/// Alerts of one rule whose signals are wanted up to one instant.
type Wanted = BTreeMap<(Arc<str>, Timestamp), BTreeSet<Fingerprint>>;

fn key(transition: &Transition) -> Key {
    (transition.alert.rule_uid.clone(), transition.alert.fingerprint)
}

impl Engine {
    /// Brings alerts that are told later than they changed up to date: value, annotations; and adds the course of their
    /// signals. What happened, and when, stays as it was. Gives of how many rules not every course is told.
    pub fn refresh(&self, notices: &mut [Notice], now: Now, source: &dyn Source) -> usize {
        let stale = |t: &Transition| !t.kind.is_end() && (t.at < now.slot || t.kind == TransitionKind::StillFiring);
        let all = notices.iter().flat_map(|notice| &notice.transitions);
        let rules: BTreeSet<Arc<str>> = all.filter(|t| stale(t)).map(|t| t.alert.rule_uid.clone()).collect();
        let told: BTreeSet<Key> = notices.iter().flat_map(|notice| &notice.transitions).map(|t| key(t)).collect();
        let fresh: BTreeMap<Key, Alert> = rules.iter().flat_map(|uid| self.current(uid, &told)).collect();
        for transition in notices.iter_mut().flat_map(|n| &mut n.transitions).filter(|t| stale(t)) {
            let Some(alert) = fresh.get(&key(transition)) else { continue };
            let told = Arc::make_mut(transition);
            // The labels it leaves with are the routes' matter, and by how bad it was it was decided what is told: a rule
            // that was changed since may say otherwise.
            let (labels, severity) = (told.alert.labels.clone(), told.alert.severity);
            told.alert = Alert { labels, severity, ..alert.clone() };
        }
        self.draw(notices, now, source)
    }

    /// The alerts of a rule that are told, as they are now.
    fn current(&self, uid: &Arc<str>, told: &BTreeSet<Key>) -> Vec<(Key, Alert)> {
        let Some((rule, state)) = self.rule_and_state(uid) else { return Vec::new() };
        let active = state.instances.values().filter(|i| i.is_active());
        let keyed = active.map(|i| ((uid.clone(), i.labels.fingerprint()), i));
        keyed.filter(|(key, _)| told.contains(key)).map(|(key, i)| (key, crate::state::shown(rule, i))).collect()
    }

    /// The course of a signal up to where it is told. Of a rule on a remote store it was asked for with the step; of an
    /// alert that was over so long ago that the engine has forgotten it, none is told.
    fn draw(&self, notices: &mut [Notice], now: Now, source: &dyn Source) -> usize {
        let until = |t: &Transition| match t.kind {
            TransitionKind::Resolved { .. } => t.at,
            _ => now.slot,
        };
        let is_drawn = |t: &Transition| {
            let here = || self.rule_and_state(&t.alert.rule_uid).is_some_and(|(rule, _)| rule.source.is_none());
            (t.kind.is_notable() || t.kind == TransitionKind::StillFiring) && here()
        };
        let (mut wanted, mut left_out) = (Wanted::new(), BTreeSet::new());
        for t in notices.iter().flat_map(|n| &n.transitions).filter(|t| is_drawn(t)) {
            let of = (t.alert.rule_uid.clone(), until(t));
            if wanted.len() < TRENDS_MAX || wanted.contains_key(&of) {
                wanted.entry(of).or_default().insert(t.alert.fingerprint);
            } else {
                left_out.insert(of.0);
            }
        }
        let drawn: BTreeMap<(Key, Timestamp), Vec<f64>> =
            wanted.iter().flat_map(|((uid, at), alerts)| self.trends(uid, *at, alerts, source)).collect();
        for transition in notices.iter_mut().flat_map(|n| &mut n.transitions) {
            if let Some(trend) = drawn.get(&(key(transition), until(transition))) {
                Arc::make_mut(transition).trend.clone_from(trend);
            }
        }
        left_out.len()
    }

    fn trends(
        &self,
        uid: &Arc<str>,
        at: Timestamp,
        alerts: &BTreeSet<Fingerprint>,
        source: &dyn Source,
    ) -> Vec<((Key, Timestamp), Vec<f64>)> {
        let small = |(_, state): &(&Rule, &RuleState)| state.keys.keys().count() <= TREND_SERIES_MAX;
        let Some((rule, state)) = self.rule_and_state(uid).filter(small) else { return Vec::new() };
        let of_alert = state.instances.values().map(|i| (i.labels.fingerprint(), i.sample_labels.without_name()));
        let (alerts, signals): (Vec<Fingerprint>, Vec<Labels>) = of_alert.filter(|(f, _)| alerts.contains(f)).unzip();
        let cache = SlotCache::default();
        let context = EvalContext { source, options: &self.options.query, cache: &cache, answers: None };
        let trends = trend::of(rule, &context, at.minus(rule.query_offset()), &signals.iter().collect::<Vec<_>>());
        alerts.into_iter().map(|fingerprint| ((uid.clone(), fingerprint), at)).zip(trends).collect()
    }

    fn rule_and_state(&self, uid: &str) -> Option<(&Rule, &RuleState)> {
        Some((self.rules.get(self.index_of(uid)?)?, self.states.get(uid)?))
    }
}
