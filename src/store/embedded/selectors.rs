//! Resolved selectors, kept current: a rule's selector is searched once, then each new or vanished series is offered to
//! the selectors it may concern.
//!
//! Almost every selector fixes the metric's name, so a new series is offered only to those of its own name. Changes
//! gather beside the resolved list and are merged when the selector is read next; an unchanged selector gives the same
//! shared lists every time.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::model::Labels;
use crate::model::labels::METRIC_NAME;
use crate::promql::{MatchOp, Matcher, Selection};

/// Selectors remembered; the least recently read go first.
pub(super) const SELECTORS_MAX: usize = 4096;
/// Series remembered over all selectors (24 bytes each).
pub(super) const SELECTED_SERIES_MAX: usize = 8_000_000;
/// Changes gathered for a selector that nobody reads before it is forgotten, beside as many as it has series.
const CHANGES_MIN: usize = 1024;

#[derive(Debug)]
struct Entry {
    matchers: Arc<[Matcher]>,
    selection: Selection,
    added: Vec<(Labels, u64)>,
    removed: BTreeSet<u64>,
    /// When it was last read, counted in reads.
    used: AtomicU64,
}

impl Entry {
    fn weight(&self) -> usize {
        self.selection.len() + self.added.len() + self.removed.len()
    }

    fn is_current(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }

    fn merge(&mut self) {
        let mut added = std::mem::take(&mut self.added);
        added.sort();
        let old = self.selection.series.iter().zip(self.selection.handles.iter());
        let mut series = Vec::with_capacity(self.selection.len() + added.len());
        let mut handles = Vec::with_capacity(series.capacity());
        let mut new = added.into_iter().peekable();
        let mut put = |labels: Labels, handle: u64| {
            if !self.removed.contains(&handle) {
                series.push(labels);
                handles.push(handle);
            }
        };
        for (labels, handle) in old {
            while let Some((labels, handle)) = new.next_if(|(l, _)| l < labels) {
                put(labels, handle);
            }
            put(labels.clone(), *handle);
        }
        new.for_each(|(labels, handle)| put(labels, handle));
        self.removed.clear();
        self.selection = Selection { series: series.into(), handles: handles.into() };
    }
}

/// What is known of a selector.
pub(super) enum Known {
    /// It is resolved and nothing changed.
    Current(Selection),
    /// It is resolved, changes are waiting: call [`Selectors::refresh`].
    Changed,
    /// It must be searched.
    No,
}

/// The resolved selectors.
#[derive(Debug, Default)]
pub(super) struct Selectors {
    by_matchers: HashMap<Arc<[Matcher]>, usize, ahash::RandomState>,
    entries: Vec<Option<Entry>>,
    by_name: HashMap<String, Vec<usize>, ahash::RandomState>,
    /// Those without a fixed metric name.
    unnamed: Vec<usize>,
    weight: usize,
    reads: AtomicU64,
}

fn fixed_name(matchers: &[Matcher]) -> Option<&str> {
    let fixed = |m: &&Matcher| m.name == METRIC_NAME && m.op == MatchOp::Equal && !m.value.is_empty();
    matchers.iter().find(fixed).map(|m| m.value.as_str())
}

impl Selectors {
    /// How many selectors are resolved.
    pub(super) fn len(&self) -> usize {
        self.by_matchers.len()
    }

    fn entry(&self, matchers: &[Matcher]) -> Option<&Entry> {
        self.by_matchers.get(matchers).and_then(|id| self.entries.get(*id)?.as_ref())
    }

    /// Looks a selector up.
    pub(super) fn get(&self, matchers: &[Matcher]) -> Known {
        let Some(entry) = self.entry(matchers) else { return Known::No };
        entry.used.store(self.reads.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        if entry.is_current() { Known::Current(entry.selection.clone()) } else { Known::Changed }
    }

    /// Merges the changes of a resolved selector.
    pub(super) fn refresh(&mut self, matchers: &[Matcher]) -> Option<Selection> {
        let id = *self.by_matchers.get(matchers)?;
        let entry = self.entries.get_mut(id)?.as_mut()?;
        if !entry.is_current() {
            self.weight -= entry.weight();
            entry.merge();
            self.weight += entry.weight();
        }
        Some(entry.selection.clone())
    }

    /// Remembers a resolved selector.
    pub(super) fn insert(&mut self, matchers: &[Matcher], selection: &Selection) {
        if selection.len() > SELECTED_SERIES_MAX / 2 || self.by_matchers.contains_key(matchers) {
            return;
        }
        while self.len() >= SELECTORS_MAX || self.weight + selection.len() > SELECTED_SERIES_MAX {
            self.forget_oldest();
        }
        let matchers: Arc<[Matcher]> = Arc::from(matchers);
        let entry = Entry {
            matchers: Arc::clone(&matchers),
            selection: selection.clone(),
            added: Vec::new(),
            removed: BTreeSet::new(),
            used: AtomicU64::new(self.reads.fetch_add(1, Ordering::Relaxed)),
        };
        self.weight += entry.weight();
        let id = self.entries.iter().position(Option::is_none).unwrap_or(self.entries.len());
        if id == self.entries.len() {
            self.entries.push(None);
        }
        match fixed_name(&matchers) {
            Some(name) => self.by_name.entry(name.to_owned()).or_default().push(id),
            None => self.unnamed.push(id),
        }
        self.entries[id] = Some(entry);
        self.by_matchers.insert(matchers, id);
    }

    /// Forgets the eighth that was not read for longest.
    fn forget_oldest(&mut self) {
        let used = |entry: &Entry| entry.used.load(Ordering::Relaxed);
        let mut ids: Vec<(u64, usize)> =
            self.entries.iter().enumerate().filter_map(|(id, e)| Some((used(e.as_ref()?), id))).collect();
        ids.sort_unstable();
        let count = ids.len().div_ceil(8);
        for (_, id) in ids.into_iter().take(count) {
            self.forget(id);
        }
    }

    fn forget(&mut self, id: usize) {
        let Some(entry) = self.entries.get_mut(id).and_then(Option::take) else { return };
        self.weight -= entry.weight();
        self.by_matchers.remove(&entry.matchers);
        match fixed_name(&entry.matchers) {
            None => self.unnamed.retain(|other| *other != id),
            Some(name) => {
                if let Some(ids) = self.by_name.get_mut(name) {
                    ids.retain(|other| *other != id);
                    if ids.is_empty() {
                        self.by_name.remove(name);
                    }
                }
            }
        }
    }

    /// Offers a new series to the selectors.
    pub(super) fn series_added(&mut self, labels: &Labels, handle: u64) {
        self.offer(labels, |entry| entry.added.push((labels.clone(), handle)));
    }

    /// Tells the selectors that a series is gone.
    pub(super) fn series_removed(&mut self, labels: &Labels, handle: u64) {
        self.offer(labels, |entry| {
            entry.removed.insert(handle);
        });
    }

    fn offer(&mut self, labels: &Labels, change: impl Fn(&mut Entry)) {
        let named = labels.metric_name().and_then(|name| self.by_name.get(name));
        let mut unread = Vec::new();
        for id in named.into_iter().flatten().chain(&self.unnamed) {
            let Some(entry) = self.entries.get_mut(*id).and_then(Option::as_mut) else { continue };
            if entry.matchers.iter().all(|m| m.matches_labels(labels)) {
                change(entry);
                self.weight += 1;
                if entry.added.len() + entry.removed.len() > CHANGES_MIN + entry.selection.len() {
                    unread.push(*id);
                }
            }
        }
        unread.into_iter().for_each(|id| self.forget(id));
    }
}
