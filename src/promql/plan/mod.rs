//! A compiled expression: a graph of nodes in which equal parts stand once, with what each node learns kept beside it.
//!
//! Place in the flow: made once per rule from a checked tree, shared by all evaluations. Holds no samples and reads no
//! store; what is kept between evaluations are label sets derived from a selection, valid while it does not change.

mod build;
pub(crate) mod cache;
mod key;
#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use cache::{NodeCache, SelectorCache};

use super::ast::{AggregateOp, At, BinaryOp, CompareOp, Duration, Edges, Expr, Grouping, Matching, ValueType};
use super::functions::{Body, Function};
use super::matcher::Matcher;

/// Look-back of instant selectors that [`Plan::look_back_ms`] reckons with: Prometheus's default.
pub const LOOKBACK_MS_DEFAULT: i64 = 300_000;

/// Index of a node in its plan.
pub(crate) type NodeId = usize;

/// One operation.
#[derive(Debug)]
pub(crate) struct Node {
    pub op: Op,
    pub span: Range<usize>,
    pub value_type: ValueType,
    /// Identity across plans: equal for equal parts, whatever parentheses stand around and in them.
    pub key: u128,
    pub cache: NodeCache,
}

/// What a node does.
#[derive(Debug)]
pub(crate) enum Op {
    Number(f64),
    Text(Arc<str>),
    /// An instant selector.
    Vector(usize),
    /// A range selector.
    Matrix(usize),
    Subquery(SubqueryOp),
    Negate(NodeId),
    /// Two scalars.
    Scalars(BinaryOp, NodeId, NodeId),
    VectorScalar(VectorScalarOp),
    Vectors(VectorsOp),
    Aggregate {
        op: AggregateOp,
        parameter: Option<NodeId>,
        expr: NodeId,
        grouping: Grouping,
    },
    Call {
        function: &'static Function,
        args: Vec<NodeId>,
    },
}

#[derive(Debug)]
pub(crate) struct SubqueryOp {
    pub expr: NodeId,
    pub range: Duration,
    pub step: Option<Duration>,
    pub offset: Option<Duration>,
    pub at: Option<At>,
}

#[derive(Debug)]
pub(crate) struct VectorScalarOp {
    pub op: BinaryOp,
    pub vector: NodeId,
    pub scalar: NodeId,
    /// The scalar stands on the left.
    pub swapped: bool,
    pub return_bool: bool,
}

#[derive(Debug)]
pub(crate) struct VectorsOp {
    pub op: BinaryOp,
    pub left: NodeId,
    pub right: NodeId,
    pub return_bool: bool,
    pub matching: Matching,
}

/// What a selector reads.
#[derive(Debug)]
pub(crate) struct SelectorOp {
    pub matchers: Arc<[Matcher]>,
    pub offset: Option<Duration>,
    pub at: Option<At>,
    pub edges: Edges,
    /// Of range selectors.
    pub range: Option<Duration>,
    /// Of histograms only count and sum are looked at above, so resets are detected while they are read.
    pub totals: bool,
    /// Identity of the matchers across plans.
    pub key: u128,
    pub cache: SelectorCache,
}

/// A selector as others see it: for finding dependencies and how much history is needed.
#[derive(Clone, Debug)]
pub struct PlanSelector {
    /// All conditions.
    pub matchers: Arc<[Matcher]>,
    /// The metric's name where an equality fixes it.
    pub name: Option<Arc<str>>,
    /// Length of the window; 0 for an instant selector.
    pub range_ms: i64,
    /// How far the reading is shifted into the past; negative into the future.
    pub offset_ms: i64,
    /// How far before the evaluation it reads at most: window or default look-back, offset, enclosing subqueries.
    pub reach_ms: i64,
    /// Bytes of the expression.
    pub span: Range<usize>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub nodes: Vec<Node>,
    pub selectors: Vec<SelectorOp>,
    pub public: Vec<PlanSelector>,
}

/// A compiled expression; cheap to clone and to share between threads.
#[derive(Clone)]
pub struct Plan {
    pub(crate) inner: Arc<Inner>,
    pub(crate) root: NodeId,
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan").field("root", &self.root).field("nodes", &self.inner.nodes.len()).finish()
    }
}

impl Plan {
    /// Compiles a checked expression.
    pub fn new(expr: &Expr) -> Self {
        build::build(expr)
    }

    /// Type of the result.
    pub fn value_type(&self) -> ValueType {
        self.inner.nodes[self.root].value_type
    }

    /// All selectors, in the order they are written.
    pub fn selectors(&self) -> &[PlanSelector] {
        &self.inner.public
    }

    /// How much history before the evaluation is read at most.
    pub fn look_back_ms(&self) -> i64 {
        self.inner.public.iter().map(|s| s.reach_ms).max().unwrap_or(0).max(0)
    }

    /// Identity of the expression: equal plans have equal keys.
    pub fn key(&self) -> u128 {
        self.inner.nodes[self.root].key
    }

    /// Whether each series of the result depends on one series of the store alone, the one with its labels: a selector,
    /// or a function of a selector's window.
    pub fn is_per_series(&self) -> bool {
        let op = |id: NodeId| &self.inner.nodes[id].op;
        match op(self.root) {
            Op::Vector(_) => true,
            Op::Call { function, args } => {
                let plain = |id: &NodeId| matches!(op(*id), Op::Matrix(_)) || self.inner.constant(*id).is_some();
                matches!(function.body, Body::Window(_)) && args.iter().all(plain)
            }
            _ => false,
        }
    }

    /// `vector CMP constant` (or the same flipped) without `bool`: the vector's plan, the comparison and the constant.
    pub fn split_comparison(&self) -> Option<(Self, CompareOp, f64)> {
        let Op::VectorScalar(VectorScalarOp { op: BinaryOp::Compare(op), vector, scalar, swapped, return_bool: false }) =
            &self.inner.nodes[self.root].op
        else {
            return None;
        };
        let constant = self.inner.constant(*scalar)?;
        let op = if *swapped { op.flipped() } else { *op };
        Some((Self { inner: Arc::clone(&self.inner), root: *vector }, op, constant))
    }
}

impl Inner {
    /// The value of a scalar that does not depend on anything.
    pub(crate) fn constant(&self, id: NodeId) -> Option<f64> {
        match &self.nodes[id].op {
            Op::Number(n) => Some(*n),
            Op::Negate(inner) => Some(-self.constant(*inner)?),
            Op::Scalars(BinaryOp::Compare(op), left, right) => {
                Some(f64::from(u8::from(op.holds(self.constant(*left)?, self.constant(*right)?))))
            }
            Op::Scalars(op, left, right) => Some(op.apply(self.constant(*left)?, self.constant(*right)?)),
            _ => None,
        }
    }
}
