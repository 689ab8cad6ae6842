//! Operators with a vector on one side or both.

use std::sync::Arc;

use super::column::{ABSENT, Column, is_absent};
use super::combine::{Combined, Last, combine, is_empty};
use super::matching::MatchIndex;
use super::{EvalError, EvalErrorKind, Evaluator};
use crate::model::labels::quote;
use crate::model::{Labels, SampleValue};
use crate::promql::ast::{BinaryOp, Side};
use crate::promql::display::label_name;
use crate::promql::plan::cache::Derived;
use crate::promql::plan::{Node, VectorScalarOp, VectorsOp};

impl Evaluator<'_> {
    pub(super) fn vector_scalar(&self, op: &VectorScalarOp, node: &Node, at_ms: i64) -> Result<Column, EvalError> {
        let scalar = self.scalar(op.scalar, at_ms)?;
        let column = self.vector(op.vector, at_ms)?;
        let swapped = op.swapped;
        if column.histograms.is_some() || op.op.is_trim() {
            let column = self.histograms_scalar(op, &column, scalar, &node.span);
            // Comparisons and trimming leave the metric what it is.
            let keeps = (matches!(op.op, BinaryOp::Compare(_)) && !op.return_bool) || op.op.is_trim();
            return if keeps { Ok(column) } else { self.unnamed(column, node) };
        }
        let column = match op.op {
            BinaryOp::Compare(compare) => {
                let compare = if swapped { compare.flipped() } else { compare };
                if !op.return_bool {
                    return Ok(column.map(|v| if compare.holds(v, scalar) { v } else { ABSENT }));
                }
                column.map(|v| f64::from(u8::from(compare.holds(v, scalar))))
            }
            arithmetic if swapped => column.map(|v| arithmetic.apply(scalar, v)),
            arithmetic => column.map(|v| arithmetic.apply(v, scalar)),
        };
        self.unnamed(column, node)
    }

    pub(super) fn vectors(&self, op: &VectorsOp, node: &Node, at_ms: i64) -> Result<Column, EvalError> {
        let left = self.vector(op.left, at_ms)?;
        let right = self.vector(op.right, at_ms)?;
        let delayed = self.options.delayed_name_removal;
        let make = || Derived::Match(Arc::new(MatchIndex::new(op, (&left.set, &right.set), delayed)));
        let Derived::Match(index) = node.cache.get(&left.set, Some(&right.set), delayed, make) else {
            return Ok(Column::empty());
        };
        match op.op {
            BinaryOp::And | BinaryOp::Unless => Ok(and_unless(op.op, &index, left, &right)),
            BinaryOp::Or => or(&index, &left, &right).unique(&node.span),
            _ => Join { op, index: &index, node, delayed, ev: self }.run(&left, &right),
        }
    }
}

/// Which match groups of a side hold a value.
fn groups_present(groups: &[u32], count: usize, column: &Column) -> Vec<bool> {
    let mut present = vec![false; count];
    for (group, value) in groups.iter().zip(column.values.iter()) {
        present[*group as usize] |= !is_absent(*value);
    }
    for (i, _) in column.present_histograms() {
        present[groups[i] as usize] = true;
    }
    present
}

fn and_unless(op: BinaryOp, index: &MatchIndex, left: Column, right: &Column) -> Column {
    let present = groups_present(&index.right, index.groups, right);
    let keep = op == BinaryOp::And;
    left.retain(|i| present[index.left[i] as usize] == keep)
}

fn or(index: &MatchIndex, left: &Column, right: &Column) -> Column {
    let present = groups_present(&index.left, index.groups, left);
    let mut values = Vec::with_capacity(left.values.len() + right.values.len());
    values.extend_from_slice(&left.values);
    let added = right.values.iter().zip(&index.right);
    values.extend(added.map(|(value, group)| if present[*group as usize] { ABSENT } else { *value }));
    let column = Column::new(Arc::clone(&index.result), values);
    if left.histograms.is_none() && right.histograms.is_none() {
        return column;
    }
    let own = (0..left.values.len()).map(|i| left.histogram(i).cloned());
    let taken = |i: usize| right.histogram(i).filter(|_| !present[index.right[i] as usize]).cloned();
    column.with(own.chain((0..right.values.len()).map(taken)).collect())
}

/// Labels as Prometheus writes them in messages.
fn in_message(labels: &Labels) -> String {
    let pairs: Vec<_> = labels.iter().map(|(n, v)| format!("{}={}", label_name(n), quote(v))).collect();
    format!("{{{}}}", pairs.join(", "))
}

/// Arithmetic and comparisons between two vectors.
struct Join<'a> {
    op: &'a VectorsOp,
    index: &'a MatchIndex,
    node: &'a Node,
    delayed: bool,
    ev: &'a Evaluator<'a>,
}

impl Join<'_> {
    fn error(&self, message: impl Into<String>) -> EvalError {
        EvalError::new(&self.node.span, EvalErrorKind::Matching(message.into()))
    }

    /// Whether the sides were swapped so that the "many" side comes first.
    fn swapped(&self) -> bool {
        matches!(self.op.matching.group, Some((Side::Right, _)))
    }

    fn run(&self, left: &Column, right: &Column) -> Result<Column, EvalError> {
        let (many, one) = if self.swapped() { (right, left) } else { (left, right) };
        let (many_groups, one_groups) =
            if self.swapped() { (&self.index.right, &self.index.left) } else { (&self.index.left, &self.index.right) };
        let fills = self.op.matching.fill_left.is_some() || self.op.matching.fill_right.is_some();
        if (is_empty(many) || is_empty(one)) && (!fills || (is_empty(many) && is_empty(one))) {
            // The set stays the same so that what is derived from it stays valid.
            return Ok(Column::new(Arc::clone(&self.index.result), vec![ABSENT; self.index.result.len()]));
        }
        let matched = self.one_by_group(one, one_groups)?;
        let histograms = many.histograms.is_some() || one.histograms.is_some() || self.op.op.is_trim();
        if fills || self.index.changing || histograms {
            return self.slow((many, one), (many_groups, one_groups), &matched);
        }
        let mut values = vec![ABSENT; many.values.len()];
        let mut seen = vec![false; if self.op.matching.group.is_none() { self.index.groups } else { 0 }];
        let mut paired = vec![false; if self.op.matching.group.is_some() { many.values.len() } else { 0 }];
        for (i, value) in many.values.iter().enumerate().filter(|(_, v)| !is_absent(**v)) {
            let group = many_groups[i] as usize;
            let Some(other) = matched[group] else { continue };
            if self.op.matching.group.is_some() {
                paired[i] = true;
            } else if std::mem::replace(&mut seen[group], true) {
                let message =
                    "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)";
                return Err(self.error(message));
            }
            values[i] = self.value(*value, one.values[other as usize]);
        }
        self.check_pairs(&paired)?;
        let mut column = Column::new(Arc::clone(&self.index.result), values);
        column.order = many.order.clone();
        column.unique(&self.node.span)
    }

    /// Two results of one match must differ in labels, even where a comparison drops one of them.
    fn check_pairs(&self, paired: &[bool]) -> Result<(), EvalError> {
        let Some(first_of) = self.index.result.first_of.as_ref().filter(|_| !paired.is_empty()) else { return Ok(()) };
        let mut seen = vec![false; paired.len()];
        for i in (0..paired.len()).filter(|i| paired[*i]) {
            if std::mem::replace(&mut seen[first_of[i] as usize], true) {
                return Err(self.error("multiple matches for labels: grouping labels must ensure unique matches"));
            }
        }
        Ok(())
    }

    /// The one series of each group on the "one" side.
    fn one_by_group(&self, one: &Column, groups: &[u32]) -> Result<Vec<Option<u32>>, EvalError> {
        let mut found: Vec<Option<u32>> = vec![None; self.index.groups];
        for i in (0..one.values.len()).filter(|i| one.is_present(*i)) {
            let group = groups[i] as usize;
            if let Some(other) = found[group].replace(i as u32) {
                let side = if self.swapped() { "left" } else { "right" };
                let mut pair = [in_message(&one.set.labels[other as usize]), in_message(&one.set.labels[i])];
                pair.sort();
                let labels = MatchIndex::match_labels(&one.set.labels[i], &self.op.matching);
                return Err(self.error(format!(
                    "found duplicate series for the match group {} on the {side} hand-side of the operation: [{}, {}];\
                     many-to-many matching not allowed: matching labels must be unique on one side",
                    in_message(&labels),
                    pair[0],
                    pair[1],
                )));
            }
        }
        Ok(found)
    }

    /// The value of a pair, sides put back as written.
    fn value(&self, many: f64, one: f64) -> f64 {
        let (left, right) = if self.swapped() { (one, many) } else { (many, one) };
        match self.op.op {
            BinaryOp::Compare(compare) => match (self.op.return_bool, compare.holds(left, right)) {
                (true, holds) => f64::from(u8::from(holds)),
                (false, true) => left,
                (false, false) => ABSENT,
            },
            arithmetic => arithmetic.apply(left, right),
        }
    }

    /// As [`Self::value`] for samples of any kind; `None` where the two cannot be combined.
    fn sample(&self, many: &SampleValue, one: &SampleValue, last: &mut Last) -> Option<(SampleValue, bool)> {
        let (left, right) = if self.swapped() { (one, many) } else { (many, one) };
        let Combined::Value(value, holds) = combine(self.op.op, left, right, last) else { return None };
        Some(match self.op.return_bool {
            true => (SampleValue::Float(f64::from(u8::from(holds))), true),
            false => (value, holds),
        })
    }

    /// Matches whose labels depend on the values at hand (a changing "one" side, or filled gaps), and histograms.
    fn slow(
        &self,
        (many, one): (&Column, &Column),
        (many_groups, one_groups): (&[u32], &[u32]),
        matched: &[Option<u32>],
    ) -> Result<Column, EvalError> {
        let matching = &self.op.matching;
        let mut last = Last::default();
        let mut rows: Vec<Row> = Vec::new();
        let mut used = vec![false; self.index.groups];
        let mut push = |group: u32, labels: Labels, (sample, kept), dropped| {
            rows.push(Row { group, labels, sample, kept, dropped });
        };
        // As in Prometheus the two fills are not swapped with the sides.
        for i in (0..many.values.len()).filter(|i| many.is_present(*i)) {
            let group = many_groups[i];
            let labels = &many.set.labels[i];
            let (other, other_labels) = match (matched[group as usize], matching.fill_right) {
                (Some(j), _) => (one.sample(j as usize), one.set.labels[j as usize].clone()),
                (None, Some(fill)) => (Some(SampleValue::Float(fill.0)), MatchIndex::match_labels(labels, matching)),
                (None, None) => continue,
            };
            let (Some(own), Some(other)) = (many.sample(i), other) else { continue };
            let Some(result) = self.sample(&own, &other, &mut last) else { continue };
            let again = std::mem::replace(&mut used[group as usize], true);
            if again && matching.group.is_none() {
                let message =
                    "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)";
                return Err(self.error(message));
            }
            let labels = MatchIndex::result_labels(self.op, labels, Some(&other_labels), self.delayed);
            push(group, labels, result, many.set.is_dropped(i));
        }
        if let Some(fill) = matching.fill_left {
            let fill = SampleValue::Float(fill.0);
            for j in (0..one.values.len()).filter(|j| one.is_present(*j)) {
                let group = one_groups[j];
                if used[group as usize] {
                    continue;
                }
                let Some(other) = one.sample(j) else { continue };
                let Some(result) = self.sample(&fill, &other, &mut last) else { continue };
                let own = &one.set.labels[j];
                let labels = MatchIndex::match_labels(own, matching);
                let labels = MatchIndex::result_labels(self.op, &labels, Some(own), self.delayed);
                push(group, labels, result, false);
            }
        }
        last.tell(self.ev, &self.node.span);
        self.finish(rows)
    }

    fn finish(&self, rows: Vec<Row>) -> Result<Column, EvalError> {
        if self.op.matching.group.is_some() {
            let mut keys: Vec<_> = rows.iter().map(|row| (row.group, &row.labels)).collect();
            keys.sort();
            if keys.windows(2).any(|pair| pair[0] == pair[1]) {
                return Err(self.error("multiple matches for labels: grouping labels must ensure unique matches"));
            }
        }
        let drops = self.delayed && self.op.return_bool;
        let kept = rows.into_iter().filter(|row| row.kept);
        let samples = kept.map(|row| (row.labels, row.sample, drops || row.dropped)).collect();
        Column::of_samples(samples, self.delayed).unique(&self.node.span)
    }
}

/// A result of a match.
struct Row {
    group: u32,
    labels: Labels,
    sample: SampleValue,
    /// Whether a comparison lets it through.
    kept: bool,
    dropped: bool,
}
