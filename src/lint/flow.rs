//! Which labels the series of an expression can have: what aggregations, matching and functions leave of them.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::model::labels::METRIC_NAME;
use crate::promql::MatchOp;
use crate::promql::ast::{Aggregate, AggregateOp, Binary, BinaryOp, Call, Expr, ExprKind, Selector, Side, ValueType};

/// The labels of a result.
#[derive(Clone, Debug, Default)]
pub struct Flow<'e> {
    /// No other label is there; `None`: any may be.
    only: Option<BTreeSet<&'e str>>,
    /// Labels that are not there, where any other may be.
    gone: BTreeSet<&'e str>,
    /// Labels that whoever wrote the expression counts on: grouped by, or matched with a value.
    pub sure: BTreeSet<&'e str>,
    /// What took labels away last.
    pub cut: Option<Range<usize>>,
}

impl<'e> Flow<'e> {
    /// No label at all.
    fn bare(cut: Option<Range<usize>>) -> Self {
        Self { only: Some(BTreeSet::new()), cut, ..Self::default() }
    }

    /// Whether a label can be there.
    pub fn may(&self, label: &str) -> bool {
        label == METRIC_NAME || self.only.as_ref().map_or(!self.gone.contains(label), |only| only.contains(label))
    }

    fn without(mut self, labels: &[&'e str]) -> Self {
        for label in labels {
            self.sure.remove(label);
            match &mut self.only {
                Some(only) => {
                    only.remove(label);
                }
                None => {
                    self.gone.insert(label);
                }
            }
        }
        self
    }

    fn with(mut self, label: &'e str) -> Self {
        match &mut self.only {
            Some(only) => {
                only.insert(label);
            }
            None => {
                self.gone.remove(label);
            }
        }
        self
    }

    /// What is left when only these are kept; those that can be there are counted on.
    fn kept(self, labels: &'e [String], cut: &Range<usize>) -> Self {
        let only: BTreeSet<&'e str> = labels.iter().map(String::as_str).filter(|label| self.may(label)).collect();
        Self { sure: only.clone(), only: Some(only), gone: BTreeSet::new(), cut: Some(cut.clone()) }
    }

    /// Either of two.
    fn either(self, other: Self) -> Self {
        let sure = self.sure.intersection(&other.sure).copied().collect();
        let cut = self.cut.or(other.cut);
        match (self.only, other.only) {
            (Some(a), Some(b)) => Self { only: Some(&a | &b), gone: BTreeSet::new(), sure, cut },
            (Some(a), None) => Self { only: None, gone: &other.gone - &a, sure, cut },
            (None, Some(b)) => Self { only: None, gone: &self.gone - &b, sure, cut },
            (None, None) => Self { only: None, gone: &self.gone & &other.gone, sure, cut },
        }
    }
}

/// The labels of an expression's result; of a number none.
pub fn flow(expr: &Expr) -> Flow<'_> {
    match &expr.kind {
        ExprKind::Number(_) | ExprKind::Text(_) => Flow::bare(None),
        ExprKind::Paren(inner) | ExprKind::Unary(_, inner) => flow(inner),
        ExprKind::Subquery(subquery) => flow(&subquery.expr),
        ExprKind::Vector(selector) | ExprKind::Matrix(selector, _) => selected(selector),
        ExprKind::Aggregate(aggregate) => aggregated(aggregate, &expr.span),
        ExprKind::Call(call) => called(call, &expr.span),
        ExprKind::Binary(binary) => joined(binary, &expr.span),
    }
}

fn selected(selector: &Selector) -> Flow<'_> {
    let mut flow = Flow::default();
    for matcher in selector.matchers.iter().filter(|m| m.name != METRIC_NAME) {
        if matcher.op == MatchOp::Equal && matcher.value.is_empty() {
            flow.gone.insert(&matcher.name);
        } else if !matcher.matches("") {
            flow.sure.insert(&matcher.name);
        }
    }
    flow
}

fn aggregated<'e>(aggregate: &'e Aggregate, span: &Range<usize>) -> Flow<'e> {
    let inner = flow(&aggregate.expr);
    if matches!(aggregate.op, AggregateOp::Topk | AggregateOp::Bottomk | AggregateOp::Limitk | AggregateOp::LimitRatio)
    {
        return inner;
    }
    let grouping = &aggregate.grouping;
    let labels: Vec<&str> = grouping.labels.iter().map(String::as_str).collect();
    let kept = if grouping.without {
        Flow { cut: Some(span.clone()), ..inner.without(&labels) }
    } else {
        inner.kept(&grouping.labels, span)
    };
    match aggregate.parameter.as_ref().map(|p| &p.inner().kind) {
        Some(ExprKind::Text(label)) if aggregate.op == AggregateOp::CountValues => kept.with(label),
        _ => kept,
    }
}

fn called<'e>(call: &'e Call, span: &Range<usize>) -> Flow<'e> {
    let series = |arg: &&Expr| matches!(arg.value_type(), ValueType::Vector | ValueType::Matrix);
    let text = |i: usize| match call.args.get(i).map(|arg| &arg.inner().kind) {
        Some(ExprKind::Text(text)) => text.as_str(),
        _ => "",
    };
    let Some(inner) = call.args.iter().find(series).map(flow) else { return Flow::bare(None) };
    match call.function.name {
        "absent" | "absent_over_time" => absent(call, span),
        "vector" | "scalar" => Flow::bare(None),
        "label_replace" | "label_join" => inner.with(text(1)),
        "histogram_quantile" | "histogram_fraction" | "histogram_quantiles" => {
            let quantiles = call.function.name == "histogram_quantiles";
            let rest = inner.without(&["le"]);
            if quantiles { rest.with(text(1)) } else { rest }
        }
        // Takes labels over from other series.
        "info" => Flow::default(),
        _ => inner,
    }
}

/// `absent` gives the labels that its selector fixes by one equality each.
fn absent<'e>(call: &'e Call, span: &Range<usize>) -> Flow<'e> {
    let mut flow = Flow::bare(Some(span.clone()));
    let Some(ExprKind::Vector(selector) | ExprKind::Matrix(selector, _)) =
        call.args.first().map(|arg| &arg.inner().kind)
    else {
        return flow;
    };
    for matcher in selector.matchers.iter().filter(|m| m.name != METRIC_NAME) {
        let once = selector.matchers.iter().filter(|m| m.name == matcher.name).count() == 1;
        if matcher.op == MatchOp::Equal && once && !matcher.value.is_empty() {
            flow = flow.with(&matcher.name);
            flow.sure.insert(&matcher.name);
        }
    }
    flow
}

fn joined<'e>(binary: &'e Binary, span: &Range<usize>) -> Flow<'e> {
    match (binary.left.value_type(), binary.right.value_type()) {
        (ValueType::Vector, ValueType::Vector) => {}
        (ValueType::Vector, _) => return flow(&binary.left),
        (_, ValueType::Vector) => return flow(&binary.right),
        _ => return Flow::bare(None),
    }
    let (left, right) = (flow(&binary.left), flow(&binary.right));
    match binary.op {
        BinaryOp::Or => return left.either(right),
        BinaryOp::And | BinaryOp::Unless => return left,
        _ => {}
    }
    let Some(matching) = &binary.matching else { return one_to_one(left, right) };
    match &matching.group {
        Some((side, extra)) => {
            let (many, one) = if *side == Side::Left { (left, right) } else { (right, left) };
            extra.iter().fold(many, |flow, label| {
                if one.may(label) {
                    let mut flow = flow.with(label);
                    flow.sure.insert(label);
                    flow
                } else {
                    Flow { cut: Some(span.clone()), ..flow.without(&[label.as_str()]) }
                }
            })
        }
        None if matching.on => left.kept(&matching.labels, span),
        None => {
            let labels: Vec<&str> = matching.labels.iter().map(String::as_str).collect();
            Flow { cut: Some(span.clone()), ..left.without(&labels) }
        }
    }
}

/// Both sides have the same labels, so each has only those that both can have.
fn one_to_one<'e>(left: Flow<'e>, right: Flow<'e>) -> Flow<'e> {
    let sure = &left.sure | &right.sure;
    let cut = left.cut.or(right.cut);
    let (only, gone) = match (left.only, right.only) {
        (Some(a), Some(b)) => (Some(&a & &b), BTreeSet::new()),
        (Some(a), None) => (Some(&a - &right.gone), BTreeSet::new()),
        (None, Some(b)) => (Some(&b - &left.gone), BTreeSet::new()),
        (None, None) => (None, &left.gone | &right.gone),
    };
    Flow { only, gone, sure, cut }
}
