//! Which series the active alerts read: they must outlive the store's making room.
//!
//! An alert holds on to what it was judged by. If the store dropped a silent series behind a firing alert, the alert
//! would end or lose its history for want of room, not because anything recovered.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Engine;
use super::order::queries;
use crate::eval::signal_queries;
use crate::model::Labels;
use crate::promql::{Matcher, PlanSelector};

/// Series that active alerts read through one selector.
#[derive(Clone, Debug, PartialEq)]
pub struct Needed {
    /// The selector.
    pub matchers: Arc<[Matcher]>,
    /// Labels (without name) of the series that are meant, where each alert reads the one with its own labels; `None`:
    /// all that the selector matches.
    pub series: Option<BTreeSet<Labels>>,
    /// For how long after it was last written to a series is read; `None`: always.
    pub within_ms: Option<i64>,
}

impl Engine {
    /// What the pending and firing alerts of all rules read, in rule order.
    pub fn needed(&self) -> Vec<Needed> {
        let mut needed = Vec::new();
        for rule in self.rules.iter().filter(|rule| rule.enabled) {
            let Some(state) = self.states.get(&rule.uid) else { continue };
            let active: BTreeSet<Labels> =
                state.instances.iter().filter(|(_, i)| i.is_active()).map(|(labels, _)| labels.clone()).collect();
            if active.is_empty() {
                continue;
            }
            for query in signal_queries(rule) {
                let own = signal_plan(query).is_per_series();
                needed.extend(query.plan.selectors().iter().map(|selector| Needed {
                    matchers: Arc::clone(&selector.matchers),
                    series: own.then(|| active.clone()),
                    // Which of many series an aggregated alert came from cannot be told; those that fell out of its
                    // window have no part in it any more.
                    within_ms: (!own).then_some(selector.reach_ms),
                }));
            }
        }
        needed
    }

    /// What the rules read from the store here, a selector each.
    pub fn reads(&self) -> Vec<&PlanSelector> {
        let here = self.rules.iter().filter(|rule| rule.enabled && rule.source.is_none());
        here.flat_map(queries).flat_map(|query| query.plan.selectors()).collect()
    }
}

/// The plan whose series are those of the alerts: without a final comparison with a constant, which drops some.
fn signal_plan(query: &crate::rule::Query) -> crate::promql::Plan {
    query.plan.split_comparison().map_or_else(|| (*query.plan).clone(), |(left, ..)| left)
}
