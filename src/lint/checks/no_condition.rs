//! A207: an alert whose query leaves no series out.

use super::{Check, Context, Found};
use crate::lint::subject::{Formula, Makes, Role, Subject};
use crate::promql::ast::{AggregateOp, BinaryOp, Expr, ExprKind, Selector, ValueType};

pub(super) const CHECK: Check = Check::formula("A207", look);

fn look(rule: &Subject<'_>, formula: &Formula<'_>, _: &Context<'_>, out: &mut Found) {
    if rule.makes != Makes::Alerts
        || formula.role != Role::Condition
        || !is_vector(formula.expr)
        || filters(formula.expr)
    {
        return;
    }
    let found = rule.warn_in(
        "A207",
        formula,
        &formula.expr.span,
        "the query compares with nothing, so every series it finds is an alert",
    );
    out.push(found.with_label("no comparison").with_help("add one, such as `> 0`"));
}

/// Whether something in an expression can leave series out, or it is meant to fire always.
fn filters(expr: &Expr) -> bool {
    match &expr.kind {
        // A constant is meant to fire always.
        ExprKind::Number(_) | ExprKind::Text(_) => true,
        ExprKind::Vector(selector) => selector.name().is_none_or(is_an_alert) || states(selector),
        ExprKind::Matrix(..) => false,
        ExprKind::Paren(inner) | ExprKind::Unary(_, inner) => filters(inner),
        ExprKind::Subquery(subquery) => filters(&subquery.expr),
        ExprKind::Aggregate(aggregate) => match aggregate.op {
            AggregateOp::Topk | AggregateOp::Bottomk | AggregateOp::Limitk | AggregateOp::LimitRatio => true,
            _ => filters(&aggregate.expr),
        },
        ExprKind::Call(call) => {
            matches!(call.function.name, "absent" | "absent_over_time" | "vector")
                || call.args.iter().any(filters_series)
        }
        ExprKind::Binary(binary) => match binary.op {
            BinaryOp::Compare(_) => true,
            BinaryOp::And | BinaryOp::Unless => true,
            BinaryOp::Or => filters(&binary.left) && filters(&binary.right),
            _ => filters_series(&binary.left) || filters_series(&binary.right),
        },
    }
}

fn is_vector(expr: &Expr) -> bool {
    expr.value_type() == ValueType::Vector
}

fn filters_series(expr: &Expr) -> bool {
    matches!(expr.value_type(), ValueType::Vector | ValueType::Matrix) && filters(expr)
}

/// Series that are there only while something is wrong.
fn is_an_alert(name: &str) -> bool {
    matches!(name, "ALERTS" | "ALERTS_FOR_STATE")
}

/// Series that are always 1: their matchers are the condition.
fn states(selector: &Selector) -> bool {
    let facts = |name: &str| ["_info", "_metadata", "_labels"].iter().any(|ending| name.ends_with(ending));
    selector.matchers.len() > 1 && selector.name().is_some_and(facts)
}
