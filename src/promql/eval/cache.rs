//! What the evaluations of one slot share: results of equal parts, and resolved selections.

use std::sync::{Arc, Mutex, PoisonError};

use ahash::AHashMap;

use super::NodeValue;
use crate::promql::slide::SlideCache;
use crate::promql::source::Selection;

/// Results by identity of the part and instant. For one store, one slot and one set of options: make a new one for
/// each slot. May be used by several threads at once; two that need the same part at the same time both compute it.
#[derive(Default)]
pub struct SlotCache {
    // Each guards a map; held for one look-up or one insertion.
    values: Mutex<AHashMap<(u128, i64), NodeValue>>,
    selections: Mutex<AHashMap<u128, Selection>>,
    /// Windows that go on, and the slot.
    slides: Option<(Arc<SlideCache>, i64)>,
}

impl std::fmt::Debug for SlotCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SlotCache")
    }
}

impl SlotCache {
    /// An empty cache.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty cache for the slot at an instant, whose windows go on from those of the slots before.
    pub fn with_slides(slides: Arc<SlideCache>, slot_ms: i64) -> Self {
        Self { slides: Some((slides, slot_ms)), ..Self::default() }
    }

    pub(crate) fn slides(&self) -> Option<(&SlideCache, i64)> {
        self.slides.as_ref().map(|(slides, slot_ms)| (&**slides, *slot_ms))
    }

    pub(crate) fn value(&self, key: u128, at_ms: i64) -> Option<NodeValue> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner).get(&(key, at_ms)).cloned()
    }

    pub(crate) fn keep_value(&self, key: u128, at_ms: i64, value: &NodeValue) {
        self.values.lock().unwrap_or_else(PoisonError::into_inner).insert((key, at_ms), value.clone());
    }

    /// Goes on to the next instant; selections stay.
    pub(crate) fn forget_values(&self) {
        self.values.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(crate) fn selection(&self, key: u128) -> Option<Selection> {
        self.selections.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned()
    }

    pub(crate) fn keep_selection(&self, key: u128, selection: &Selection) {
        self.selections.lock().unwrap_or_else(PoisonError::into_inner).insert(key, selection.clone());
    }
}
