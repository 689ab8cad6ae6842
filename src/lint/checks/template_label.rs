//! A303: a template that reads a label which the query drops.

use std::ops::Range;

use super::{Check, Context, Found};
use crate::lint::flow::flow;
use crate::lint::subject::{Formula, Makes, Subject};
use crate::lint::walk::walk;
use crate::promql::ast::ExprKind;

pub(super) const CHECK: Check = Check::rule("A303", look);

fn look(rule: &Subject<'_>, _: &Context<'_>, out: &mut Found) {
    let Some(formula) = rule.decides().filter(|_| rule.makes == Makes::Alerts) else { return };
    let templates = || rule.labels.iter().chain(&rule.annotations).filter_map(|pair| Some((pair, pair.template?)));
    if templates().next().is_none() {
        return;
    }
    let below = flow(formula.expr);
    for (pair, template) in templates() {
        for (label, at) in template.label_references() {
            if below.may(&label) {
                continue;
            }
            let cut = below.cut.as_ref().map(|cut| formula.shown(cut));
            let message = match cut {
                Some(cut) => format!("the template reads the label `{label}`, which `{cut}` drops"),
                None => format!("the template reads the label `{label}`, which the query does not have"),
            };
            let place = pair.value.locate(&rule.file.text, at);
            let found = crate::diag::Diagnostic::warning("A303", rule.file, place, message);
            out.push(found.with_label("is always empty").with_help(help(rule, formula, below.cut.as_ref(), &label)));
        }
    }
}

/// How the label comes to the alert.
fn help(rule: &Subject<'_>, formula: &Formula<'_>, cut: Option<&Range<usize>>, label: &str) -> String {
    if rule.labels.iter().any(|pair| pair.key.text() == Some(label)) {
        return format!(
            "`$labels` holds the labels of the query; those of the rule, such as `{label}`, are not among them"
        );
    }
    if formula.generated {
        return match rule.get("by") {
            Some(_) => format!("keep it: add `{label}` to the list `by`"),
            None => format!("keep it: `by: [{label}]`"),
        };
    }
    let mut by = None;
    walk(formula.expr, &mut |expr, _| {
        if Some(&expr.span) == cut {
            by = by.or(Some(&expr.kind));
        }
    });
    match by {
        Some(ExprKind::Aggregate(aggregate)) if aggregate.grouping.without => {
            format!("keep it in the query: take `{label}` out of `without`")
        }
        Some(ExprKind::Aggregate(aggregate)) if aggregate.grouping.labels.is_empty() => {
            format!("keep it in the query: `{} by ({label}) (…)`", aggregate.op.as_str())
        }
        Some(ExprKind::Aggregate(_)) => format!("keep it in the query: add `{label}` to `by`"),
        Some(ExprKind::Binary(_)) => {
            format!("keep it in the query: match on `{label}` too, or take it over with `group_left ({label})`")
        }
        Some(ExprKind::Call(_)) => format!("`absent` has the labels that its selector fixes: `{label}=\"…\"`"),
        _ => "read a label that the query has, or leave it out".to_owned(),
    }
}
