//! Operators with a vector on one side or both.

use std::sync::Arc;

use super::column::{ABSENT, Column, SeriesSet, is_absent};
use super::matching::MatchIndex;
use super::{EvalError, EvalErrorKind, Evaluator};
use crate::model::Labels;
use crate::model::labels::quote;
use crate::promql::ast::{BinaryOp, Side};
use crate::promql::display::label_name;
use crate::promql::plan::cache::Derived;
use crate::promql::plan::{Node, VectorScalarOp, VectorsOp};

impl Evaluator<'_> {
    pub(super) fn vector_scalar(&self, op: &VectorScalarOp, node: &Node, at_ms: i64) -> Result<Column, EvalError> {
        let scalar = self.scalar(op.scalar, at_ms)?;
        let column = self.vector(op.vector, at_ms)?;
        let swapped = op.swapped;
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
            _ => Join { op, index: &index, node, delayed }.run(&left, &right),
        }
    }
}

/// Which match groups of a side hold a value.
fn groups_present(groups: &[u32], count: usize, values: &[f64]) -> Vec<bool> {
    let mut present = vec![false; count];
    for (group, value) in groups.iter().zip(values) {
        present[*group as usize] |= !is_absent(*value);
    }
    present
}

fn and_unless(op: BinaryOp, index: &MatchIndex, left: Column, right: &Column) -> Column {
    let present = groups_present(&index.right, index.groups, &right.values);
    let keep = op == BinaryOp::And;
    let mut left = left;
    for (value, group) in Arc::make_mut(&mut left.values).iter_mut().zip(&index.left) {
        if present[*group as usize] != keep {
            *value = ABSENT;
        }
    }
    left
}

fn or(index: &MatchIndex, left: &Column, right: &Column) -> Column {
    let present = groups_present(&index.left, index.groups, &left.values);
    let mut values = Vec::with_capacity(left.values.len() + right.values.len());
    values.extend_from_slice(&left.values);
    let added = right.values.iter().zip(&index.right);
    values.extend(added.map(|(value, group)| if present[*group as usize] { ABSENT } else { *value }));
    Column::new(Arc::clone(&index.result), values)
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
        let nothing = |c: &Column| c.values.iter().all(|v| is_absent(*v));
        let fills = self.op.matching.fill_left.is_some() || self.op.matching.fill_right.is_some();
        if (nothing(many) || nothing(one)) && (!fills || (nothing(many) && nothing(one))) {
            // The set stays the same so that what is derived from it stays valid.
            return Ok(Column::new(Arc::clone(&self.index.result), vec![ABSENT; self.index.result.len()]));
        }
        let matched = self.one_by_group(one, one_groups)?;
        if fills || self.index.changing {
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
        for (i, _) in one.values.iter().enumerate().filter(|(_, v)| !is_absent(**v)) {
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

    /// Matches whose labels depend on the values at hand: a changing "one" side, or filled gaps.
    fn slow(
        &self,
        (many, one): (&Column, &Column),
        (many_groups, one_groups): (&[u32], &[u32]),
        matched: &[Option<u32>],
    ) -> Result<Column, EvalError> {
        let matching = &self.op.matching;
        let mut rows: Vec<(u32, Labels, f64, bool)> = Vec::new();
        let mut used = vec![false; self.index.groups];
        // As in Prometheus the two fills are not swapped with the sides.
        for (i, value) in many.values.iter().enumerate().filter(|(_, v)| !is_absent(**v)) {
            let group = many_groups[i];
            let labels = &many.set.labels[i];
            let (other, other_labels) = match (matched[group as usize], matching.fill_right) {
                (Some(j), _) => (one.values[j as usize], one.set.labels[j as usize].clone()),
                (None, Some(fill)) => (fill.0, MatchIndex::match_labels(labels, matching)),
                (None, None) => continue,
            };
            let again = std::mem::replace(&mut used[group as usize], true);
            if again && matching.group.is_none() {
                let message =
                    "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)";
                return Err(self.error(message));
            }
            let labels = MatchIndex::result_labels(self.op, labels, Some(&other_labels), self.delayed);
            rows.push((group, labels, self.value(*value, other), many.set.is_dropped(i)));
        }
        if let Some(fill) = matching.fill_left {
            for (j, value) in one.values.iter().enumerate().filter(|(_, v)| !is_absent(**v)) {
                let group = one_groups[j];
                if used[group as usize] {
                    continue;
                }
                let own = &one.set.labels[j];
                let labels = MatchIndex::match_labels(own, matching);
                let labels = MatchIndex::result_labels(self.op, &labels, Some(own), self.delayed);
                rows.push((group, labels, self.value(fill.0, *value), false));
            }
        }
        if matching.group.is_some() {
            let mut keys: Vec<_> = rows.iter().map(|(group, labels, ..)| (group, labels)).collect();
            keys.sort();
            if keys.windows(2).any(|pair| pair[0] == pair[1]) {
                return Err(self.error("multiple matches for labels: grouping labels must ensure unique matches"));
            }
        }
        let drops = self.delayed && self.op.return_bool;
        let dropped = self.delayed.then(|| rows.iter().map(|row| drops || row.3).collect());
        let (labels, values) = rows.into_iter().map(|(_, labels, value, _)| (labels, value)).unzip();
        Column::new(Arc::new(SeriesSet::derived(labels, dropped)), values).unique(&self.node.span)
    }
}
