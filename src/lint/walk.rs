//! Walks over expressions: every node with those above it, and of which kind it is.

use crate::promql::ast::{Expr, ExprKind, Selector};

/// Kinds of nodes, as bits.
pub type Kinds = u8;
/// `metric{…}`, with or without a range.
pub const SELECTOR: Kinds = 1;
/// `metric{…}[5m]`: a selector too.
pub const RANGE: Kinds = 1 << 1;
/// `expr[5m:1m]`
pub const SUBQUERY: Kinds = 1 << 2;
/// `sum by (…) (…)`
pub const AGGREGATE: Kinds = 1 << 3;
/// `name(…)`
pub const CALL: Kinds = 1 << 4;
/// `a op b`
pub const BINARY: Kinds = 1 << 5;

/// The kinds that a node is of.
pub fn kinds(expr: &Expr) -> Kinds {
    match &expr.kind {
        ExprKind::Vector(_) => SELECTOR,
        ExprKind::Matrix(..) => SELECTOR | RANGE,
        ExprKind::Subquery(_) => SUBQUERY,
        ExprKind::Aggregate(_) => AGGREGATE,
        ExprKind::Call(_) => CALL,
        ExprKind::Binary(_) => BINARY,
        ExprKind::Number(_) | ExprKind::Text(_) | ExprKind::Paren(_) | ExprKind::Unary(..) => 0,
    }
}

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
