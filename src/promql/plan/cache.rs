//! What nodes keep between evaluations: things derived from label sets, valid as long as the sets are the same.
//!
//! Sets are compared by identity of their shared allocation, which the cache itself keeps alive, so a match is exact
//! and costs one comparison. Two generations are kept: plans that share parts through a slot's cache may see two sets
//! in turn.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::model::Labels;
use crate::promql::eval::aggregate::Groups;
use crate::promql::eval::column::SeriesSet;
use crate::promql::eval::histogram::Histograms;
use crate::promql::eval::matching::MatchIndex;

/// How many different inputs a node remembers.
const GENERATIONS_MAX: usize = 2;

/// What may be derived.
#[derive(Clone)]
pub(crate) enum Derived {
    Set(Arc<SeriesSet>),
    Groups(Arc<Groups>),
    Match(Arc<MatchIndex>),
    Histograms(Arc<Histograms>),
}

struct Entry {
    left: Arc<SeriesSet>,
    right: Option<Arc<SeriesSet>>,
    delayed: bool,
    derived: Derived,
}

/// Guards a short list; held for pointer comparisons only, never while something is derived.
#[derive(Default)]
pub(crate) struct NodeCache(Mutex<Vec<Entry>>);

impl fmt::Debug for NodeCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NodeCache")
    }
}

impl NodeCache {
    /// Whether anything has been derived yet.
    pub fn is_filled(&self) -> bool {
        !self.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// What was derived from these sets, or what `make` derives now.
    pub fn get(
        &self,
        left: &Arc<SeriesSet>,
        right: Option<&Arc<SeriesSet>>,
        delayed: bool,
        make: impl FnOnce() -> Derived,
    ) -> Derived {
        let same = |entry: &&Entry| {
            entry.delayed == delayed
                && Arc::ptr_eq(&entry.left, left)
                && match (&entry.right, right) {
                    (Some(a), Some(b)) => Arc::ptr_eq(a, b),
                    (None, None) => true,
                    _ => false,
                }
        };
        {
            let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(entry) = entries.iter().find(same) {
                return entry.derived.clone();
            }
        }
        let derived = make();
        let entry = Entry { left: Arc::clone(left), right: right.cloned(), delayed, derived: derived.clone() };
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= GENERATIONS_MAX {
            entries.remove(0);
        }
        entries.push(entry);
        derived
    }

    /// A set derived from one set.
    pub fn set(&self, input: &Arc<SeriesSet>, delayed: bool, make: impl FnOnce() -> Arc<SeriesSet>) -> Arc<SeriesSet> {
        match self.get(input, None, delayed, || Derived::Set(make())) {
            Derived::Set(set) => set,
            // A node derives one kind of thing only.
            _ => Arc::clone(input),
        }
    }
}

/// The set made of a selection, as long as the store hands out the same one.
#[derive(Default)]
pub(crate) struct SelectorCache(Mutex<Option<Arc<SeriesSet>>>);

impl fmt::Debug for SelectorCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SelectorCache")
    }
}

impl SelectorCache {
    pub fn set(&self, labels: &Arc<[Labels]>) -> Arc<SeriesSet> {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*slot {
            Some(set) if Arc::ptr_eq(&set.labels, labels) => Arc::clone(set),
            _ => {
                let set = Arc::new(SeriesSet::new(Arc::clone(labels)));
                *slot = Some(Arc::clone(&set));
                set
            }
        }
    }
}
