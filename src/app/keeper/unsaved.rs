//! Notices that are under way while nothing can be stored, in the order in which they came to be.
//!
//! Place in the flow: a commit takes them all and, where it fails, gives them back. One that has ended needs no row any
//! more and goes. Knows nothing of stores.

use std::collections::BTreeMap;

use crate::persist::NewNotice;

/// Most notices that wait to be stored; above it the newest would not outlive the process.
pub(super) const UNSAVED_MAX: usize = 20_000;

/// Notices in their order, found by their id.
#[derive(Default)]
pub(super) struct Unsaved {
    notices: BTreeMap<u64, NewNotice>,
    places: BTreeMap<String, u64>,
    last: u64,
}

impl Unsaved {
    /// Puts a notice at the end; one that is there is replaced where it stands.
    pub fn push(&mut self, notice: NewNotice) {
        let place = match self.places.get(&notice.id) {
            Some(place) => *place,
            None => {
                self.last += 1;
                self.places.insert(notice.id.clone(), self.last);
                self.last
            }
        };
        self.notices.insert(place, notice);
    }

    pub fn len(&self) -> usize {
        self.notices.len()
    }

    pub fn is_empty(&self) -> bool {
        self.notices.is_empty()
    }

    pub fn get_mut(&mut self, id: &str) -> Option<&mut NewNotice> {
        self.notices.get_mut(self.places.get(id)?)
    }

    /// Forgets a notice.
    pub fn remove(&mut self, id: &str) {
        if let Some(place) = self.places.remove(id) {
            self.notices.remove(&place);
        }
    }

    /// All of them.
    pub fn all(&self) -> Vec<NewNotice> {
        self.notices.values().cloned().collect()
    }

    /// All of them, which then are here no more.
    pub fn take(&mut self) -> Vec<NewNotice> {
        self.places.clear();
        std::mem::take(&mut self.notices).into_values().collect()
    }

    /// Takes back what could not be stored; how many of the newest are too many and are not kept.
    pub fn put_back(&mut self, notices: Vec<NewNotice>) -> usize {
        let over = notices.len().saturating_sub(UNSAVED_MAX);
        notices.into_iter().take(UNSAVED_MAX).for_each(|notice| self.push(notice));
        over
    }

    /// Those of one handler.
    pub fn of<'a>(&'a self, handler: &'a str) -> impl Iterator<Item = &'a NewNotice> {
        self.notices.values().filter(move |notice| notice.handler == handler)
    }
}
