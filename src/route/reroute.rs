//! Takes other routes, after a reload or a restart: alerts move to the groups and handlers that these give them.

use std::sync::Arc;

use super::hold::Terms;
use super::router::Router;
use super::told::{AlertKey, Known};
use super::{Routes, Silences};
use crate::model::Now;

impl Router {
    /// Takes other routes: alerts that fire move to the groups and handlers that these give them.
    pub fn reroute(&mut self, routes: &Routes, silences: &Silences, now: Now) {
        let terms = Terms { routes, silences, now };
        // One that is over and not yet told so may have lost its group.
        let matters = |known: &Known| known.firing || known.is_told_firing();
        let keys: Vec<AlertKey> =
            self.saved.alerts.iter().filter(|(_, k)| matters(k)).map(|(k, _)| k.clone()).collect();
        for key in keys {
            let before = self.place_of(&key);
            self.place(&key, terms);
            let Some((number, handlers)) = self.place_of(&key) else { continue };
            let (Some(group), Some(known)) = (self.saved.groups.get(&number), self.saved.alerts.get(&key)) else {
                continue;
            };
            let stays = before.filter(|(before, _)| *before == number);
            let untold = |name: &&Arc<str>| !known.told.get(*name).is_some_and(|told| told.firing);
            // Whoever is meant only now need not wait for the group's next news.
            let is_new = |name: &Arc<str>| stays.as_ref().is_some_and(|(_, before)| !before.contains(name));
            let due_ms = if group.begun && handlers.iter().filter(untold).any(is_new) {
                now.elapsed_ms
            } else if stays.is_none() || handlers.iter().any(|name| untold(&name)) {
                group.news_due_ms(&routes.root, now.elapsed_ms)
            } else {
                continue;
            };
            self.look_at(number, due_ms);
        }
    }

    /// The group of an alert, and who is told of it.
    fn place_of(&self, key: &AlertKey) -> Option<(u64, Vec<Arc<str>>)> {
        let number = *self.by_key.get(self.saved.alerts.get(key)?.group.as_ref()?)?;
        Some((number, self.saved.groups.get(&number)?.handlers.clone()))
    }
}
