//! A210: a counter compared as it stands.

use super::{Check, Context, Found, Part};
use crate::lint::knowledge::Kind;
use crate::lint::subject::Makes;
use crate::lint::walk::{BINARY, is_compare};
use crate::promql::ast::{AggregateOp, Expr, ExprKind, Selector};

pub(super) const CHECK: Check = Check::part("A210", BINARY, look);

fn look(part: &Part<'_>, context: &Context<'_>, out: &mut Found) {
    if part.rule.makes != Makes::Alerts {
        return;
    }
    let ExprKind::Binary(binary) = &part.expr.kind else { return };
    if !is_compare(binary) {
        return;
    }
    let (side, limit) = match (binary.left.constant(), binary.right.constant()) {
        (None, Some(limit)) => (&binary.left, limit),
        (Some(limit), None) => (&binary.right, limit),
        _ => return,
    };
    // Whether there has been any at all is a question that a counter answers.
    let Some((at, name)) = raw(side, context).filter(|_| limit != 0.0) else { return };
    let what = if context.knowledge.kind(name).is_some() { "the counter" } else { "a counter by its name," };
    let message = format!("{what} `{name}` is compared as it stands; it only rises until its process restarts");
    let found = part.warn("A210", &at.span, message);
    let help = format!("write `increase({}[5m])`", part.formula.shown(&at.span));
    out.push(found.with_label("expected `rate` or `increase` around it").with_help(help));
}

/// The counter that an expression gives as it stands, or summed.
fn raw<'e>(expr: &'e Expr, context: &Context<'_>) -> Option<(&'e Expr, &'e str)> {
    match &expr.kind {
        ExprKind::Paren(inner) => raw(inner, context),
        ExprKind::Vector(selector) => counter(selector, context).map(|name| (expr, name)),
        ExprKind::Aggregate(aggregate) => match aggregate.op {
            AggregateOp::Sum | AggregateOp::Avg | AggregateOp::Max | AggregateOp::Min => raw(&aggregate.expr, context),
            _ => None,
        },
        _ => None,
    }
}

/// The name of a metric that is a counter: as declared, else by its suffix.
pub(super) fn counter<'e>(selector: &'e Selector, context: &Context<'_>) -> Option<&'e str> {
    let name = selector.name()?;
    let is = match context.knowledge.kind(name) {
        Some(kind) => kind == Kind::Counter,
        None => name.ends_with("_total") && !context.recorded.contains(name) && !name.contains(':'),
    };
    is.then_some(name)
}
