//! Syntax tree → plan. Parentheses and plus signs vanish, equal parts become one node.

use std::sync::Arc;

use ahash::AHashMap;

use super::cache::{NodeCache, SelectorCache};
use super::{
    Inner, LOOKBACK_MS_DEFAULT, Node, NodeId, Op, Plan, PlanSelector, SelectorOp, SubqueryOp, VectorScalarOp,
    VectorsOp, key,
};
use crate::model::labels::METRIC_NAME;
use crate::promql::ast::{Binary, Duration, Edges, Expr, ExprKind, Selector, UnaryOp, ValueType};
use crate::promql::eval::info::TARGET_INFO;
use crate::promql::matcher::Matcher;

/// Whether what is built is read for counts and sums of histograms only. Follows Prometheus (promql/engine.go,
/// detectHistogramStatsDecoding).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Totals {
    /// Nobody asked for counts or sums alone.
    No,
    Only,
    /// Something above needs buckets, whatever else asks for counts below it.
    Forbidden,
}

impl Totals {
    /// What holds below an expression.
    fn below(self, expr: &Expr) -> Self {
        let needs_buckets = match &expr.kind {
            ExprKind::Call(call) => match call.function.name {
                "histogram_count" | "histogram_sum" | "histogram_avg" if self == Self::No => return Self::Only,
                "histogram_quantile" | "histogram_quantiles" | "histogram_fraction" => true,
                _ => false,
            },
            ExprKind::Subquery(_) => true,
            ExprKind::Binary(b) => b.op.is_trim(),
            _ => false,
        };
        if needs_buckets { Self::Forbidden } else { self }
    }
}

struct Builder {
    inner: Inner,
    known: AHashMap<u128, NodeId>,
    /// Places of selectors by their keys, and the key at each place.
    known_selectors: AHashMap<u128, usize>,
    selector_keys: Vec<u128>,
    totals: Totals,
}

pub(super) fn build(expr: &Expr) -> Plan {
    let inner = Inner { nodes: Vec::new(), selectors: Vec::new(), public: Vec::new() };
    let (known, known_selectors, selector_keys) = (AHashMap::new(), AHashMap::new(), Vec::new());
    let mut builder = Builder { inner, known, known_selectors, selector_keys, totals: Totals::No };
    let root = builder.node(expr);
    builder.describe(expr, 0);
    Plan { inner: Arc::new(builder.inner), root }
}

/// A duration known before the query runs; one that is computed counts as nothing.
fn fixed_ms(duration: Option<&Duration>) -> i64 {
    match duration {
        Some(Duration::Fixed(ms)) => *ms,
        Some(Duration::Computed(_)) | None => 0,
    }
}

impl Builder {
    fn node(&mut self, expr: &Expr) -> NodeId {
        let expr = expr.inner();
        if let ExprKind::Unary(UnaryOp::Plus, inner) = &expr.kind {
            return self.node(inner);
        }
        let before = self.totals;
        self.totals = before.below(expr);
        let op = self.op(expr);
        self.totals = before;
        let key = key::of_op(&op, |place| self.selector_keys[place], |id| self.inner.nodes[id].key);
        if let Some(id) = self.known.get(&key) {
            return *id;
        }
        let value_type = self.value_type(&op);
        self.inner.nodes.push(Node { op, span: expr.span.clone(), value_type, key, cache: NodeCache::default() });
        let id = self.inner.nodes.len() - 1;
        self.known.insert(key, id);
        id
    }

    fn value_type(&self, op: &Op) -> ValueType {
        match op {
            Op::Number(_) | Op::Scalars(..) => ValueType::Scalar,
            Op::Text(_) => ValueType::String,
            Op::Vector(_) | Op::VectorScalar(_) | Op::Vectors(_) | Op::Aggregate { .. } => ValueType::Vector,
            Op::Matrix(_) | Op::Subquery(_) => ValueType::Matrix,
            Op::Negate(inner) => self.inner.nodes[*inner].value_type,
            Op::Call { function, .. } => function.result,
        }
    }

    fn op(&mut self, expr: &Expr) -> Op {
        match &expr.kind {
            ExprKind::Number(n) => Op::Number(n.0),
            ExprKind::Text(text) => Op::Text(Arc::from(text.as_str())),
            ExprKind::Paren(inner) | ExprKind::Unary(UnaryOp::Plus, inner) => self.op(inner),
            ExprKind::Unary(UnaryOp::Minus, inner) => Op::Negate(self.node(inner)),
            ExprKind::Vector(selector) => Op::Vector(self.selector(selector, None)),
            ExprKind::Matrix(selector, range) => Op::Matrix(self.selector(selector, Some(range))),
            ExprKind::Subquery(s) => Op::Subquery(SubqueryOp {
                expr: self.node(&s.expr),
                range: s.range.clone(),
                step: s.step.clone(),
                offset: s.offset.clone(),
                at: s.at,
            }),
            ExprKind::Aggregate(a) => Op::Aggregate {
                op: a.op,
                parameter: a.parameter.as_ref().map(|p| self.node(p)),
                expr: self.node(&a.expr),
                grouping: a.grouping.clone(),
            },
            ExprKind::Call(call) => {
                Op::Call { function: call.function, args: call.args.iter().map(|a| self.node(a)).collect() }
            }
            ExprKind::Binary(b) => self.binary(b),
        }
    }

    fn binary(&mut self, b: &Binary) -> Op {
        let (left, right) = (self.node(&b.left), self.node(&b.right));
        let (op, return_bool) = (b.op, b.return_bool);
        let is_scalar = |id: NodeId| self.inner.nodes[id].value_type == ValueType::Scalar;
        match (is_scalar(left), is_scalar(right)) {
            (true, true) => Op::Scalars(op, left, right),
            (true, false) => {
                Op::VectorScalar(VectorScalarOp { op, vector: right, scalar: left, swapped: true, return_bool })
            }
            (false, true) => {
                Op::VectorScalar(VectorScalarOp { op, vector: left, scalar: right, swapped: false, return_bool })
            }
            (false, false) => {
                let matching = b.matching.clone().unwrap_or_default();
                Op::Vectors(VectorsOp { op, left, right, return_bool, matching })
            }
        }
    }

    /// The place of a selector; one that stands there already is not added again.
    fn selector(&mut self, selector: &Selector, range: Option<&Duration>) -> usize {
        let made = SelectorOp {
            matchers: Arc::from(selector.matchers.as_slice()),
            offset: selector.offset.clone(),
            at: selector.at,
            edges: selector.edges,
            range: range.cloned(),
            totals: self.totals == Totals::Only,
            key: key::of_matchers(&selector.matchers),
            cache: SelectorCache::default(),
        };
        let key = key::of_selector(&made);
        let place = *self.known_selectors.entry(key).or_insert(self.inner.selectors.len());
        if place == self.inner.selectors.len() {
            self.inner.selectors.push(made);
            self.selector_keys.push(key);
        }
        place
    }

    /// Lists the selectors; `outer_ms` is how far back enclosing subqueries reach.
    fn describe(&mut self, expr: &Expr, outer_ms: i64) {
        match &expr.kind {
            ExprKind::Number(_) | ExprKind::Text(_) => {}
            ExprKind::Paren(inner) | ExprKind::Unary(_, inner) => self.describe(inner, outer_ms),
            ExprKind::Binary(b) => {
                self.describe(&b.left, outer_ms);
                self.describe(&b.right, outer_ms);
            }
            ExprKind::Aggregate(a) => {
                if let Some(parameter) = &a.parameter {
                    self.describe(parameter, outer_ms);
                }
                self.describe(&a.expr, outer_ms);
            }
            ExprKind::Call(call) => {
                call.args.iter().for_each(|a| self.describe(a, outer_ms));
                if call.function.name == "info" && call.args.len() == 1 {
                    let matchers = vec![Matcher::equal(METRIC_NAME, TARGET_INFO)];
                    let (matcher_spans, edges) = (vec![call.name_span.clone()], Edges::Plain);
                    let read = Selector { matchers, matcher_spans, offset: None, at: None, edges };
                    self.describe_selector(&read, None, (expr, outer_ms));
                }
            }
            ExprKind::Subquery(s) => {
                let reach = fixed_ms(Some(&s.range)).saturating_add(fixed_ms(s.offset.as_ref()));
                self.describe(&s.expr, outer_ms.saturating_add(reach));
            }
            ExprKind::Vector(selector) => self.describe_selector(selector, None, (expr, outer_ms)),
            ExprKind::Matrix(selector, range) => self.describe_selector(selector, Some(range), (expr, outer_ms)),
        }
    }

    fn describe_selector(&mut self, selector: &Selector, range: Option<&Duration>, (expr, outer_ms): (&Expr, i64)) {
        let range_ms = fixed_ms(range);
        let offset_ms = fixed_ms(selector.offset.as_ref());
        let own = if range.is_none() { LOOKBACK_MS_DEFAULT } else { range_ms };
        self.inner.public.push(PlanSelector {
            matchers: Arc::from(selector.matchers.as_slice()),
            name: selector.name().map(Arc::from),
            range_ms,
            offset_ms,
            reach_ms: outer_ms.saturating_add(own).saturating_add(offset_ms),
            span: expr.span.clone(),
        });
    }
}
