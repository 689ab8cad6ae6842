//! Who is told instead: fallback handlers, and the groups of which they were told and must hear the end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use crate::model::{Notice, NoticeKind};

/// Fallback handlers, and what they were told of.
#[derive(Debug, Default)]
pub struct Fallbacks(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The fallback of each handler that has one.
    of: BTreeMap<String, Arc<str>>,
    /// Groups, by handler, of which its fallback was told.
    told: BTreeSet<(Arc<str>, Arc<str>)>,
    /// Of those, the ones whose end was told since they were last taken: what is stored of them can go.
    ended: Vec<(Arc<str>, Arc<str>)>,
    /// Of the notices that are being committed, by id: the fallback that is given a copy.
    copied: BTreeMap<String, Arc<str>>,
}

impl Fallbacks {
    /// Takes the fallbacks of a set of handlers.
    pub fn configure<'a>(&self, fallbacks: impl Iterator<Item = (&'a str, Arc<str>)>) {
        self.state().of = fallbacks.map(|(name, fallback)| (name.to_owned(), fallback)).collect();
    }

    /// Goes on from what was saved.
    pub fn restore(&self, told: impl IntoIterator<Item = (Arc<str>, Arc<str>)>) {
        self.state().told.extend(told);
    }

    /// What was told instead: handler and group key.
    pub fn saved(&self) -> Vec<(Arc<str>, Arc<str>)> {
        self.state().told.iter().cloned().collect()
    }

    /// Groups whose end was told since this was last asked: handler and group key. Stored with the end.
    pub fn take_ended(&self) -> Vec<(Arc<str>, Arc<str>)> {
        std::mem::take(&mut self.state().ended)
    }

    /// Whether the fallback of a handler was told of a group and not of its end.
    pub fn is_told(&self, handler: &Arc<str>, group: &Arc<str>) -> bool {
        self.state().told.contains(&(handler.clone(), group.clone()))
    }

    /// The fallback of a handler, but for those that gave a notice up already.
    pub fn of(&self, handler: &Arc<str>, tried: &[Arc<str>]) -> Option<Arc<str>> {
        let fallback = self.state().of.get(&**handler)?.clone();
        (!tried.contains(&fallback) && fallback != *handler).then_some(fallback)
    }

    /// The notice for the fallback of a handler that gave it up; remembers that its end must follow, unless it tells that.
    /// `tried` are the handlers that gave it up already.
    pub fn instead(&self, notice: &Notice, tried: &[Arc<str>], reason: &str) -> Option<Arc<Notice>> {
        let fallback = self.of(&notice.handler, tried)?;
        let mut state = self.state();
        let key = (notice.handler.clone(), notice.group.key.clone());
        match notice.kind {
            NoticeKind::Firing => _ = state.told.insert(key),
            // That something is quiet is no news for a handler that may not have heard of it.
            NoticeKind::Acknowledged => return None,
            NoticeKind::Resolved => {
                if state.told.remove(&key) {
                    state.ended.push(key);
                }
            }
        }
        let mut copy = copy_for(notice, fallback);
        copy.note = Some(format!("{} could not be told: {reason}", notice.handler));
        Some(Arc::new(copy))
    }

    /// The copy of a notice for the fallback that was told of its group before.
    pub fn copy(&self, notice: &Notice) -> Option<Notice> {
        let mut state = self.state();
        let key = (notice.handler.clone(), notice.group.key.clone());
        if !state.told.contains(&key) || notice.kind == NoticeKind::Acknowledged {
            return None;
        }
        if notice.kind == NoticeKind::Resolved {
            state.told.remove(&key);
            state.ended.push(key);
        }
        let fallback = state.of.get(&*notice.handler)?.clone();
        state.copied.insert(notice.id.clone(), fallback.clone());
        Some(copy_for(notice, fallback))
    }

    /// Who need not be told of a notice again should its handler give it up: the fallback that is given a copy now.
    pub fn copied(&self, id: &str) -> Vec<Arc<str>> {
        self.state().copied.get(id).cloned().into_iter().collect()
    }

    /// Other notices are committed from here on.
    pub(super) fn begin(&self) {
        self.state().copied.clear();
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The same for another handler, under an identity that follows from the two.
fn copy_for(notice: &Notice, handler: Arc<str>) -> Notice {
    let id = crate::route::derived_id(&notice.id, &handler);
    Notice { id, handler, ..notice.clone() }
}
