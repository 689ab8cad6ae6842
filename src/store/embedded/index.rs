//! Which series there are: label set to slot, slot to label set, and the two searches over them.
//!
//! A slot is reused when its series is gone; the generation in a [`SeriesRef`] tells the new owner from the old one.

use std::collections::HashMap;

use super::journal::Changes;
use super::label_index::LabelIndex;
use super::selectors::{Known, Selectors};
use crate::model::Labels;
use crate::promql::{Matcher, Selection};

/// A series of an embedded store, found without a look-up. It outlives its series harmlessly: reads then give nothing,
/// writes are told that it is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesRef(pub(super) u64);

impl SeriesRef {
    /// The reference that [`Self::id`] stands for.
    pub fn from_id(id: i64) -> Self {
        Self(id.cast_unsigned().rotate_left(32))
    }

    /// A number for what is stored: those of neighbouring slots stand together.
    pub fn id(self) -> i64 {
        self.0.rotate_left(32).cast_signed()
    }

    pub(super) fn new(slot: u32, generation: u32) -> Self {
        Self(u64::from(generation) << 32 | u64::from(slot))
    }

    /// The reference behind a handle of a [`Selection`] that the same store gave.
    pub fn from_handle(handle: u64) -> Self {
        Self(handle)
    }

    /// The handle that stands for it in a [`Selection`].
    pub fn handle(self) -> u64 {
        self.0
    }

    /// Where its points stand.
    pub fn slot(self) -> u32 {
        self.0 as u32
    }

    /// Which owner of the slot it is.
    pub fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

/// Bytes per series in the maps of the index, about: entry by labels, slot, generation, postings of ten labels.
const SERIES_OVERHEAD: usize = 120;

/// All series.
#[derive(Debug, Default)]
pub(super) struct Index {
    by_labels: HashMap<Labels, u32, ahash::RandomState>,
    labels: Vec<Option<Labels>>,
    generations: Vec<u32>,
    free: Vec<u32>,
    values: LabelIndex,
    selectors: Selectors,
    text_bytes: usize,
    /// The generation that slots begin with: above those of everything that was ever stored.
    first_generation: u32,
    /// The greatest generation of all series that there were.
    generation_max: u32,
    /// Series that came and went, for whoever stores them.
    pub(super) changes: Changes,
    /// Counts changes, so that a search made under a shared lock knows whether it is still true.
    version: u64,
}

impl Index {
    pub(super) fn len(&self) -> usize {
        self.by_labels.len()
    }

    pub(super) fn slot_count(&self) -> u32 {
        u32::try_from(self.labels.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn generation_max(&self) -> u32 {
        self.generation_max
    }

    pub(super) fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn bytes(&self) -> usize {
        self.values.bytes() + self.text_bytes + self.len() * SERIES_OVERHEAD
    }

    pub(super) fn selectors_len(&self) -> usize {
        self.selectors.len()
    }

    pub(super) fn label_names(&self) -> Vec<String> {
        self.values.names()
    }

    pub(super) fn label_values(&self, name: &str) -> Vec<String> {
        self.values.values(name)
    }

    fn reference(&self, slot: u32) -> SeriesRef {
        SeriesRef::new(slot, self.generations.get(slot as usize).copied().unwrap_or(0))
    }

    /// The series of a label set.
    #[inline]
    pub(super) fn get(&self, labels: &Labels) -> Option<SeriesRef> {
        self.by_labels.get(labels).map(|slot| self.reference(*slot))
    }

    /// The labels of a slot and its present reference.
    pub(super) fn at(&self, slot: u32) -> Option<(&Labels, SeriesRef)> {
        let labels = self.labels.get(slot as usize)?.as_ref()?;
        Some((labels, self.reference(slot)))
    }

    /// The labels of a series, if it is still there.
    pub(super) fn labels(&self, series: SeriesRef) -> Option<&Labels> {
        self.at(series.slot()).filter(|(_, now)| *now == series).map(|(labels, _)| labels)
    }

    /// Enters a label set that is not there yet; `None` if all slots a reference can name are taken.
    pub(super) fn insert(&mut self, labels: &Labels) -> Option<SeriesRef> {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                let slot = u32::try_from(self.labels.len()).ok()?;
                self.labels.push(None);
                self.generations.push(self.first_generation);
                slot
            }
        };
        *self.labels.get_mut(slot as usize)? = Some(labels.clone());
        self.by_labels.insert(labels.clone(), slot);
        self.values.insert(labels, slot);
        let series = self.reference(slot);
        self.generation_max = self.generation_max.max(series.generation());
        self.selectors.series_added(labels, series.0);
        self.changes.made(series, labels);
        self.text_bytes += labels.byte_len();
        self.version += 1;
        Some(series)
    }

    /// Enters a series that was stored; `false` if its place or its labels are taken.
    pub(super) fn restore(&mut self, series: SeriesRef, labels: &Labels) -> bool {
        let slot = series.slot() as usize;
        if self.labels.len() <= slot {
            self.labels.resize(slot + 1, None);
            self.generations.resize(slot + 1, 0);
        }
        let taken = self.labels.get(slot).is_none_or(Option::is_some);
        if taken || self.by_labels.contains_key(labels) {
            return false;
        }
        if let (Some(entry), Some(generation)) = (self.labels.get_mut(slot), self.generations.get_mut(slot)) {
            *entry = Some(labels.clone());
            *generation = series.generation();
        }
        self.by_labels.insert(labels.clone(), series.slot());
        self.values.insert(labels, series.slot());
        self.text_bytes += labels.byte_len();
        self.version += 1;
        true
    }

    /// Makes room for what is restored.
    pub(super) fn reserve(&mut self, series: usize) {
        self.by_labels.reserve(series);
    }

    /// Ends restoring: slots without a series are free, and begin with a generation that nothing stored has.
    pub(super) fn restored(&mut self, first_generation: u32) {
        self.first_generation = first_generation;
        self.generation_max = self.generation_max.max(first_generation.saturating_sub(1));
        self.free.clear();
        for (slot, (labels, generation)) in (0u32..).zip(self.labels.iter().zip(&mut self.generations)) {
            if labels.is_none() {
                *generation = first_generation;
                self.free.push(slot);
            }
        }
        self.free.reverse();
    }

    /// Removes a series; `false` if it was gone already.
    pub(super) fn remove(&mut self, series: SeriesRef) -> bool {
        let Some(labels) = self.labels(series).cloned() else { return false };
        let slot = series.slot();
        self.by_labels.remove(&labels);
        self.values.remove(&labels, slot);
        self.selectors.series_removed(&labels, series.0);
        self.changes.removed(series);
        if let (Some(entry), Some(generation)) =
            (self.labels.get_mut(slot as usize), self.generations.get_mut(slot as usize))
        {
            *entry = None;
            // What is stored may have points of a series in this place that a process before this one did not keep.
            *generation = generation.wrapping_add(1).max(self.first_generation);
        }
        self.free.push(slot);
        self.text_bytes -= labels.byte_len();
        self.version += 1;
        true
    }

    /// What is known of a selector without a search.
    pub(super) fn known(&self, matchers: &[Matcher]) -> Known {
        self.selectors.get(matchers)
    }

    /// The selection of a resolved selector with all changes in it.
    pub(super) fn refresh(&mut self, matchers: &[Matcher]) -> Option<Selection> {
        self.selectors.refresh(matchers)
    }

    /// Keeps a selection that was searched at the present version.
    pub(super) fn remember(&mut self, matchers: &[Matcher], selection: &Selection) {
        self.selectors.insert(matchers, selection);
    }

    /// Searches a selector.
    pub(super) fn search(&self, matchers: &[Matcher]) -> Selection {
        let found = self.values.search(matchers, &self.labels);
        let mut rows: Vec<(&Labels, SeriesRef)> = found.into_iter().filter_map(|slot| self.at(slot)).collect();
        rows.sort_unstable_by(|a, b| a.0.cmp(b.0));
        Selection {
            series: rows.iter().map(|(labels, _)| (*labels).clone()).collect(),
            handles: rows.iter().map(|(_, series)| series.0).collect(),
        }
    }
}
