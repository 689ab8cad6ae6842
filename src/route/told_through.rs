//! The ways that news of an alert goes, for those who tell why: its groups, and whom it waits for there.

use std::sync::Arc;
use std::time::Duration;

use super::router::Router;
use super::told::{AlertKey, Known, Told};
use super::{Routes, group::Group};

/// A group that an alert is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToldThrough {
    /// Its key: the path of the route, a colon, the labels.
    pub group: Arc<str>,
    /// Who is told through it.
    pub handlers: Vec<Arc<str>>,
    /// Who is told later, where nobody looks after it by then: the handler, and after what time.
    pub later: Vec<(Arc<str>, Duration)>,
    /// Of those who are told at once, the ones who have news coming when the group is looked at next.
    pub waiting: Vec<Arc<str>>,
    /// When that is (elapsed clock).
    pub due_ms: Option<i64>,
    /// Whether its `group_wait` is over: it waits for `group_interval` then.
    pub begun: bool,
    /// After what time the same is told again.
    pub repeat_interval: Duration,
}

impl Router {
    /// The groups of an alert; none where nobody is to be told of it.
    pub fn told_through(&self, key: &AlertKey, routes: &Routes) -> Vec<ToldThrough> {
        let Some(known) = self.saved.alerts.get(key) else { return Vec::new() };
        let groups = known.member_of();
        groups.iter().filter_map(|at| self.group_at(at)).map(|(_, group)| through(known, group, routes)).collect()
    }
}

fn through(known: &Known, group: &Group, routes: &Routes) -> ToldThrough {
    let waits = |name: &&Arc<str>| {
        let nobody = Told::default();
        let told = known.told.get(*name).unwrap_or(&nobody);
        let same_level = known.transition.alert.severity == told.level;
        let news = known.firing != told.firing || (known.firing && !same_level);
        news && !known.held.contains_key(*name)
    };
    ToldThrough {
        group: group.of.key.clone(),
        handlers: group.handlers.clone(),
        later: known.later(&group.of.key),
        waiting: group.handlers.iter().filter(waits).cloned().collect(),
        due_ms: group.due_ms,
        begun: group.begun,
        repeat_interval: routes.of_group(group).0.repeat_interval,
    }
}
