//! Messages that come late: they were given up, and somebody has them tried again. Their handlers will believe what these
//! say, so routing takes that for what they know, and tells them at once what has come of it since.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use super::Routes;
use super::group::Group;
use super::router::Router;
use super::told::{AlertKey, Known, Told};
use crate::model::labels::ALERT_NAME;
use crate::model::{Alert, Notice, NoticeKind, Now, Transition};

/// Rules that have another uid than before: the one they had, the one they have, and their name.
pub type FormerUids = BTreeMap<Arc<str>, (Arc<str>, Arc<str>)>;

/// What is needed to know what a late message means.
#[derive(Clone, Copy)]
pub struct Late<'a> {
    /// The routes.
    pub routes: &'a Routes,
    /// Rules that were renamed.
    pub former: &'a FormerUids,
    /// How an alert ended of which nothing is known here any more.
    pub end_of: &'a dyn Fn(&Transition) -> Transition,
    /// Now.
    pub now: Now,
}

impl Router {
    /// Whether nothing is known of an alert any more: it is over, and nobody is to be told further.
    pub fn is_forgotten(&self, alert: &Alert, former: &FormerUids, routes: &Routes) -> bool {
        !self.saved.alerts.contains_key(&self.key_now(alert, former, routes))
    }

    /// Whether a handler was told since, through another group, that an alert of a message fires: it would open what that
    /// group does not close.
    pub fn is_elsewhere(&self, notice: &Notice, former: &FormerUids, routes: &Routes) -> bool {
        let told_at = |t: &Arc<Transition>| {
            let known = self.saved.alerts.get(&self.key_now(&t.alert, former, routes))?;
            known.told.get(&notice.handler).filter(|told| told.firing)?.group.as_ref()
        };
        let fires = notice.transitions.iter().filter(|t| !t.kind.is_end());
        fires.filter_map(told_at).any(|group| *group != notice.group.key)
    }

    /// Takes what a message says for what its handler knows, and has its group looked at.
    pub fn told_late(&mut self, notice: &Notice, late: Late<'_>) {
        // What is told of an alert that was forgotten must not have the identity of what was told before.
        let times = u32::try_from(late.now.elapsed_ms.unsigned_abs() / 1000 % u64::from(u32::MAX / 2)).unwrap_or(0);
        for t in &notice.transitions {
            let key = self.key_now(&t.alert, late.former, late.routes);
            let end = t.kind.is_end();
            let known = match self.saved.alerts.entry(key.clone()) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(_) if end => continue,
                Entry::Vacant(place) => place.insert(Known::new(Arc::new((late.end_of)(t)), false)),
            };
            let told = known.told.entry(notice.handler.clone()).or_insert_with(|| Told { times, ..Told::default() });
            // Where its end comes late it is told anew that it fires, whatever the cooldown.
            let firing_ms = told.firing_ms.filter(|_| !end);
            *told = Told {
                firing: !end,
                level: t.alert.severity,
                firing_ms,
                group: (!end).then(|| notice.group.key.clone()),
                at_ms: late.now.elapsed_ms,
                acked: notice.kind == NoticeKind::Acknowledged && !end,
                flapping: t.alert.flapping.is_some(),
                anew: false,
                times: told.times,
            };
            known.held.remove(&notice.handler);
            self.dirty.alerts.insert(key.clone());
            let number = self.group_of_late(notice, &t.alert, late);
            if let Some(group) = self.saved.groups.get_mut(&number) {
                group.members.insert(key);
                self.dirty.groups.insert(number);
            }
            self.look_at(number, late.now.elapsed_ms);
        }
    }

    /// The group of a message, made anew where it is gone.
    fn group_of_late(&mut self, notice: &Notice, alert: &Alert, late: Late<'_>) -> u64 {
        if let Some(number) = self.by_key.get(&notice.group.key) {
            return *number;
        }
        let labels = late.routes.leaving(alert);
        let ways = late.routes.taken(alert, late.now.slot);
        let way = ways.iter().find(|taken| taken.group_of(&labels).key == notice.group.key);
        let route =
            way.map_or_else(|| (Arc::from(""), String::new()), |way| (way.path.clone(), way.route.group_by.words()));
        let number = self.saved.groups_begun;
        self.saved.groups_begun += 1;
        let mut group = Group::new(notice.group.clone(), number, route);
        group.begun = true;
        group.handlers = way.map(|way| way.handlers.clone()).unwrap_or_default();
        self.saved.groups.insert(number, group);
        self.by_key.insert(notice.group.key.clone(), number);
        number
    }

    /// The key of an alert as it is now: its rule may have another name than when the message was made.
    fn key_now(&self, alert: &Alert, former: &FormerUids, routes: &Routes) -> AlertKey {
        let key = AlertKey::of(alert);
        let Some((uid, name)) = former.get(&alert.rule_uid).filter(|_| !self.saved.alerts.contains_key(&key)) else {
            return key;
        };
        let labels = alert.labels.with(ALERT_NAME, name);
        let mut of_rule = self.of_rule(uid);
        of_rule.find(|(_, known)| routes.leaving(&known.transition.alert) == labels).map_or(key, |(now, _)| now.clone())
    }
}
