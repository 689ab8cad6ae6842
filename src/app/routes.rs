//! What routing reads of rules and handler files: the terms of each rule, and the tree of routes, in which a route has what
//! it leaves open from the one above it. It routes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::config::RouteConfig;
use crate::model::Labels;
use crate::route::{GroupBy, Route, RuleTerms};
use crate::rule::Rule;
use crate::schedule::{MuteTimes, TimeInterval};

/// What each rule says about telling its alerts, by its uid.
pub fn terms(rules: &[Rule]) -> BTreeMap<Arc<str>, RuleTerms> {
    let of = |rule: &Rule| RuleTerms {
        cooldown: rule.cooldown,
        notify: rule.notify.clone(),
        escalate: rule.escalate.clone(),
        times: rule.times.clone(),
    };
    rules.iter().map(|rule| (rule.uid.clone(), of(rule))).collect()
}

/// The defaults of a written root route, as in Alertmanager: all alerts are one group, 30 seconds, 5 minutes, 4 hours.
fn defaults() -> Route {
    Route {
        group_by: GroupBy::Labels(Vec::new()),
        group_wait: Duration::from_secs(30),
        group_interval: Duration::from_secs(5 * 60),
        ..Route::default()
    }
}

/// The tree. Time intervals that do not exist were reported; here they are left out.
pub(super) fn tree(root: &RouteConfig, intervals: &[Arc<TimeInterval>]) -> Route {
    route(root, &defaults(), (Arc::clone(&Route::default().path), intervals))
}

fn route(written: &RouteConfig, above: &Route, (path, intervals): (Arc<str>, &[Arc<TimeInterval>])) -> Route {
    let times = |names: &Option<Vec<String>>, inherited: &[Arc<TimeInterval>]| match names {
        None => inherited.to_vec(),
        Some(names) => names.iter().filter_map(|name| intervals.iter().find(|i| *i.name == **name).cloned()).collect(),
    };
    let labels = above.labels.iter().chain(written.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let mut this = Route {
        path,
        matchers: written.matchers.clone(),
        goes_on: written.goes_on,
        group_by: written.group_by.as_ref().map_or_else(|| above.group_by.clone(), |names| GroupBy::from_names(names)),
        group_wait: written.group_wait.unwrap_or(above.group_wait),
        group_interval: written.group_interval.unwrap_or(above.group_interval),
        repeat_interval: written.repeat_interval.unwrap_or(above.repeat_interval),
        handlers: written.handlers.as_ref().map_or_else(
            || above.handlers.clone(),
            |names| names.iter().map(|name| Arc::from(name.as_str())).collect(),
        ),
        escalate: written.escalate.as_ref().map_or_else(|| Arc::clone(&above.escalate), |steps| steps.clone().into()),
        labels: Labels::from_pairs(labels),
        times: MuteTimes {
            mute: times(&written.mute, &above.times.mute),
            active: times(&written.active, &above.times.active),
        },
        routes: Vec::with_capacity(written.routes.len()),
    };
    for below in &written.routes {
        let path = this.path_below(&below.matchers);
        let next = route(below, &this, (path, intervals));
        this.routes.push(next);
    }
    this
}

#[cfg(test)]
#[path = "routes_tests.rs"]
mod tests;
