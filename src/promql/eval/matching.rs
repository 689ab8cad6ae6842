//! Which series of two sets match: derived once per pair of sets.

use std::sync::Arc;

use ahash::AHashMap;

use super::column::{SeriesSet, is_metadata};
use crate::model::labels::METRIC_NAME;
use crate::model::{Labels, LabelsBuilder};
use crate::promql::ast::{BinaryOp, Matching, Side};
use crate::promql::plan::VectorsOp;

/// The match groups of two sets and the labels of the result.
#[derive(Debug)]
pub(crate) struct MatchIndex {
    /// Group of each series of the left set.
    pub left: Vec<u32>,
    /// Group of each series of the right set.
    pub right: Vec<u32>,
    pub groups: usize,
    /// Of arithmetic and comparisons: one entry per series of the "many" side; of `or`: left, then right.
    pub result: Arc<SeriesSet>,
    /// The result's labels depend on which of several series of the "one" side holds a value.
    pub changing: bool,
}

impl MatchIndex {
    pub fn new(op: &VectorsOp, (left, right): (&Arc<SeriesSet>, &Arc<SeriesSet>), delayed: bool) -> Self {
        let mut groups: AHashMap<Labels, u32> = AHashMap::new();
        let mut number = |set: &SeriesSet| -> Vec<u32> {
            let mut of = |labels: &Labels| {
                let next = groups.len() as u32;
                *groups.entry(Self::match_labels(labels, &op.matching)).or_insert(next)
            };
            set.labels.iter().map(&mut of).collect()
        };
        let (left_groups, right_groups) = (number(left), number(right));
        let count = groups.len();
        let mut index =
            Self { left: left_groups, right: right_groups, groups: count, result: Arc::clone(left), changing: false };
        match op.op {
            BinaryOp::And | BinaryOp::Unless => {}
            BinaryOp::Or => index.result = Arc::new(joined(left, right)),
            _ => index.join(op, (left, right), delayed),
        }
        index
    }

    fn join(&mut self, op: &VectorsOp, (left, right): (&Arc<SeriesSet>, &Arc<SeriesSet>), delayed: bool) {
        let swapped = matches!(op.matching.group, Some((Side::Right, _)));
        let (many, one) = if swapped { (right, left) } else { (left, right) };
        let (many_groups, one_groups) = if swapped { (&self.right, &self.left) } else { (&self.left, &self.right) };
        let mut one_of: Vec<Option<usize>> = vec![None; self.groups];
        let takes_labels = op.matching.group.as_ref().is_some_and(|(_, include)| !include.is_empty());
        for (j, group) in one_groups.iter().enumerate() {
            self.changing |= one_of[*group as usize].replace(j).is_some() && takes_labels;
        }
        if self.changing {
            return;
        }
        let labels = many.labels.iter().zip(many_groups).map(|(labels, group)| {
            let other = one_of[*group as usize].map(|j| &one.labels[j]);
            Self::result_labels(op, labels, other, delayed)
        });
        let labels = labels.collect();
        let dropped = delayed.then(|| (0..many.len()).map(|i| op.return_bool || many.is_dropped(i)).collect());
        self.result = Arc::new(SeriesSet::derived(labels, dropped));
    }

    /// The labels that two series must share.
    pub fn match_labels(labels: &Labels, matching: &Matching) -> Labels {
        let listed = |n: &str| matching.labels.iter().any(|l| l == n);
        if matching.on { labels.filtered(listed) } else { labels.filtered(|n| n != METRIC_NAME && !listed(n)) }
    }

    /// The labels of a result, from those of the "many" and the "one" side.
    pub fn result_labels(op: &VectorsOp, many: &Labels, one: Option<&Labels>, delayed: bool) -> Labels {
        let matching = &op.matching;
        let arithmetic = !matches!(op.op, BinaryOp::Compare(_)) && !op.op.is_trim();
        let drops_name = arithmetic || (op.return_bool && !delayed);
        let listed = |n: &str| matching.labels.iter().any(|l| l == n);
        let kept = many.filtered(|n| {
            let join = matching.group.is_some() || listed(n) == matching.on;
            join && !(drops_name && is_metadata(n))
        });
        let Some((_, include)) = matching.group.as_ref().filter(|(_, include)| !include.is_empty()) else {
            return kept;
        };
        let mut builder = LabelsBuilder::from(&kept);
        for label in include {
            builder.set(label.as_str(), one.and_then(|l| l.get(label)).unwrap_or(""));
        }
        builder.build()
    }
}

/// The series of both sets.
fn joined(left: &SeriesSet, right: &SeriesSet) -> SeriesSet {
    let labels = left.labels.iter().chain(right.labels.iter()).cloned().collect();
    let any = left.dropped.is_some() || right.dropped.is_some();
    let flags = || {
        let left = (0..left.len()).map(|i| left.is_dropped(i));
        left.chain((0..right.len()).map(|i| right.is_dropped(i))).collect()
    };
    SeriesSet::derived(labels, any.then(flags))
}
