//! Syntax tree → plan. Parentheses and plus signs vanish, equal parts become one node.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::cache::{NodeCache, SelectorCache};
use super::{
    Inner, LOOKBACK_MS_DEFAULT, Node, NodeId, Op, Plan, PlanSelector, SelectorOp, SubqueryOp, VectorScalarOp, VectorsOp,
};
use crate::model::labels::METRIC_NAME;
use crate::promql::ast::{Duration, Edges, Expr, ExprKind, Selector, UnaryOp, ValueType};
use crate::promql::eval::info::TARGET_INFO;
use crate::promql::matcher::Matcher;

/// 128 bits from two runs of SipHash with fixed keys: equal texts give equal keys in every process.
fn key_of(text: &str) -> u128 {
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        (salt, text).hash(&mut hasher);
        u128::from(hasher.finish())
    };
    (half(0) << 64) | half(1)
}

struct Builder {
    inner: Inner,
    known: HashMap<u128, NodeId>,
    /// Whether what is built is read for counts and sums of histograms only.
    totals: bool,
}

pub(super) fn build(expr: &Expr) -> Plan {
    let inner = Inner { nodes: Vec::new(), selectors: Vec::new(), public: Vec::new() };
    let mut builder = Builder { inner, known: HashMap::new(), totals: false };
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
        let mut text = expr.to_string();
        if self.totals {
            text.push_str(" (totals)");
        }
        let key = key_of(&text);
        if let Some(id) = self.known.get(&key) {
            return *id;
        }
        let op = self.below(expr);
        let node =
            Node { op, span: expr.span.clone(), value_type: expr.value_type(), key, cache: NodeCache::default() };
        self.inner.nodes.push(node);
        let id = self.inner.nodes.len() - 1;
        self.known.insert(key, id);
        id
    }

    /// Builds what stands below an expression. Follows Prometheus (promql/engine.go, detectHistogramStatsDecoding): the
    /// nearest of these decides, except that counts and sums asked for are forgotten where something above needs buckets.
    fn below(&mut self, expr: &Expr) -> Op {
        let before = self.totals;
        match &expr.kind {
            ExprKind::Call(call) => match call.function.name {
                "histogram_count" | "histogram_sum" | "histogram_avg" => self.totals = true,
                "histogram_quantile" | "histogram_quantiles" | "histogram_fraction" => self.totals = false,
                _ => {}
            },
            ExprKind::Subquery(_) => self.totals = false,
            ExprKind::Binary(b) if b.op.is_trim() => self.totals = false,
            _ => {}
        }
        let op = self.op(expr);
        self.totals = before;
        op
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
            ExprKind::Binary(b) => {
                let (left, right) = (self.node(&b.left), self.node(&b.right));
                let op = b.op;
                let return_bool = b.return_bool;
                match (b.left.value_type(), b.right.value_type()) {
                    (ValueType::Scalar, ValueType::Scalar) => Op::Scalars(op, left, right),
                    (ValueType::Scalar, _) => {
                        Op::VectorScalar(VectorScalarOp { op, vector: right, scalar: left, swapped: true, return_bool })
                    }
                    (_, ValueType::Scalar) => Op::VectorScalar(VectorScalarOp {
                        op,
                        vector: left,
                        scalar: right,
                        swapped: false,
                        return_bool,
                    }),
                    _ => {
                        let matching = b.matching.clone().unwrap_or_default();
                        Op::Vectors(VectorsOp { op, left, right, return_bool, matching })
                    }
                }
            }
        }
    }

    fn selector(&mut self, selector: &Selector, range: Option<&Duration>) -> usize {
        let mut text = String::new();
        for m in &selector.matchers {
            text.push_str(&m.to_string());
            text.push(',');
        }
        self.inner.selectors.push(SelectorOp {
            matchers: Arc::from(selector.matchers.as_slice()),
            offset: selector.offset.clone(),
            at: selector.at,
            edges: selector.edges,
            range: range.cloned(),
            totals: self.totals,
            key: key_of(&text),
            cache: SelectorCache::default(),
        });
        self.inner.selectors.len() - 1
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
