//! Endings of deliveries that are not stored yet, in their order.
//!
//! Place in the flow: the outbox's endings come in here, and are stored from here as soon as that is possible. A store
//! takes one ending of each notice at a time, so several of one notice go one after the other. Knows nothing of stores.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::persist::{NewNotice, Settled, SettledAs};

/// Most endings that wait while nothing can be stored.
pub(super) const LATE_MAX: usize = 100_000;
/// Most endings stored in one transaction.
const ROUND_MAX: usize = 1000;

/// What is stored together or not at all: most often one ending.
pub(super) type Together = Vec<Settled>;

/// Endings that wait.
#[derive(Default)]
pub(super) struct Late(VecDeque<Together>);

/// The notices that an ending changes.
fn ids(together: &Together) -> impl Iterator<Item = &str> {
    together
        .iter()
        .flat_map(|one| std::iter::once(one.id.as_str()).chain(one.notices.iter().map(|notice| notice.id.as_str())))
}

/// Whether it may be forgotten at the cost of a count: another attempt will be made.
fn is_failure(together: &Together) -> bool {
    together.iter().all(|one| matches!(one.outcome, SettledAs::Failed { .. }))
}

impl Late {
    pub fn push(&mut self, together: Together) {
        self.0.push_back(together);
    }

    /// The first ones, of which none changes what another one changes.
    pub fn round(&self) -> usize {
        let (mut named, mut rows) = (BTreeSet::new(), 0);
        for (count, together) in self.0.iter().enumerate() {
            if rows >= ROUND_MAX || ids(together).any(|id| named.contains(id)) {
                return count;
            }
            named.extend(ids(together));
            rows += together.len();
        }
        self.0.len()
    }

    pub fn take(&mut self, count: usize) -> Vec<Together> {
        self.0.drain(..count.min(self.0.len())).collect()
    }

    /// Takes back what could not be stored.
    pub fn put_back(&mut self, round: Vec<Together>) {
        round.into_iter().rev().for_each(|together| self.0.push_front(together));
    }

    /// Forgets what is too much, with room for more: failures first, else the oldest; how many.
    pub fn cut(&mut self) -> usize {
        if self.0.len() <= LATE_MAX {
            return 0;
        }
        let before = self.0.len();
        let mut over = before - LATE_MAX * 9 / 10;
        self.0.retain(|together| {
            let goes = over > 0 && is_failure(together);
            over -= usize::from(goes);
            !goes
        });
        self.0.drain(..over.min(self.0.len()));
        before - self.0.len()
    }

    /// The notices of a handler that endings bring about, such as copies for it: they have no row yet.
    pub fn of<'a>(&'a self, handler: &'a str) -> impl Iterator<Item = &'a NewNotice> {
        self.0.iter().flatten().flat_map(|one| &one.notices).filter(move |notice| notice.handler == handler)
    }

    /// How stored rows stand by now: those that are over, and the payloads that changed.
    pub fn standing(&self) -> (BTreeSet<String>, BTreeMap<String, String>) {
        let all = || self.0.iter().flatten();
        let over = |one: &&Settled| !matches!(one.outcome, SettledAs::Failed { .. } | SettledAs::Changed);
        (
            all().filter(over).map(|one| one.id.clone()).collect(),
            all().filter_map(|one| Some((one.id.clone(), one.payload.clone()?))).collect(),
        )
    }
}
