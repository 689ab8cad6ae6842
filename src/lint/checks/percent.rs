//! A309: a value in percent that a template makes a percentage once more.

use super::{Check, Context, Found};
use crate::lint::subject::{Makes, Subject};
use crate::promql::ast::{BinaryOp, Expr, ExprKind};

pub(super) const CHECK: Check = Check::rule("A309", look);

fn look(rule: &Subject<'_>, _: &Context<'_>, out: &mut Found) {
    let Some(formula) = rule.decides().filter(|_| rule.makes == Makes::Alerts) else { return };
    if !in_percent(formula.expr) {
        return;
    }
    for pair in rule.labels.iter().chain(&rule.annotations) {
        let Some(template) = pair.template else { continue };
        let Some(at) = multiplied(template.text()) else { continue };
        let message = "the query yields percent, and `humanizePercentage` multiplies by 100 once more";
        let place = pair.value.locate(&rule.file.text, at..at + FUNCTION.len());
        let found = crate::diag::Diagnostic::warning("A309", rule.file, place, message.to_owned());
        out.push(
            found
                .with_label("shows 95 as 9500%")
                .with_help("write `{{ printf \"%.1f\" $value }}%`, or leave out `* 100` in the query"),
        );
    }
}

const FUNCTION: &str = "humanizePercentage";

/// Where the value itself goes through the function.
fn multiplied(text: &str) -> Option<usize> {
    text.match_indices(FUNCTION).map(|(at, _)| at).find(|at| {
        let action = text[..*at].rfind("{{").map_or("", |open| &text[open + 2..*at]);
        let before = action.trim_matches(['-', ' ']).trim_end_matches('|').trim();
        let after = text[at + FUNCTION.len()..].trim_start();
        before == "$value" || (before.is_empty() && after.starts_with("$value"))
    })
}

/// Whether an expression multiplies a quotient by 100 before it compares.
fn in_percent(expr: &Expr) -> bool {
    match &expr.inner().kind {
        ExprKind::Binary(binary) => match binary.op {
            BinaryOp::Compare(_) => {
                let side = if binary.left.constant().is_some() { &binary.right } else { &binary.left };
                in_percent(side)
            }
            BinaryOp::And | BinaryOp::Unless => in_percent(&binary.left),
            BinaryOp::Mul => [&binary.left, &binary.right].iter().any(|side| side.constant() == Some(100.0)),
            _ => false,
        },
        _ => false,
    }
}
