//! Who is to be told of an alert, and when, by the files alone: worked out as Alertmanager's documentation has routes.

use std::collections::BTreeMap;

use alertd::model::Labels;

use crate::scenario::{Files, RouteFacts, RuleFacts, Steps};

/// Handlers, each with the seconds after which it is told: none for those who are told at once.
pub type Meant = BTreeMap<String, u64>;

/// Who is told of an alert with these labels; none where its rule is not there.
pub fn meant(files: &Files, rule: Option<&RuleFacts>, labels: &Labels) -> Meant {
    let mut out = Meant::new();
    let Some(rule) = rule else { return out };
    if rule.notify.is_empty() {
        let mut walk = Walk { labels, steps: rule.escalate.as_ref(), out: &mut out };
        walk.route(&files.route, &[], &Vec::new());
    } else {
        rule.notify.iter().for_each(|name| add(&mut out, name, 0));
        rule.escalate.iter().flatten().for_each(|(after, name)| add(&mut out, name, *after));
    }
    out
}

/// A route and all below it.
pub fn all<'a>(route: &'a RouteFacts, out: &mut Vec<&'a RouteFacts>) {
    out.push(route);
    route.routes.iter().for_each(|below| all(below, out));
}

/// The longest time after which somebody is told.
pub fn longest_step(files: &Files) -> u64 {
    let mut routes = Vec::new();
    all(&files.route, &mut routes);
    let of_routes = routes.iter().filter_map(|route| route.escalate.as_ref());
    let steps = of_routes.chain(files.rules.values().filter_map(|rule| rule.escalate.as_ref())).flatten();
    steps.map(|(after, _)| *after).max().unwrap_or(0)
}

fn add(out: &mut Meant, name: &str, after: u64) {
    out.entry(name.to_owned()).and_modify(|first| *first = after.min(*first)).or_insert(after);
}

struct Walk<'a> {
    labels: &'a Labels,
    /// Those of the rule, in the place of those of its routes.
    steps: Option<&'a Steps>,
    out: &'a mut Meant,
}

impl Walk<'_> {
    /// What is not said by a route is said by the one above it.
    fn route(&mut self, route: &RouteFacts, handlers: &[String], steps: &Steps) {
        let handlers = if route.handlers.is_empty() { handlers } else { &route.handlers };
        let steps = route.escalate.as_ref().unwrap_or(steps);
        let mut taken = false;
        for below in &route.routes {
            if below.matchers.iter().all(|(name, value)| self.labels.get(name).unwrap_or_default() == value) {
                self.route(below, handlers, steps);
                taken = true;
                if !below.goes_on {
                    break;
                }
            }
        }
        if !taken {
            handlers.iter().for_each(|name| add(self.out, name, 0));
            self.steps.unwrap_or(steps).iter().for_each(|(after, name)| add(self.out, name, *after));
        }
    }
}
