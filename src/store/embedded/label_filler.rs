//! The inverted index of many series at once: values are found by their hash while they come, and sorted at the end.
//!
//! Meant for series in the order of their slots, whose neighbours have most of their labels in common.

use std::collections::HashMap;
use std::sync::Arc;

use super::index::SeriesRef;
use super::postings::Postings;
use crate::model::Labels;

/// Values of one name with their lists.
#[derive(Debug)]
pub(super) struct Filled {
    pub(super) name: Arc<str>,
    pub(super) values: Vec<(Arc<str>, Postings)>,
    by_value: HashMap<Arc<str>, usize, ahash::RandomState>,
    /// Where the value of the last series stands.
    last: usize,
}

/// What is gathered for an index.
#[derive(Debug, Default)]
pub struct LabelFiller {
    pub(super) names: Vec<Filled>,
    /// Which of the names stood where in the labels of the last series.
    order: Vec<usize>,
}

impl LabelFiller {
    /// Notes the labels of a series.
    pub fn insert(&mut self, labels: &Labels, series: SeriesRef) {
        let slot = series.slot();
        for (at, (name, value)) in labels.iter().enumerate() {
            let expected = self.order.get(at).copied().unwrap_or(usize::MAX);
            let found = match self.names.get(expected) {
                Some(filled) if *filled.name == *name => expected,
                _ => self.name(name),
            };
            match self.order.get_mut(at) {
                Some(place) => *place = found,
                None => self.order.push(found),
            }
            if let Some(filled) = self.names.get_mut(found) {
                filled.insert(value, slot);
            }
        }
    }

    fn name(&mut self, name: &str) -> usize {
        self.names.iter().position(|filled| *filled.name == *name).unwrap_or_else(|| {
            let (values, by_value) = (Vec::new(), HashMap::default());
            self.names.push(Filled { name: Arc::from(name), values, by_value, last: 0 });
            self.names.len() - 1
        })
    }
}

impl Filled {
    fn insert(&mut self, value: &str, slot: u32) {
        if let Some((last, postings)) = self.values.get_mut(self.last)
            && **last == *value
        {
            return postings.insert(slot);
        }
        match self.by_value.get(value) {
            Some(at) => {
                self.last = *at;
                if let Some((_, postings)) = self.values.get_mut(*at) {
                    postings.insert(slot);
                }
            }
            None => {
                let value: Arc<str> = Arc::from(value);
                self.last = self.values.len();
                self.by_value.insert(Arc::clone(&value), self.last);
                self.values.push((value, Postings::one(slot)));
            }
        }
    }
}
