//! Between which numbers the values of an expression lie: what a function, a count or a comparison leaves possible.
//!
//! Wide where nothing is known, so that only what can never be is called so.

use crate::promql::CompareOp;
use crate::promql::ast::{AggregateOp, Binary, BinaryOp, Call, Expr, ExprKind, Selector, ValueType};

/// Lowest and highest value, both included; empty where the lowest is above the highest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// Lowest.
    pub low: f64,
    /// Highest.
    pub high: f64,
}

/// Whether a comparison holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// For every value.
    Always,
    /// For none.
    Never,
    /// For some.
    Sometimes,
}

/// A share of a whole may come out above 1: both sides are extrapolated by themselves.
const SHARE_HIGH: f64 = 1.1;

impl Bounds {
    /// Any number.
    pub const ANY: Self = Self { low: f64::NEG_INFINITY, high: f64::INFINITY };
    /// Nothing below zero.
    const POSITIVE: Self = Self { low: 0.0, high: f64::INFINITY };

    const fn new(low: f64, high: f64) -> Self {
        Self { low, high }
    }

    const fn exactly(value: f64) -> Self {
        Self::new(value, value)
    }

    /// Whether nothing lies between.
    pub fn is_empty(self) -> bool {
        self.low > self.high
    }

    /// Whether only one value is possible.
    pub fn is_one(self) -> bool {
        self.low == self.high
    }

    /// What two have in common.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self::new(self.low.max(other.low), self.high.min(other.high))
    }

    fn or(self, other: Self) -> Self {
        Self::new(self.low.min(other.low), self.high.max(other.high))
    }

    /// Whether all of the other lies within.
    pub fn contains(self, other: Self) -> bool {
        self.low <= other.low && other.high <= self.high
    }

    /// The values that satisfy a comparison with a constant; `None` where they are no range.
    pub fn of(op: CompareOp, limit: f64) -> Option<Self> {
        if limit.is_nan() {
            return None;
        }
        Some(match op {
            CompareOp::Greater => Self::new(limit.next_up(), f64::INFINITY),
            CompareOp::GreaterOrEqual => Self::new(limit, f64::INFINITY),
            CompareOp::Less => Self::new(f64::NEG_INFINITY, limit.next_down()),
            CompareOp::LessOrEqual => Self::new(f64::NEG_INFINITY, limit),
            CompareOp::Equal => Self::exactly(limit),
            CompareOp::NotEqual => return None,
        })
    }

    /// Whether every, no or some value satisfies a comparison.
    pub fn compared(self, op: CompareOp, other: Self) -> Verdict {
        if self.is_empty() || other.is_empty() {
            return Verdict::Never;
        }
        let (never, always) = match op {
            CompareOp::Greater => (self.high <= other.low, self.low > other.high),
            CompareOp::GreaterOrEqual => (self.high < other.low, self.low >= other.high),
            CompareOp::Less => (self.low >= other.high, self.high < other.low),
            CompareOp::LessOrEqual => (self.low > other.high, self.high <= other.low),
            CompareOp::Equal => (
                self.high < other.low || self.low > other.high,
                self.is_one() && other.is_one() && self.low == other.low,
            ),
            CompareOp::NotEqual => (
                self.is_one() && other.is_one() && self.low == other.low,
                self.high < other.low || self.low > other.high,
            ),
        };
        match (never, always) {
            (true, _) => Verdict::Never,
            (_, true) => Verdict::Always,
            _ => Verdict::Sometimes,
        }
    }

    /// All results of an operator on ends; anything where one of them is no number.
    fn combined(self, other: Self, op: BinaryOp) -> Self {
        let ends = [
            op.apply(self.low, other.low),
            op.apply(self.low, other.high),
            op.apply(self.high, other.low),
            op.apply(self.high, other.high),
        ];
        if ends.iter().any(|end| end.is_nan()) {
            return Self::ANY;
        }
        Self::new(
            ends.iter().copied().fold(f64::INFINITY, f64::min),
            ends.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        )
    }
}

/// The values of an expression.
pub fn bounds(expr: &Expr) -> Bounds {
    if let Some(value) = expr.constant() {
        return if value.is_nan() { Bounds::ANY } else { Bounds::exactly(value) };
    }
    match &expr.kind {
        ExprKind::Paren(inner) => bounds(inner),
        ExprKind::Unary(op, inner) => {
            let inner = bounds(inner);
            if *op == crate::promql::ast::UnaryOp::Minus { Bounds::new(-inner.high, -inner.low) } else { inner }
        }
        ExprKind::Subquery(subquery) => bounds(&subquery.expr),
        ExprKind::Vector(selector) | ExprKind::Matrix(selector, _) => selected(selector),
        ExprKind::Aggregate(aggregate) => aggregated(aggregate.op, bounds(&aggregate.expr)),
        ExprKind::Call(call) => called(call),
        ExprKind::Binary(binary) => joined(binary),
        ExprKind::Number(_) | ExprKind::Text(_) => Bounds::ANY,
    }
}

/// Metrics that are 0 or 1 by definition.
fn selected(selector: &Selector) -> Bounds {
    match selector.name() {
        Some("up" | "probe_success") => Bounds::new(0.0, 1.0),
        Some("ALERTS") => Bounds::exactly(1.0),
        _ => Bounds::ANY,
    }
}

fn summed(inner: Bounds) -> Bounds {
    // At least one value is in the sum.
    let low = if inner.low >= 0.0 { inner.low } else { f64::NEG_INFINITY };
    let high = if inner.high <= 0.0 { inner.high } else { f64::INFINITY };
    Bounds::new(low, high)
}

fn aggregated(op: AggregateOp, inner: Bounds) -> Bounds {
    match op {
        AggregateOp::Sum => summed(inner),
        AggregateOp::Count => Bounds::new(1.0, f64::INFINITY),
        AggregateOp::CountValues => Bounds::new(1.0, f64::INFINITY),
        AggregateOp::Group => Bounds::exactly(1.0),
        AggregateOp::Stddev | AggregateOp::Stdvar => Bounds::POSITIVE,
        AggregateOp::Quantile => Bounds::ANY,
        _ => inner,
    }
}

fn called(call: &Call) -> Bounds {
    let series = |arg: &&Expr| matches!(arg.value_type(), ValueType::Vector | ValueType::Matrix);
    let inner = || call.args.iter().find(series).map_or(Bounds::ANY, bounds);
    let number = |i: usize| call.args.get(i).and_then(Expr::constant).filter(|n| !n.is_nan());
    match call.function.name {
        "absent" | "absent_over_time" | "present_over_time" => Bounds::exactly(1.0),
        "count_over_time" => Bounds::new(1.0, f64::INFINITY),
        "sum_over_time" => summed(inner()),
        "min_over_time" | "max_over_time" | "avg_over_time" | "last_over_time" | "first_over_time" | "sort"
        | "sort_desc" | "sort_by_label" | "sort_by_label_desc" | "label_replace" | "label_join" | "ceil" | "floor" => {
            let inner = inner();
            Bounds::new(inner.low.floor(), inner.high.ceil())
        }
        "vector" => call.args.first().map_or(Bounds::ANY, bounds),
        "rate" | "irate" | "increase" | "changes" | "resets" | "abs" | "sqrt" | "exp" | "stddev_over_time"
        | "stdvar_over_time" | "mad_over_time" | "time" | "histogram_count" | "histogram_stddev"
        | "histogram_stdvar" => Bounds::POSITIVE,
        "sgn" | "sin" | "cos" => Bounds::new(-1.0, 1.0),
        "hour" => Bounds::new(0.0, 23.0),
        "minute" => Bounds::new(0.0, 59.0),
        "month" => Bounds::new(1.0, 12.0),
        "day_of_week" => Bounds::new(0.0, 6.0),
        "day_of_month" => Bounds::new(1.0, 31.0),
        "day_of_year" => Bounds::new(1.0, 366.0),
        "days_in_month" => Bounds::new(28.0, 31.0),
        "clamp" => match (number(1), number(2)) {
            (Some(low), Some(high)) => Bounds::new(low, high),
            _ => Bounds::ANY,
        },
        "clamp_min" => number(1).map_or(Bounds::ANY, |low| Bounds::new(low, inner().high.max(low))),
        "clamp_max" => number(1).map_or(Bounds::ANY, |high| Bounds::new(inner().low.min(high), high)),
        _ => Bounds::ANY,
    }
}

fn joined(binary: &Binary) -> Bounds {
    let (left, right) = (bounds(&binary.left), bounds(&binary.right));
    let filled = binary.matching.as_ref().is_some_and(|m| m.fill_left.is_some() || m.fill_right.is_some());
    match binary.op {
        BinaryOp::Or => left.or(right),
        BinaryOp::And | BinaryOp::Unless => left,
        BinaryOp::Compare(_) if binary.return_bool => Bounds::new(0.0, 1.0),
        BinaryOp::Compare(op) => {
            // A number on the left is compared from the right; the vector's values pass.
            let (values, op, limit) = match (binary.left.constant(), binary.right.constant()) {
                (Some(limit), None) => (right, op.flipped(), Some(limit)),
                (None, Some(limit)) => (left, op, Some(limit)),
                _ => (left, op, None),
            };
            limit.and_then(|limit| Bounds::of(op, limit)).map_or(values, |range| values.and(range))
        }
        _ if filled => Bounds::ANY,
        BinaryOp::Div if is_share(&binary.left, &binary.right) => Bounds::new(0.0, SHARE_HIGH),
        BinaryOp::Div if right.low <= 0.0 && right.high >= 0.0 => {
            // A division by zero gives infinity; the sign is known where both have one.
            if left.low >= 0.0 && right.low >= 0.0 { Bounds::POSITIVE } else { Bounds::ANY }
        }
        BinaryOp::Mul
            if left.low >= 0.0 && right.low >= 0.0 && (left.high.is_infinite() || right.high.is_infinite()) =>
        {
            Bounds::POSITIVE
        }
        BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Div => left.combined(right, binary.op),
        _ => Bounds::ANY,
    }
}

/// Whether one expression is a part of the other: the same, of rates or counts, with more matchers.
pub fn is_share(part: &Expr, whole: &Expr) -> bool {
    match (&part.inner().kind, &whole.inner().kind) {
        (ExprKind::Aggregate(a), ExprKind::Aggregate(b)) => {
            matches!(a.op, AggregateOp::Sum | AggregateOp::Count)
                && a.op == b.op
                && a.grouping == b.grouping
                && (a.op == AggregateOp::Count || only_positive(&a.expr))
                && narrower(&a.expr, &b.expr)
        }
        _ => false,
    }
}

fn only_positive(expr: &Expr) -> bool {
    bounds(expr).low >= 0.0
}

/// Whether all series of one are among those of the other, with the same values.
fn narrower(part: &Expr, whole: &Expr) -> bool {
    let selectors = |a: &Selector, b: &Selector| {
        (a.offset.as_ref(), a.at, a.edges) == (b.offset.as_ref(), b.at, b.edges)
            && a.name().is_some()
            && b.matchers.iter().all(|matcher| a.matchers.contains(matcher))
    };
    match (&part.inner().kind, &whole.inner().kind) {
        (ExprKind::Vector(a), ExprKind::Vector(b)) => selectors(a, b),
        (ExprKind::Matrix(a, range), ExprKind::Matrix(b, other)) => range == other && selectors(a, b),
        (ExprKind::Call(a), ExprKind::Call(b)) => {
            a.function.name == b.function.name
                && a.args.len() == b.args.len()
                && a.args.iter().zip(&b.args).all(|(a, b)| narrower(a, b))
        }
        (a, b) => a == b,
    }
}
