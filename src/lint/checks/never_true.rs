//! A223: a condition that no value satisfies.

use super::{Check, Context, Found, Part};
use crate::lint::bounds::{Bounds, Verdict, bounds};
use crate::lint::subject::Formula;
use crate::lint::walk::BINARY;
use crate::promql::CompareOp;
use crate::promql::ast::{AggregateOp, Binary, BinaryOp, Expr, ExprKind};

pub(super) const CHECK: Check = Check::part("A223", BINARY, look);

fn look(part: &Part<'_>, _: &Context<'_>, out: &mut Found) {
    let ExprKind::Binary(binary) = &part.expr.kind else { return };
    let above = part.above.iter().rev().find(|e| !matches!(e.kind, ExprKind::Paren(_)));
    let inside_and = above.is_some_and(|e| matches!(&e.kind, ExprKind::Binary(b) if b.op == BinaryOp::And));
    let said = match binary.op {
        BinaryOp::Compare(op) if !binary.return_bool => compared(part.formula, binary, op),
        BinaryOp::And if !inside_and => contradiction(part.formula, part.expr),
        BinaryOp::Unless => covered(part.formula, binary),
        _ => None,
    };
    if let Some((message, help)) = said {
        let found = part.warn("A223", &part.expr.span, message).with_label("never yields anything");
        out.push(found.with_help(help));
    }
}

/// A comparison outside of what its sides can be.
fn compared(formula: &Formula<'_>, binary: &Binary, op: CompareOp) -> Option<(String, String)> {
    let (left, right) = (bounds(&binary.left), bounds(&binary.right));
    // An empty side is said where it is made empty.
    if left.is_empty() || right.is_empty() || left.compared(op, right) != Verdict::Never {
        return None;
    }
    let (side, range) = if binary.left.constant().is_some() { (&binary.right, right) } else { (&binary.left, left) };
    let shown = formula.shown(&side.span);
    if counts(side) && range.low == 1.0 {
        let message = format!("`{shown}` is never below 1: where there is nothing to count there is no result");
        return Some((message, "to see that nothing is there, write `absent(…)`".to_owned()));
    }
    let lies = if range.is_one() {
        format!("is always {}", range.low)
    } else {
        match (range.low.is_finite(), range.high.is_finite()) {
            (true, true) => format!("lies between {} and {}", round(range.low), round(range.high)),
            (true, false) => format!("is never below {}", round(range.low)),
            (false, true) => format!("is never above {}", round(range.high)),
            (false, false) => return None,
        }
    };
    Some((
        format!("the comparison is never true: `{shown}` {lies}"),
        "compare with a value that it can have".to_owned(),
    ))
}

fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

fn counts(expr: &Expr) -> bool {
    match &expr.inner().kind {
        ExprKind::Aggregate(aggregate) => aggregate.op == AggregateOp::Count,
        ExprKind::Call(call) => call.function.name == "count_over_time",
        _ => false,
    }
}

/// `up == 0 and up == 1`: ranges of one expression that have nothing in common.
fn contradiction(formula: &Formula<'_>, expr: &Expr) -> Option<(String, String)> {
    let mut parts = Vec::new();
    conjuncts(expr, &mut parts);
    for (i, (left, range)) in parts.iter().enumerate() {
        for (right, other) in &parts[i + 1..] {
            if *left == *right && range.and(*other).is_empty() {
                let shown = formula.shown(&left.span);
                let message = format!("both sides of `and` cannot hold at once: they are about the same `{shown}`");
                return Some((message, "did you mean `or`?".to_owned()));
            }
        }
    }
    None
}

/// `x > 5 unless x > 3`: all that is left is taken away.
fn covered(formula: &Formula<'_>, binary: &Binary) -> Option<(String, String)> {
    let (left, right) = (range_of(&binary.left)?, range_of(&binary.right)?);
    (binary.matching.is_none() && left.0 == right.0 && right.1.contains(left.1)).then(|| {
        let shown = formula.shown(&left.0.span);
        (format!("`unless` takes away all that is left of `{shown}`"), "did you mean `and`?".to_owned())
    })
}

/// The compared expressions of a chain of `and` in which series meet their equals, with the range of each.
fn conjuncts<'e>(expr: &'e Expr, out: &mut Vec<(&'e Expr, Bounds)>) {
    match &expr.inner().kind {
        ExprKind::Binary(binary) if binary.op == BinaryOp::And && binary.matching.is_none() => {
            conjuncts(&binary.left, out);
            conjuncts(&binary.right, out);
        }
        _ => out.extend(range_of(expr)),
    }
}

/// A comparison with a constant: what is compared, and the values that pass.
pub(super) fn range_of(expr: &Expr) -> Option<(&Expr, Bounds)> {
    let ExprKind::Binary(binary) = &expr.inner().kind else { return None };
    let BinaryOp::Compare(op) = binary.op else { return None };
    if binary.return_bool {
        return None;
    }
    match (binary.left.constant(), binary.right.constant()) {
        (None, Some(limit)) => Some((binary.left.inner(), Bounds::of(op, limit)?)),
        (Some(limit), None) => Some((binary.right.inner(), Bounds::of(op.flipped(), limit)?)),
        _ => None,
    }
}
