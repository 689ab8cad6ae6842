//! The tree of routes: which of them an alert takes, and who is told through each.

use std::sync::Arc;
use std::time::Duration;

use super::Routes;
use super::group::{Group, GroupBy};
use crate::model::{Alert, EscalationStep, GroupRef, LabelMatcher, Labels, Timestamp};
use crate::schedule::MuteTimes;

/// The path of the root route.
pub(super) const ROOT: &str = "{}";

/// A route: which alerts take it, how they are grouped, when they are told and to whom. What it does not say itself it
/// has from the one above it.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Names it among all routes: the matchers of those above it and its own, as in Alertmanager.
    pub path: Arc<str>,
    /// Alerts that fit all of them take it.
    pub matchers: Vec<LabelMatcher>,
    /// Whether the routes behind it are tried too.
    pub goes_on: bool,
    /// What makes a group.
    pub group_by: GroupBy,
    /// How long a new group waits for more alerts.
    pub group_wait: Duration,
    /// Least time between two notices about news of a group; a raise does not wait for it.
    pub group_interval: Duration,
    /// What still fires is told again after this time.
    pub repeat_interval: Duration,
    /// Who is told; everybody where it is empty.
    pub handlers: Vec<Arc<str>>,
    /// Who else is told where nobody looks after an alert.
    pub escalate: Arc<[EscalationStep]>,
    /// Labels that messages of its groups carry as those of the route.
    pub labels: Labels,
    /// When it tells anybody at all.
    pub times: MuteTimes,
    /// The routes below it, tried in order before it.
    pub routes: Vec<Route>,
}

impl Default for Route {
    /// Without a written route every alert is told at once, on its own, and again after four hours.
    fn default() -> Self {
        Self {
            path: Arc::from(ROOT),
            matchers: Vec::new(),
            goes_on: false,
            group_by: GroupBy::All,
            group_wait: Duration::ZERO,
            group_interval: Duration::ZERO,
            repeat_interval: Duration::from_secs(4 * 3600),
            handlers: Vec::new(),
            escalate: Arc::default(),
            labels: Labels::empty(),
            times: MuteTimes::default(),
            routes: Vec::new(),
        }
    }
}

impl Route {
    /// The path of a route below this one: its matchers, and a number where an earlier sibling has the same.
    pub fn path_below(&self, matchers: &[LabelMatcher]) -> Arc<str> {
        let mut own: Vec<String> = matchers.iter().map(ToString::to_string).collect();
        own.sort();
        let path = format!("{}/{{{}}}", self.path, own.join(","));
        let same = |route: &&Route| route.path.strip_prefix(&*path).is_some_and(|rest| !rest.starts_with('/'));
        match self.routes.iter().filter(same).count() {
            0 => Arc::from(path),
            n => Arc::from(format!("{path}#{}", n + 1)),
        }
    }

    fn fits(&self, labels: &Labels) -> bool {
        self.matchers.iter().all(|matcher| matcher.matches(labels))
    }

    /// The routes that an alert with these labels takes, in order.
    pub fn taken(&self, labels: &Labels) -> Vec<&Self> {
        let mut taken = Vec::new();
        self.take(labels, &mut taken);
        taken
    }

    /// Adds the routes that an alert takes from here on: the first of those below, with those that follow one that goes
    /// on; where none fits, this one.
    fn take<'a>(&'a self, labels: &Labels, taken: &mut Vec<&'a Route>) {
        let before = taken.len();
        for route in self.routes.iter().filter(|route| route.fits(labels)) {
            route.take(labels, taken);
            if !route.goes_on {
                break;
            }
        }
        if taken.len() == before {
            taken.push(self);
        }
    }

    /// The route of a path.
    fn at(&self, path: &str) -> Option<&Self> {
        if *self.path == *path {
            return Some(self);
        }
        let leads = |route: &&Self| path.starts_with(&*route.path);
        self.routes.iter().filter(leads).find_map(|route| route.at(path))
    }

    /// This route and all below it, as they are written.
    pub fn all(&self) -> Vec<&Self> {
        let below = self.routes.iter().flat_map(Self::all);
        std::iter::once(self).chain(below).collect()
    }

    /// Changes this route and all below it.
    pub fn change(&mut self, change: &mut impl FnMut(&mut Self)) {
        change(self);
        self.routes.iter_mut().for_each(|route| route.change(change));
    }
}

/// A route that an alert takes.
pub(super) struct Taken<'a> {
    pub route: &'a Route,
    /// The path in the key of its groups: that of the route; a rule that names its handlers has one of its own under the
    /// root.
    pub path: Arc<str>,
    /// Who it leads to.
    pub handlers: Vec<Arc<str>>,
    /// After what time it leads to whom else: the name that the step has, and the handler.
    pub later: Vec<(Duration, Arc<str>, Arc<str>)>,
}

impl Taken<'_> {
    /// The group of an alert: the path of its route, a colon, its labels, as in Alertmanager.
    pub fn group_of(&self, labels: &Labels) -> GroupRef {
        let labels = self.route.group_by.of(labels);
        let key = Arc::from(format!("{}:{labels}", self.path));
        GroupRef { key, labels, route_labels: self.route.labels.clone() }
    }
}

impl Routes {
    /// The routes that an alert takes, in the order of the tree, with those on duty at an instant.
    pub(super) fn taken(&self, alert: &Alert, at: Timestamp) -> Vec<Taken<'_>> {
        let terms = self.terms.get(&alert.rule_uid);
        // A rule that is gone is asked through its alert.
        let named = terms.map_or(&alert.notify, |terms| &terms.notify);
        let own = terms.and_then(|terms| terms.escalate.as_deref());
        if !named.is_empty() {
            // No list of matchers reads like this.
            let path = Arc::from(format!("{ROOT}/notify{named:?}"));
            let (handlers, later) = (self.meant(named, at), self.later(own.unwrap_or_default(), at));
            return vec![Taken { route: &self.root, path, handlers, later }];
        }
        let routes = self.root.taken(&self.leaving(alert));
        let mut reached = Vec::new();
        let taken = routes.into_iter().enumerate().filter_map(|(number, route)| {
            let handlers = match route.handlers.as_slice() {
                [] => self.receivers.iter().filter(|r| !r.by_name_only).map(|r| r.name.clone()).collect(),
                named => self.meant(named, at),
            };
            let later = self.later(own.unwrap_or(&route.escalate), at);
            // An alert reaches a handler through the first route that leads there, so that no message comes twice; of
            // steps of several routes nobody knows yet which one comes first.
            let adds = number == 0
                || handlers.iter().any(|name| !reached.contains(name))
                || later.iter().any(|(_, _, name)| !reached.contains(name));
            reached.extend(handlers.iter().cloned());
            adds.then(|| Taken { route, path: route.path.clone(), handlers, later })
        });
        taken.collect()
    }

    /// After what time which handlers are told, by the name that the step has.
    fn later(&self, steps: &[EscalationStep], at: Timestamp) -> Vec<(Duration, Arc<str>, Arc<str>)> {
        let named = |step: &EscalationStep| {
            let handlers = step.handlers.iter().map(|name| (step.after, name.clone(), self.on_duty(name, at)));
            handlers.filter(|(_, _, handler)| self.receiver(handler).is_some()).collect::<Vec<_>>()
        };
        steps.iter().flat_map(named).collect()
    }

    /// The receivers that are meant by names.
    fn meant(&self, names: &[Arc<str>], at: Timestamp) -> Vec<Arc<str>> {
        let meant: Vec<Arc<str>> = names.iter().map(|name| self.on_duty(name, at)).collect();
        self.receivers.iter().filter(|r| meant.contains(&r.name)).map(|r| r.name.clone()).collect()
    }

    /// The receiver of a name: for a rotation whoever is on duty.
    pub(super) fn on_duty(&self, name: &Arc<str>, at: Timestamp) -> Arc<str> {
        let rotation = self.rotations.iter().find(|rotation| rotation.name == *name);
        rotation.and_then(|rotation| rotation.on_duty(at)).unwrap_or(name).clone()
    }

    /// When somebody else is on duty next, in any rotation.
    pub(super) fn next_handover(&self, at: Timestamp) -> Option<Timestamp> {
        self.rotations.iter().filter_map(|rotation| Some(rotation.next_handover(at)?.0)).min()
    }

    /// The route that governs a group, and whether it is the group's own: one that is gone leaves its groups to the root.
    pub(super) fn of_group(&self, group: &Group) -> (&Route, bool) {
        match self.root.at(&group.route) {
            Some(route) => (route, true),
            None => (&self.root, false),
        }
    }
}
