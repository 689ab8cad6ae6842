//! Operators where a histogram stands on one side at least.
//!
//! Place in the flow: beside [`super::binary`], which keeps to numbers. Which combinations there are follows Prometheus
//! (promql/engine.go, vectorElemBinop); one that does not exist gives nothing and says so.

use std::ops::Range;
use std::sync::Arc;

use super::Evaluator;
use super::column::{ABSENT, Column, is_absent};
use crate::model::histogram::{Incompatible, Merged, ResetHint};
use crate::model::{Histogram, SampleValue};
use crate::promql::ast::{BinaryOp, CompareOp};
use crate::promql::plan::VectorScalarOp;
use crate::promql::remarks::{Operation, Remark};

/// Changes the sign of numbers and histograms; the latter become gauges.
pub(super) fn negated(mut column: Column) -> Column {
    let histograms = column.histograms.take();
    let column = column.map(|v| -v);
    let Some(histograms) = histograms else { return column };
    column.with(histograms.iter().map(|h| h.as_ref().map(|h| changed(h, |h| h.scale(-1.0)))).collect())
}

fn changed(histogram: &Arc<Histogram>, change: impl FnOnce(&mut Histogram)) -> Arc<Histogram> {
    let mut copy = Histogram::clone(histogram);
    change(&mut copy);
    Arc::new(copy)
}

/// The result of an operator on two samples.
#[derive(Debug)]
pub(super) enum Combined {
    /// A value; false where a comparison does not hold.
    Value(SampleValue, bool),
    /// Nothing.
    Nothing,
}

/// The last thing said about the samples of one operator: of many alike, one is enough.
#[derive(Default)]
pub(super) struct Last(Option<Remark>);

impl Last {
    pub fn tell(self, ev: &Evaluator<'_>, span: &Range<usize>) {
        if let Some(remark) = self.0 {
            ev.remark(span, remark);
        }
    }
}

fn kind(value: &SampleValue) -> &'static str {
    match value {
        SampleValue::Float(_) => "float",
        SampleValue::Histogram(_) => "histogram",
    }
}

/// Applies an operator to two samples.
pub(super) fn combine(op: BinaryOp, left: &SampleValue, right: &SampleValue, last: &mut Last) -> Combined {
    use SampleValue::{Float, Histogram};
    let compacted = |h: &Arc<crate::model::Histogram>, change: &dyn Fn(&mut crate::model::Histogram)| {
        let made = changed(h, |h| {
            change(h);
            h.compact();
        });
        Combined::Value(Histogram(made), true)
    };
    match (left, right, op) {
        (Float(a), Float(b), BinaryOp::Compare(compare)) => Combined::Value(Float(*a), compare.holds(*a, *b)),
        (Float(a), Float(b), op) if !op.is_trim() => Combined::Value(Float(op.apply(*a, *b)), true),
        (Float(a), Histogram(h), BinaryOp::Mul) => compacted(h, &|h| h.scale(*a)),
        (Histogram(h), Float(b), BinaryOp::Mul) => compacted(h, &|h| h.scale(*b)),
        (Histogram(h), Float(b), BinaryOp::Div) => compacted(h, &|h| h.divide(*b)),
        (Histogram(h), Float(b), BinaryOp::TrimUpper) => {
            Combined::Value(Histogram(Arc::new(h.trimmed_below(*b))), true)
        }
        (Histogram(h), Float(b), BinaryOp::TrimLower) => {
            Combined::Value(Histogram(Arc::new(h.trimmed_above(*b))), true)
        }
        (Histogram(a), Histogram(b), BinaryOp::Add) => sum((a, b), Operation::Addition, last),
        (Histogram(a), Histogram(b), BinaryOp::Sub) => sum((a, b), Operation::Subtraction, last),
        (Histogram(a), Histogram(b), BinaryOp::Compare(CompareOp::Equal)) => Combined::Value(left.clone(), a.same(b)),
        (Histogram(a), Histogram(b), BinaryOp::Compare(CompareOp::NotEqual)) => {
            Combined::Value(left.clone(), !a.same(b))
        }
        _ => {
            last.0 = Some(Remark::incompatible_types(kind(left), op.as_str(), kind(right)));
            Combined::Nothing
        }
    }
}

fn sum((a, b): (&Arc<Histogram>, &Arc<Histogram>), operation: Operation, last: &mut Last) -> Combined {
    let mut result = Histogram::clone(a);
    let merged = if operation == Operation::Addition { result.add(b) } else { result.subtract(b) };
    match merged {
        Err(Incompatible) => {
            let sign = if operation == Operation::Addition { "+" } else { "-" };
            last.0 = Some(Remark::incompatible_layout(sign));
            Combined::Nothing
        }
        Ok(Merged { collision: true, .. }) => {
            last.0 = Some(Remark::colliding_resets(operation));
            Combined::Nothing
        }
        Ok(Merged { reconciled, .. }) => {
            if reconciled {
                last.0 = Some(Remark::reconciled_bounds(operation));
            }
            if operation == Operation::Subtraction {
                result.reset_hint = ResetHint::Gauge;
            }
            result.compact();
            Combined::Value(SampleValue::Histogram(Arc::new(result)), true)
        }
    }
}

impl Evaluator<'_> {
    /// A vector with histograms, or a trimming operator, and a number.
    pub(super) fn histograms_scalar(
        &self,
        op: &VectorScalarOp,
        column: &Column,
        scalar: f64,
        span: &Range<usize>,
    ) -> Column {
        let mut last = Last::default();
        let scalar = SampleValue::Float(scalar);
        let mut values = vec![ABSENT; column.values.len()];
        let mut histograms = vec![None; column.values.len()];
        for i in column.places() {
            let Some(own) = column.sample(i) else { continue };
            let (left, right) = if op.swapped { (&scalar, &own) } else { (&own, &scalar) };
            let Combined::Value(value, holds) = combine(op.op, left, right, &mut last) else { continue };
            let value = match (op.op, op.return_bool) {
                (BinaryOp::Compare(_), true) => SampleValue::Float(f64::from(u8::from(holds))),
                (BinaryOp::Compare(_), false) if !holds => continue,
                // The vector's value is kept, whichever side it stands on.
                (BinaryOp::Compare(_), false) => own,
                _ => value,
            };
            (values[i], histograms[i]) = super::column::split(value);
        }
        last.tell(self, span);
        let order = column.order.clone();
        Column { order, ..Column::mixed(Arc::clone(&column.set), values, histograms) }
    }
}

/// Whether there is nothing at all in a column.
pub(super) fn is_empty(column: &Column) -> bool {
    column.values.iter().all(|v| is_absent(*v)) && column.histograms.is_none()
}
