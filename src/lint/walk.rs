//! Walks over expressions: every node with those above it.

use crate::promql::ast::{Expr, ExprKind, Number, Selector};

/// Calls `look` with every node and the nodes above it, outermost first.
pub fn walk<'e>(expr: &'e Expr, look: &mut dyn FnMut(&'e Expr, &[&'e Expr])) {
    let mut path = Vec::new();
    step(expr, &mut path, look);
}

fn step<'e>(expr: &'e Expr, path: &mut Vec<&'e Expr>, look: &mut dyn FnMut(&'e Expr, &[&'e Expr])) {
    look(expr, path);
    path.push(expr);
    let mut below = |child: &'e Expr| step(child, path, look);
    match &expr.kind {
        ExprKind::Number(_) | ExprKind::Text(_) | ExprKind::Vector(_) | ExprKind::Matrix(..) => {}
        ExprKind::Paren(inner) | ExprKind::Unary(_, inner) => below(inner),
        ExprKind::Binary(binary) => [&binary.left, &binary.right].into_iter().for_each(below),
        ExprKind::Aggregate(aggregate) => aggregate.parameter.iter().chain([&aggregate.expr]).for_each(below),
        ExprKind::Call(call) => call.args.iter().for_each(below),
        ExprKind::Subquery(subquery) => below(&subquery.expr),
    }
    path.pop();
}

/// The selector of a node that is one, with or without a range.
pub fn selector(expr: &Expr) -> Option<&Selector> {
    match &expr.kind {
        ExprKind::Vector(selector) | ExprKind::Matrix(selector, _) => Some(selector),
        _ => None,
    }
}

/// The value of a node that is the same number whenever it is evaluated.
pub fn constant(expr: &Expr) -> Option<f64> {
    match &expr.inner().kind {
        ExprKind::Number(Number(value)) => Some(*value),
        ExprKind::Unary(op, inner) => {
            let value = constant(inner)?;
            Some(if *op == crate::promql::ast::UnaryOp::Minus { -value } else { value })
        }
        ExprKind::Binary(binary) if !binary.op.is_set() && !is_compare(binary) => {
            Some(binary.op.apply(constant(&binary.left)?, constant(&binary.right)?))
        }
        _ => None,
    }
}

/// Whether a binary operation compares.
pub fn is_compare(binary: &crate::promql::ast::Binary) -> bool {
    matches!(binary.op, crate::promql::ast::BinaryOp::Compare(_))
}

/// The length of a range in milliseconds, where it is fixed.
pub fn fixed_ms(duration: &crate::promql::ast::Duration) -> Option<i64> {
    match duration {
        crate::promql::ast::Duration::Fixed(ms) => Some(*ms),
        crate::promql::ast::Duration::Computed(_) => None,
    }
}
