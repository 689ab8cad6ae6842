//! The syntax tree of an expression. Every node knows its bytes; equality ignores them.

use std::ops::Range;

use super::functions::Function;
use super::matcher::{MatchOp, Matcher};
pub use super::operators::{AggregateOp, BinaryOp, CompareOp, UnaryOp, ValueType};
use crate::model::labels::METRIC_NAME;

/// An expression and where it stands.
#[derive(Clone, Debug)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Bytes of the text.
    pub span: Range<usize>,
    height: u16,
}

/// What an expression is.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// A number, or a duration in seconds.
    Number(Number),
    /// A text.
    Text(String),
    /// `( … )`
    Paren(Box<Expr>),
    /// `- x`, `+ x`
    Unary(UnaryOp, Box<Expr>),
    /// `a op b`
    Binary(Box<Binary>),
    /// `sum by (…) (…)`
    Aggregate(Box<Aggregate>),
    /// `name(…)`
    Call(Call),
    /// `metric{…}`
    Vector(Selector),
    /// `metric{…}[5m]`
    Matrix(Selector, Duration),
    /// `expr[5m:1m]`
    Subquery(Box<Subquery>),
}

/// A number whose equality is that of what is printed: all NaN are equal, the zeros are not.
#[derive(Clone, Copy, Debug)]
pub struct Number(pub f64);

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        (self.0.is_nan() && other.0.is_nan()) || self.0.to_bits() == other.0.to_bits()
    }
}

impl std::hash::Hash for Number {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (if self.0.is_nan() { f64::NAN } else { self.0 }).to_bits().hash(state);
    }
}

/// `a op b`
#[derive(Clone, Debug, PartialEq)]
pub struct Binary {
    /// The operator.
    pub op: BinaryOp,
    /// Left side.
    pub left: Expr,
    /// Right side.
    pub right: Expr,
    /// Whether a comparison gives 0 and 1 instead of filtering.
    pub return_bool: bool,
    /// How series are matched; `None` where nothing is written.
    pub matching: Option<Matching>,
}

/// Which side of a many-to-one match may have several series per match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// `group_left`
    Left,
    /// `group_right`
    Right,
}

/// `on (…) group_left (…) fill (…)`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matching {
    /// `on` rather than `ignoring`.
    pub on: bool,
    /// The labels of `on` or `ignoring`.
    pub labels: Vec<String>,
    /// `group_left` or `group_right` with the labels taken over from the other side.
    pub group: Option<(Side, Vec<String>)>,
    /// The value of a missing left side.
    pub fill_left: Option<Number>,
    /// The value of a missing right side.
    pub fill_right: Option<Number>,
}

/// `sum by (…) (param, expr)`
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    /// Which.
    pub op: AggregateOp,
    /// The parameter of `topk` and its like.
    pub parameter: Option<Expr>,
    /// What is aggregated.
    pub expr: Expr,
    /// `by` or `without`; without either everything is one group.
    pub grouping: Grouping,
}

/// Which labels make a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grouping {
    /// `without` rather than `by`.
    pub without: bool,
    /// The labels.
    pub labels: Vec<String>,
}

/// `name(args)`
#[derive(Clone, Debug)]
pub struct Call {
    /// The function.
    pub function: &'static Function,
    /// Bytes of its name.
    pub name_span: Range<usize>,
    /// What it is called with.
    pub args: Vec<Expr>,
}

impl PartialEq for Call {
    fn eq(&self, other: &Self) -> bool {
        self.function.name == other.function.name && self.args == other.args
    }
}

/// Which instant a selector reads instead of the evaluation's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum At {
    /// `@ 1609746000`: milliseconds.
    Time(i64),
    /// `@ start()`
    Start,
    /// `@ end()`
    End,
}

/// How a selector reads the edges of its window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Edges {
    /// Samples in the window only.
    #[default]
    Plain,
    /// `anchored`: with the sample before the window.
    Anchored,
    /// `smoothed`: interpolated at both ends.
    Smoothed,
}

/// `metric{…} offset … @ …`
#[derive(Clone, Debug)]
pub struct Selector {
    /// All conditions, the one on the name first where it was written as a name.
    pub matchers: Vec<Matcher>,
    /// Bytes of each condition.
    pub matcher_spans: Vec<Range<usize>>,
    /// `offset`
    pub offset: Option<Duration>,
    /// `@`
    pub at: Option<At>,
    /// `anchored`, `smoothed`
    pub edges: Edges,
}

impl PartialEq for Selector {
    fn eq(&self, other: &Self) -> bool {
        (&self.matchers, &self.offset, self.at, self.edges) == (&other.matchers, &other.offset, other.at, other.edges)
    }
}

impl Selector {
    /// The metric's name where an equality fixes it.
    pub fn name(&self) -> Option<&str> {
        let by_name = |m: &&Matcher| m.name == METRIC_NAME && m.op == MatchOp::Equal && !m.value.is_empty();
        self.matchers.iter().find(by_name).map(|m| m.value.as_str())
    }
}

/// `expr[range:step] offset … @ …`
#[derive(Clone, Debug, PartialEq)]
pub struct Subquery {
    /// What is evaluated at each step.
    pub expr: Expr,
    /// How far back.
    pub range: Duration,
    /// The step; the default one without it.
    pub step: Option<Duration>,
    /// `offset`
    pub offset: Option<Duration>,
    /// `@`
    pub at: Option<At>,
}

/// A duration: fixed, or computed from the step or range of the query.
#[derive(Clone, Debug, PartialEq)]
pub enum Duration {
    /// Milliseconds.
    Fixed(i64),
    /// Known only when the query runs.
    Computed(Box<DurationExpr>),
}

/// Arithmetic on durations; values are seconds.
#[derive(Clone, Debug, PartialEq)]
pub enum DurationExpr {
    /// Seconds.
    Seconds(f64),
    /// `step()`
    Step,
    /// `range()`
    Range,
    /// `- x`
    Negate(Box<DurationExpr>),
    /// `a op b`
    Binary(BinaryOp, Box<(DurationExpr, DurationExpr)>),
    /// `min_of(a, b)`
    MinOf(Box<(DurationExpr, DurationExpr)>),
    /// `max_of(a, b)`
    MaxOf(Box<(DurationExpr, DurationExpr)>),
}

impl DurationExpr {
    /// Its value in seconds, given those of `step()` and `range()`.
    pub fn seconds(&self, step: f64, range: f64) -> f64 {
        match self {
            Self::Seconds(s) => *s,
            Self::Step => step,
            Self::Range => range,
            Self::Negate(inner) => -inner.seconds(step, range),
            Self::Binary(op, pair) => op.apply(pair.0.seconds(step, range), pair.1.seconds(step, range)),
            Self::MinOf(pair) => pair.0.seconds(step, range).min(pair.1.seconds(step, range)),
            Self::MaxOf(pair) => pair.0.seconds(step, range).max(pair.1.seconds(step, range)),
        }
    }

    /// Whether the value depends on the query.
    pub fn is_computed(&self) -> bool {
        match self {
            Self::Seconds(_) => false,
            Self::Step | Self::Range => true,
            Self::Negate(inner) => inner.is_computed(),
            Self::Binary(_, pair) | Self::MinOf(pair) | Self::MaxOf(pair) => {
                pair.0.is_computed() || pair.1.is_computed()
            }
        }
    }
}

impl Expr {
    /// Makes a node.
    pub fn new(kind: ExprKind, span: Range<usize>) -> Self {
        let below = match &kind {
            ExprKind::Number(_) | ExprKind::Text(_) | ExprKind::Vector(_) | ExprKind::Matrix(..) => 0,
            ExprKind::Paren(e) | ExprKind::Unary(_, e) => e.height,
            ExprKind::Binary(b) => b.left.height.max(b.right.height),
            ExprKind::Aggregate(a) => a.expr.height.max(a.parameter.as_ref().map_or(0, |p| p.height)),
            ExprKind::Call(c) => c.args.iter().map(|a| a.height).max().unwrap_or(0),
            ExprKind::Subquery(s) => s.expr.height,
        };
        Self { kind, span, height: below.saturating_add(1) }
    }

    /// How many nodes stand above each other at most.
    pub fn height(&self) -> usize {
        usize::from(self.height)
    }

    /// The expression inside any parentheses.
    pub fn inner(&self) -> &Self {
        let mut expr = self;
        while let ExprKind::Paren(inner) = &expr.kind {
            expr = inner;
        }
        expr
    }

    /// The same without what says nothing: brackets and plus signs.
    fn plain(&self) -> &Self {
        match self.inner() {
            Self { kind: ExprKind::Unary(UnaryOp::Plus, inner), .. } => inner.plain(),
            plain => plain,
        }
    }

    /// The value of a scalar that does not depend on anything.
    pub fn constant(&self) -> Option<f64> {
        match &self.plain().kind {
            ExprKind::Number(number) => Some(number.0),
            ExprKind::Unary(_, inner) => Some(-inner.constant()?),
            ExprKind::Binary(binary) => {
                let (left, right) = (binary.left.constant()?, binary.right.constant()?);
                Some(match binary.op {
                    BinaryOp::Compare(op) => f64::from(u8::from(op.holds(left, right))),
                    op => op.apply(left, right),
                })
            }
            _ => None,
        }
    }

    /// `vector CMP constant` (or the same flipped) without `bool`: the vector, the comparison and the constant. The same
    /// as [`Plan::split_comparison`](super::Plan::split_comparison) gives, without a plan.
    pub fn comparison(&self) -> Option<(&Self, CompareOp, f64)> {
        let ExprKind::Binary(binary) = &self.plain().kind else { return None };
        let BinaryOp::Compare(op) = binary.op else { return None };
        let (left, right) = (&binary.left, &binary.right);
        match (left.value_type(), right.value_type()) {
            _ if binary.return_bool => None,
            (ValueType::Scalar, ValueType::Scalar) => None,
            (ValueType::Scalar, _) => Some((right, op.flipped(), left.constant()?)),
            (_, ValueType::Scalar) => Some((left, op, right.constant()?)),
            _ => None,
        }
    }

    /// Its type.
    pub fn value_type(&self) -> ValueType {
        match &self.inner().kind {
            ExprKind::Number(_) => ValueType::Scalar,
            ExprKind::Text(_) => ValueType::String,
            ExprKind::Paren(e) | ExprKind::Unary(_, e) => e.value_type(),
            ExprKind::Binary(b) => match (b.left.value_type(), b.right.value_type()) {
                (ValueType::Scalar, ValueType::Scalar) => ValueType::Scalar,
                _ => ValueType::Vector,
            },
            ExprKind::Aggregate(_) | ExprKind::Vector(_) => ValueType::Vector,
            ExprKind::Call(c) => c.function.result,
            ExprKind::Matrix(..) | ExprKind::Subquery(_) => ValueType::Matrix,
        }
    }
}

impl PartialEq for Expr {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}
